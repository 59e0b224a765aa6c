// Puts the page together: the view that is chosen, the connection, the list, the controls.
import { item, rawAddress, viewAddress } from './api.js';
import { draw, figures, problem, state } from './bar.js';
import { Buffer, gapOf } from './buffer.js';
import * as clipboard from './clipboard.js';
import { files, moment, onMoment } from './dialogs.js';
import { Finder } from './finder.js';
import { History } from './history.js';
import { explain, listen } from './keys.js';
import { Link } from './link.js';
import { List } from './list.js';
import { Overview } from './overview.js';
import * as place from './place.js';
import { keep, prefs } from './prefs.js';
import { row } from './row.js';
import { safe } from './text.js';
import { fate } from './words.js';

const $ = (id) => document.getElementById(id);
/** Lines that a view begins with. */
const FIRST = 500;
/** How long after the last letter a filter is tried, in milliseconds. */
const TYPING = 300;
/** Lines a second up to which a screen reader is told of each. */
const SPOKEN = 4;

const dark = matchMedia('(prefers-color-scheme: dark)');
let view = place.read(location.hash);
let paused = false;
/** Whether the first lines of this connection are there. */
let ready = false;
/** Whether the connection was lost since the view was opened. */
let lost = false;
/** Whether this connection goes on where the one before stopped. */
let resumed = false;
/** Streams that are chosen and not there. */
let missing = [];
/** Where the streams ended when the view was opened, and began. */
let ends = new Map();
let begins = new Map();
/** Places of the other streams, when a time was asked for. */
let others = null;
let arrived = 0;

const buffer = new Buffer((at, removed, added) => {
  list.moved(at, removed, added);
  if (at === 0 && removed && !added) history.trimmed();
});
const list = new List($('log'), $('rows'), () => buffer.items, (it) => row(it, look()), {
  stuck: (stuck) => held(stuck),
  older: () => ready && history.older(),
  gap: (gap) => history.fill(gap),
  drawn: () => {},
});
const history = new History(buffer, list, { edge: (text) => ($('edge').textContent = text), trouble: (text) => notice(text) });
const overview = new Overview($('overview'), { link: (key) => place.write({ ...view, streams: [key], at: null }), add });
const finder = new Finder({ view: () => view, theme });
const link = new Link({
  opened,
  event: (name, value) => events[name]?.(value),
  away: (ms) => {
    lost = true;
    state(`the connection is lost; next attempt in ${Math.max(1, Math.round(ms / 1000))} s`, 'bad');
  },
  refused,
});

function theme() {
  return dark.matches ? 'dark' : 'light';
}

/** The index of a stream's colour; a stream of many files gives its own to all of them. */
function colour(key) {
  const at = view.streams.findIndex((name) => key === name || key.startsWith(`${name}/`));
  return Math.max(0, at) % 8;
}

function look() {
  const several = view.streams.length > 1 || [...buffer.top.keys()].length > 1;
  return {
    theme: theme(), columns: prefs.columns, several, now: new Date(), colour,
    link: (it) => place.write({ ...view, streams: [it.key, ...view.streams.filter((key) => key !== it.key && !it.key.startsWith(`${key}/`))], at: it.offset }),
    raw: (it) => rawAddress(it.key, it.offset, it.offset + it.cut + 1),
    load: (gap) => {
      // Whoever wants to read them stays where they will be.
      list.leaveEnd();
      void history.fill(gap);
    },
  };
}

/** The state as it is when all is well. */
function usual() {
  if (!view.streams.length) return state('no stream is chosen');
  if (missing.length) return state(`${missing.map(safe).join(', ')}: not there now, shown when it comes`, 'mixed');
  state(paused ? 'paused' : list.stuck ? 'live' : 'reading; new lines wait', paused ? 'mixed' : 'good');
}

function notice(text) {
  buffer.arrive([{ kind: 'notice', text, row: null }]);
}

/** Lines wait while one reads elsewhere, or has paused. */
function held(stuck) {
  if (!ready) return;
  const hold = paused || !stuck;
  if (buffer.hold && !hold) buffer.release();
  buffer.hold = hold;
  usual();
  waiting();
}

function waiting() {
  const received = view.streams.length ? overview.sum(view.streams) : '';
  figures({ waits: buffer.hold ? buffer.waits : 0, stuck: list.stuck, paused, lines: buffer.items.length, received });
}

/** To the newest lines; over what was not loaded in between when `jump`. */
function newest(jump) {
  paused = false;
  const last = buffer.items.at(-1);
  if (view.at !== null || (last?.kind === 'gap' && (jump || last.lines === null))) return go({ ...view, at: null });
  list.toEnd();
  held(true);
}

function pause() {
  if (paused) return newest(false);
  paused = true;
  held(list.stuck);
}

// --- the view

/** Another view, as a step that "back" undoes (`replace`: as none). */
function go(next, replace) {
  const fragment = place.write(next);
  if (fragment === place.write(place.read(location.hash)) || replace) globalThis.history.replaceState(null, '', fragment);
  else globalThis.history.pushState(null, '', fragment);
  open(next);
}

function open(next) {
  if (place.write({ ...next, at: null }) !== place.write({ ...view, at: null })) missing = [];
  view = next;
  ready = false;
  history.reset(view);
  keep({ last: view.streams.length ? place.write({ ...view, at: null }) : prefs.last });
  controls();
  connect();
}

function connect() {
  const wanted = view.streams.filter((key) => !missing.includes(key));
  lost = false;
  link.open(viewAddress(view, wanted, view.at === null ? FIRST : 0, asked.has('stopped')));
}

function opened(again) {
  resumed = again;
  usual();
  problem('');
  if (again) {
    if (lost) notice('the connection was lost, and is back: nothing is missing');
  } else {
    buffer.reset([]);
    buffer.hold = false;
    list.stuck = true;
    ready = false;
  }
  lost = false;
}

function refused(status, says) {
  if (status === 401) return location.reload();
  if (status === 404 && view.streams.length > missing.length) {
    const known = overview.streams;
    const gone = view.streams.filter((key) => !known.has(key));
    // What it says is unknown may have gone after the overview was told.
    missing = gone.length > missing.length ? gone : [...view.streams];
    usual();
    return connect();
  }
  // What is shown stays; the pattern is what is wrong.
  if (status === 400 && view.pattern) problem(says);
  state(status === 400 && view.pattern ? 'the filter cannot be read' : says, 'bad');
}

const events = {
  overview(told) {
    overview.tell(told);
    $('logout').hidden = !told.user;
    $('user').textContent = told.user ?? '';
    const known = overview.streams;
    if (!view.streams.length && known.size) return start(known);
    if (missing.length && missing.some((key) => known.has(key))) {
      missing = missing.filter((key) => !known.has(key));
      connect();
    }
    waiting();
  },
  lines({ lines }) {
    arrived += ready ? lines.length : 0;
    buffer.arrive(lines.map(item));
  },
  skipped(skipped) {
    for (const one of Array.isArray(skipped) ? skipped : [skipped]) {
      buffer.arrive([gapOf([[place.keyOf(one), { from: one.from, to: one.to }]], one.lines ?? null, false)]);
    }
  },
  trouble({ why }) {
    notice(why);
  },
  notice(told) {
    // Places count otherwise from now on: what is loaded would be there twice.
    if (told.what === 'anew') buffer.reset([]);
    notice(`${place.keyOf(told)}: ${fate[told.what] ?? told.what}`);
  },
  async ready({ streams }) {
    ends = new Map(streams.map((stream) => [place.keyOf(stream), stream.end]));
    begins = new Map(streams.map((stream) => [place.keyOf(stream), stream.first]));
    // Whoever goes on where they were has the place that was asked for.
    if (view.at === null || resumed) {
      for (const [key, end] of ends) if (!buffer.top.has(key)) buffer.top.set(key, end);
      ready = true;
      held(list.stuck);
      list.schedule();
      return;
    }
    list.stuck = false;
    buffer.hold = true;
    const key = view.streams.find((name) => ends.has(name)) ?? [...ends.keys()][0];
    const given = others;
    others = null;
    const opening = view;
    const index = await history.open(key, view.at, given, ends);
    if (view !== opening) return;
    // Before, older lines would be those before the newest.
    ready = true;
    if (index >= 0) list.show(index, document.activeElement?.closest?.('#finder') ? false : 'center');
    usual();
    waiting();
  },
};

/** The page was opened without a stream: the last view, a favourite, or the first there is. */
function start(known) {
  const last = place.read(prefs.last);
  if (last.streams.some((key) => known.has(key))) return go(last, true);
  const key = [...prefs.favourites].find((name) => known.has(name)) ?? known.keys().next().value;
  go({ ...view, streams: [key], at: null }, true);
}

function add(key, more) {
  const rest = view.streams.filter((name) => name !== key);
  if (more && rest.length >= place.MOST_STREAMS) {
    notice(`more than ${place.MOST_STREAMS} streams do not fit in one view`);
    return overview.draw();
  }
  go({ ...view, streams: more ? [...rest, key] : rest, at: null });
}

// --- controls

function controls() {
  draw(view);
  overview.choose(view.streams, prefs.favourites, colour);
  waiting();
}

let typing;
function filter(at) {
  clearTimeout(typing);
  const pattern = $('filter').value;
  if (pattern !== view.pattern || !$('filter-error').hidden) go({ ...view, pattern, at: null }, at === 'typing');
}

function toggle(change) {
  keep(change);
  controls();
  list.redraw();
}

function favourite() {
  const all = view.streams.every((key) => prefs.favourites.has(key));
  for (const key of view.streams) all ? prefs.favourites.delete(key) : prefs.favourites.add(key);
  keep({});
  controls();
}

async function copy(text, told) {
  await clipboard.write(text);
  state(told, 'good');
}

const copyText = () => copy(...clipboard.chosen(buffer.items));

function downloads(event) {
  if (view.streams.length === 1) return;
  event.preventDefault();
  files(view.streams);
}

async function toTime(time, found) {
  const streams = view.streams.filter((key) => !missing.includes(key));
  if (!streams.length) throw new Error('no stream is shown');
  const places = await history.find(streams, time);
  others = places;
  found();
  go({ ...view, streams: [...streams], at: places.get(streams[0]) });
}

/** Moves the current row by one. */
function step(by) {
  const at = list.current(by > 0);
  const focused = document.activeElement?.closest?.('#rows > .row');
  const next = focused ? at + by : at;
  if (next < 0) return void history.older();
  if (next < buffer.items.length) list.show(next, 'near');
}

/** The next line with a match, when there is no search to step through. */
function hit(by) {
  if (finder.open && finder.step(by)) return;
  for (let i = list.current(by > 0) + by; i >= 0 && i < buffer.items.length; i += by) {
    if (buffer.items[i].hits?.length) return list.show(i, 'center');
  }
}

function first() {
  const key = view.streams.find((name) => begins.has(name));
  if (key === undefined) return;
  others = new Map(begins);
  go({ ...view, at: begins.get(key) });
}

function neighbour(by) {
  const all = [...overview.streams.keys()];
  if (!all.length) return;
  const at = all.indexOf(view.streams[0]);
  go({ ...view, streams: [all[(at + by + all.length) % all.length]], at: null });
}

function leave() {
  if (document.body.classList.contains('drawn')) return drawer(false);
  if (document.activeElement?.matches('input')) return $('log').focus();
  if (finder.open) return finder.close();
  $('log').focus();
}

function drawer(show) {
  document.body.classList.toggle('drawn', show);
  $('drawer').ariaExpanded = String(show);
  if (show) overview.draw();
}

const focusedRow = () => document.activeElement?.closest?.('#rows > .row');
const does = {
  filter: () => ($('filter').focus(), $('filter').select()),
  search: () => finder.show(),
  down: () => step(1),
  up: () => step(-1),
  first,
  last: () => newest(true),
  next: () => hit(1),
  previous: () => hit(-1),
  pause,
  unfold: () => focusedRow()?.querySelector('.fold')?.click(),
  link: () => focusedRow() && copy(focusedRow().querySelector('.at').href, 'the link is copied'),
  copy: copyText,
  when: moment,
  wrap: () => toggle({ wrap: !prefs.wrap }),
  favourite,
  before: () => neighbour(-1),
  after: () => neighbour(1),
  larger: () => toggle({ size: prefs.size + 1 }),
  smaller: () => toggle({ size: prefs.size - 1 }),
  help: () => $('keys').showModal(),
  leave,
};

const clicks = {
  case: () => go({ ...view, ignoreCase: !view.ignoreCase, at: null }),
  invert: () => go({ ...view, invert: !view.invert, at: null }),
  search: () => (finder.open ? finder.close() : finder.show()),
  columns: () => toggle({ columns: !prefs.columns }),
  drawer: () => drawer(!document.body.classList.contains('drawn')),
  newest: () => newest(true),
  pause, when: moment, wrap: does.wrap, copy: copyText, favourite, larger: does.larger, smaller: does.smaller, help: does.help, download: downloads,
};
for (const [id, act] of Object.entries(clicks)) $(id).addEventListener('click', act);
// A link that acts as a button is pressed by space, too.
$('download').addEventListener('keydown', (event) => event.key === ' ' && (event.preventDefault(), $('download').click()));
$('skip').addEventListener('click', (event) => (event.preventDefault(), $('log').focus()));
$('filter').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(() => filter('typing'), TYPING);
});
$('filter-form').addEventListener('submit', (event) => (event.preventDefault(), filter('done')));
onMoment(toTime);
$('overview').addEventListener('click', (event) => event.target.closest('a') && drawer(false));
listen(does);
explain($('keys-list'));
addEventListener('popstate', () => open(place.read(location.hash)));
dark.addEventListener('change', () => (list.redraw(), overview.draw()));

setInterval(() => {
  // Whoever listens hears single lines; of a flood, nothing.
  const live = list.stuck && arrived <= SPOKEN ? 'polite' : 'off';
  if ($('log').ariaLive !== live) $('log').ariaLive = live;
  arrived = 0;
  waiting();
}, 1000);

const asked = new URLSearchParams(location.search);
open(view);

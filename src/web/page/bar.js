// What the controls and the line below the list say.
import { rawAddress } from './api.js';
import { prefs } from './prefs.js';
import { safe } from './text.js';
import { count, many } from './words.js';

const $ = (id) => document.getElementById(id);

/** The sentence in the corner; `mood` is `good`, `mixed` or `bad`. */
export function state(text, mood) {
  if ($('state').textContent !== text) $('state').textContent = text;
  $('state').className = mood ?? '';
}

/** How much waits, is loaded, was received. `now`: `{waits, stuck, paused, lines, received}`. */
export function figures(now) {
  $('newest').hidden = !(now.waits || !now.stuck);
  $('newest').textContent = now.waits ? `${many(now.waits, 'new line')} ↓` : 'newest lines ↓';
  $('pause').textContent = now.paused ? 'resume' : 'pause';
  const parts = [`${many(now.lines, 'line')} loaded`];
  if (now.waits) parts.push(`${count(now.waits)} wait${now.waits === 1 ? 's' : ''}`);
  if (now.received) parts.push(`${now.received} received`);
  $('figures').textContent = parts.join(' · ');
}

/** Controls show what is chosen. */
export function draw(view) {
  const favourite = view.streams.length > 0 && view.streams.every((key) => prefs.favourites.has(key));
  if (document.activeElement !== $('filter')) $('filter').value = view.pattern;
  $('case').ariaPressed = String(!view.ignoreCase);
  $('invert').ariaPressed = String(view.invert);
  $('wrap').ariaPressed = String(prefs.wrap);
  $('columns').ariaPressed = String(prefs.columns);
  $('favourite').ariaPressed = String(favourite);
  $('log').classList.toggle('nowrap', !prefs.wrap);
  $('rows').style.fontSize = `${prefs.size / 16}rem`;
  $('download').href = view.streams.length === 1 ? rawAddress(view.streams[0]) : '#';
  document.title = [...view.streams, 'reclog'].map(safe).join(' · ');
}

/** A filter that cannot be read is told of where it is typed. */
export function problem(text) {
  $('filter-error').textContent = text;
  $('filter-error').hidden = !text;
  $('filter').setAttribute('aria-invalid', String(Boolean(text)));
}

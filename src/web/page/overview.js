// Collectors and their streams beside the lines; what comes and goes appears and vanishes.
import { graph } from './graph.js';
import { make } from './row.js';
import { safe } from './text.js';
import { age, count, many, rate } from './words.js';

/** States in which a collector takes lines as it should, and those in which nothing comes. */
const STATES = { up: 'good', failed: 'bad', stalled: 'bad' };

/** Sets a text only when it differs: a screen reader and the layout have less to do. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export class Overview {
  #root;
  #on;
  #told = null;
  #collectors = new Map();
  #chosen = [];
  #favourites = new Set();
  #colour = () => 0;
  #link = () => '#';

  /** `on.add(key, bool)`; `link(key)` is the address of the view of one stream. */
  constructor(root, on) {
    [this.#root, this.#on, this.#link] = [root, on, on.link];
  }

  /** All streams that are known: key → what is told of it. */
  get streams() {
    const all = new Map();
    for (const collector of this.#told?.collectors ?? []) {
      for (const stream of collector.streams ?? []) {
        const key = `${collector.name}/${stream.name}`;
        all.set(key, { collector, stream });
        for (const file of stream.files ?? []) all.set(`${key}/${file}`, { collector, stream });
      }
    }
    return all;
  }

  /** What is chosen: keys in the order of their colours. */
  choose(keys, favourites, colour) {
    [this.#chosen, this.#favourites, this.#colour] = [keys, favourites, colour];
    this.draw();
  }

  tell(overview) {
    this.#told = overview;
    this.draw();
  }

  draw() {
    if (!this.#told) return;
    const favourite = (collector) => collector.streams?.some((s) => this.#favourites.has(`${collector.name}/${s.name}`));
    const sorted = [...this.#told.collectors].sort((a, b) => Number(favourite(b) ?? 0) - Number(favourite(a) ?? 0));
    const names = new Set(sorted.map((collector) => collector.name));
    for (const [name, block] of this.#collectors) {
      if (names.has(name)) continue;
      block.root.remove();
      this.#collectors.delete(name);
    }
    this.#root.querySelector(':scope > p')?.remove();
    if (!sorted.length) {
      this.#root.append(make('p', 'quiet', 'No collector runs. `reclog up` or `reclog listen` starts one, and it appears here.'));
    }
    sorted.forEach((collector, index) => {
      const block = this.#collectors.get(collector.name) ?? this.#block(collector);
      if (this.#root.children[index] !== block.root) this.#root.insertBefore(block.root, this.#root.children[index] ?? null);
      this.#fill(block, collector);
    });
  }

  #block(collector) {
    const root = make('section', 'collector');
    const title = make('h2', '', safe(collector.name));
    const state = make('span', 'state');
    const where = make('p', 'quiet');
    const health = make('ul', 'health');
    const list = make('ul', 'streams');
    title.append(' ', state);
    root.append(title, where, health, list);
    const block = { root, state, where, health, list, rows: new Map() };
    this.#collectors.set(collector.name, block);
    return block;
  }

  #fill(block, collector) {
    say(block.state, collector.state);
    block.state.className = `state ${STATES[collector.state] ?? (collector.state === 'stopped' ? 'off' : 'mixed')}`;
    const again = collector.reconnects ? `, ${many(collector.reconnects, 'reconnect')}` : '';
    const since = collector.since ? `for ${age(Date.now() - Date.parse(collector.since)).replace('now', '1 s')}` : '';
    say(block.where, [safe(collector.target ?? ''), since + again].filter(Boolean).join(' · '));
    const health = (collector.health ?? []).map(safe);
    if (block.said !== health.join('\n')) {
      block.said = health.join('\n');
      block.health.replaceChildren(...health.map((sentence) => make('li', '', sentence)));
    }
    const rank = (stream) => (this.#favourites.has(`${collector.name}/${stream.name}`) ? 0 : 1);
    const streams = [...(collector.streams ?? [])].sort((a, b) => rank(a) - rank(b));
    const names = new Set(streams.map((stream) => stream.name));
    for (const [name, row] of block.rows) {
      if (names.has(name)) continue;
      row.root.remove();
      block.rows.delete(name);
    }
    streams.forEach((stream, index) => {
      let row = block.rows.get(stream.name);
      if (!row) block.rows.set(stream.name, (row = this.#stream(`${collector.name}/${stream.name}`, stream.name)));
      if (block.list.children[index] !== row.root) block.list.insertBefore(row.root, block.list.children[index] ?? null);
      this.#figures(row, stream);
    });
  }

  /** A checkbox that adds `key` and a link that shows it. */
  #pick(key, label) {
    const root = make('div', 'pick');
    const box = make('input', '');
    box.type = 'checkbox';
    box.ariaLabel = `add ${safe(key)}`;
    box.onchange = () => this.#on.add(key, box.checked);
    const show = make('a', 'show');
    show.href = this.#link(key);
    show.ariaLabel = `show ${safe(key)}`;
    const [star, name] = [make('span', 'star'), make('span', 'name', safe(label))];
    show.append(star, name);
    root.append(box, show);
    return { root, box, show, star, key };
  }

  #mark({ box, show, star, key }) {
    const index = this.#chosen.indexOf(key);
    box.checked = index >= 0;
    show.className = index >= 0 ? `show chosen c${this.#colour(key)}` : 'show';
    if (index >= 0) show.setAttribute('aria-current', 'true');
    else show.removeAttribute('aria-current');
    const href = this.#link(key);
    if (show.getAttribute('href') !== href) show.href = href;
    say(star, this.#favourites.has(key) ? '★ ' : '');
  }

  #stream(key, name) {
    const root = make('li', '');
    const pick = this.#pick(key, name);
    const canvas = make('canvas', 'graph');
    canvas.ariaHidden = 'true';
    const speed = make('span', 'speed');
    const facts = make('p', 'facts');
    pick.root.append(canvas, speed);
    root.append(pick.root, facts);
    return { root, pick, canvas, speed, facts, files: null, picks: new Map() };
  }

  #figures(row, stream) {
    this.#mark(row.pick);
    const rates = stream.rate ?? [];
    const now = rates.at(-1) ?? 0;
    say(row.speed, `${rate(now)}/s`);
    graph(row.canvas, rates);
    const last = stream.last_record ? age(Date.now() - Date.parse(stream.last_record)) : 'none yet';
    const ago = !stream.last_record || last === 'now' ? last : `${last} ago`;
    say(row.facts, `${many(stream.records ?? 0, 'line')} · last ${ago} · ${many(stream.senders_open ?? 0, 'sender')}`);
    if (stream.files?.length) this.#files(row, stream.files);
    else if (row.files) {
      row.files.remove();
      row.files = null;
      row.picks.clear();
    }
  }

  #files(row, files) {
    if (!row.files) {
      row.files = make('details', 'files');
      row.files.append(make('summary', ''), make('ul', 'streams'));
      row.files.ontoggle = () => this.draw();
      row.root.append(row.files);
    }
    const [summary, list] = row.files.children;
    say(summary, many(files.length, 'file'));
    const chosen = files.filter((file) => this.#chosen.includes(`${row.pick.key}/${file}`));
    // A thousand rows are made when somebody looks at them.
    const wanted = row.files.open ? files : chosen;
    for (const [file, pick] of row.picks) {
      if (wanted.includes(file)) continue;
      pick.item.remove();
      row.picks.delete(file);
    }
    wanted.forEach((file, index) => {
      let pick = row.picks.get(file);
      if (!pick) {
        pick = this.#pick(`${row.pick.key}/${file}`, file);
        pick.item = make('li', '');
        pick.item.append(pick.root);
        row.picks.set(file, pick);
      }
      if (list.children[index] !== pick.item) list.insertBefore(pick.item, list.children[index] ?? null);
      this.#mark(pick);
    });
  }

  /** The sum of what all streams that are shown receive, in words. */
  sum(keys) {
    const streams = this.streams;
    let records = 0;
    for (const key of keys) records += streams.get(key)?.stream.records ?? 0;
    return count(records);
  }
}

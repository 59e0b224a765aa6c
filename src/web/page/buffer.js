// The lines that are loaded, in the order in which they are shown, and those that wait to be. Pure.
//
// Three kinds of items: lines, notices, and gaps: lines that are on disk and not here. What is dropped at the beginning
// moves `top`, what is dropped at the end or while it waits becomes a gap, so that everything can be loaded again.
import { byteLength } from './text.js';

/** What an item costs beside its text, in bytes; a guess that errs upwards. */
const OVERHEAD = 200;

/** Where the line after this one begins: its bytes and the LF. */
export const endOf = (line) => line.offset + (line.cut ?? byteLength(line.text)) + 1;

const cost = (item) => OVERHEAD + (item.kind === 'line' ? item.text.length * 2 : 0);

/** A gap of these ranges (key → `{from, to}`); `lines` is how many lines they hold, null when nobody knows. */
export const gapOf = (ranges, lines, auto) => ({ kind: 'gap', ranges: new Map(ranges), lines, auto, loading: false });

/** Adds what `item` stands for to `gap`. */
function swallow(gap, item) {
  if (item.kind === 'line') {
    const range = gap.ranges.get(item.key);
    const end = endOf(item);
    gap.ranges.set(item.key, { from: Math.min(range?.from ?? item.offset, item.offset), to: Math.max(range?.to ?? end, end) });
    if (gap.lines !== null) gap.lines += 1;
  } else if (item.kind === 'gap') {
    for (const [key, more] of item.ranges) {
      const range = gap.ranges.get(key) ?? more;
      gap.ranges.set(key, { from: Math.min(range.from, more.from), to: Math.max(range.to, more.to) });
    }
    gap.lines = gap.lines === null || item.lines === null ? null : gap.lines + item.lines;
  }
}

export class Buffer {
  /** Shown or ready to be. */
  items = [];
  /** Arrived while the view is held. */
  waiting = [];
  /** Whether what arrives waits. */
  hold = false;
  /** key → offset: what lies before is not loaded. */
  top = new Map();
  #bytes = 0;
  #waitingBytes = 0;
  #limits;
  #moved;

  /** `moved(at, removed, added)` is told of every change of `items`. */
  constructor(moved = () => {}, limits = { lines: 20_000, bytes: 16 << 20, waiting: 5_000, waitingBytes: 4 << 20 }) {
    this.#moved = moved;
    this.#limits = limits;
  }

  /** Lines that wait; those of a gap at the end among them. */
  get waits() {
    let lines = 0;
    for (const item of this.waiting) lines += item.kind === 'line' ? 1 : item.kind === 'gap' ? (item.lines ?? 0) : 0;
    const last = this.items.at(-1);
    return lines + (last?.kind === 'gap' && last.overflow ? (last.lines ?? 0) : 0);
  }

  /** Bytes of everything that is held, by the same guess as the limits. */
  get bytes() {
    return this.#bytes + this.#waitingBytes;
  }

  /** Nothing is loaded; `top` tells where each stream stands. */
  reset(top) {
    const removed = this.items.length;
    this.items = [];
    this.waiting = [];
    this.#bytes = this.#waitingBytes = 0;
    this.top = new Map(top);
    this.#moved(0, removed, 0);
  }

  #splice(at, remove, add) {
    for (let i = at; i < at + remove; i += 1) this.#bytes -= cost(this.items[i]);
    for (const item of add) this.#bytes += cost(item);
    if (at === this.items.length && !remove) for (const item of add) this.items.push(item);
    else if (!add.length) this.items.splice(at, remove);
    else this.items = [...this.items.slice(0, at), ...add, ...this.items.slice(at + remove)];
    this.#moved(at, remove, add.length);
  }

  /** What just came. */
  arrive(items) {
    for (const item of items) if (item.kind === 'line' && !this.top.has(item.key)) this.top.set(item.key, item.offset);
    if (!this.hold) {
      this.#splice(this.items.length, 0, items);
      this.#trimTop();
      return;
    }
    for (const item of items) {
      this.waiting.push(item);
      this.#waitingBytes += cost(item);
    }
    let drop = 0;
    let bytes = this.#waitingBytes;
    while (this.waiting.length - drop > this.#limits.waiting || bytes > this.#limits.waitingBytes) {
      bytes -= cost(this.waiting[drop]);
      drop += 1;
    }
    // Many at once: of an array the beginning is costly to take away.
    if (drop) {
      drop = Math.min(this.waiting.length, drop + (this.#limits.waiting >> 3));
      for (const item of this.waiting.slice(0, drop)) this.#waitingBytes -= cost(item);
      this.#end(this.waiting.splice(0, drop));
    }
  }

  /** Turns `dropped`, which follow the last item, into a gap there. */
  #end(dropped) {
    let gap = this.items.at(-1);
    if (gap?.kind !== 'gap') this.#splice(this.items.length, 0, [(gap = gapOf([], 0, true))]);
    gap.overflow = true;
    for (const item of dropped) swallow(gap, item);
  }

  /** What waits is shown from now on. */
  release() {
    this.hold = false;
    const waiting = this.waiting;
    this.waiting = [];
    this.#waitingBytes = 0;
    const last = this.items.at(-1);
    if (last?.kind === 'gap') last.overflow = last.auto = false;
    if (waiting.length) this.arrive(waiting);
  }

  /** Older lines in front; `top` is where they begin. `view` is the index that is looked at. */
  prepend(lines, top, view) {
    for (const [key, offset] of top) this.top.set(key, offset);
    this.#splice(0, 0, lines);
    this.#trim(view + lines.length);
  }

  /** Puts `lines` before `gap`, of which `ranges` are left. */
  fill(gap, lines, ranges, view) {
    const at = this.items.indexOf(gap);
    if (at < 0) return;
    gap.ranges = new Map(ranges);
    if (gap.lines !== null) gap.lines = Math.max(0, gap.lines - lines.length);
    const over = !gap.ranges.size;
    this.#splice(at, over ? 1 : 0, lines);
    this.#trim(view);
  }

  get #over() {
    return this.items.length > this.#limits.lines || this.#bytes > this.#limits.bytes;
  }

  /** Drops what is farthest from the item at index `view`. */
  #trim(view) {
    if (!this.#over) return;
    if (view > this.items.length / 2) return this.#trimTop();
    let keep = this.items.length;
    let bytes = this.#bytes;
    while (keep > view + 1 && (keep > this.#limits.lines || bytes > this.#limits.bytes)) {
      keep -= 1;
      bytes -= cost(this.items[keep]);
    }
    const dropped = this.items.slice(keep);
    this.#splice(keep, dropped.length, []);
    this.#end(dropped);
  }

  #trimTop() {
    if (!this.#over) return;
    let drop = 0;
    let bytes = this.#bytes;
    while (this.items.length - drop > this.#limits.lines || bytes > this.#limits.bytes) {
      bytes -= cost(this.items[drop]);
      drop += 1;
    }
    const last = new Map();
    for (let i = 0; i < drop; i += 1) {
      const item = this.items[i];
      if (item.kind === 'line') last.set(item.key, item);
      else if (item.kind === 'gap') for (const [key, range] of item.ranges) last.set(key, { end: range.to });
    }
    for (const [key, item] of last) this.top.set(key, item.end ?? endOf(item));
    this.#splice(0, drop, []);
  }
}

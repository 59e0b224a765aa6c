// What is on disk, loaded where the view needs it: older lines, gaps, places.
import { page } from './api.js';
import { gapOf } from './buffer.js';
import { merge } from './merge.js';

/** Lines of one page, and of the place that a link opens before and after it. */
const PAGE = 300;
const AROUND = 120;

export class History {
  #buffer;
  #list;
  #on;
  #control = new AbortController();
  #begun = new Set();
  #loading = false;
  #view = null;

  /** `on.edge(text)`: what stands above the first line; `on.trouble(sentence)`. */
  constructor(buffer, list, on) {
    [this.#buffer, this.#list, this.#on] = [buffer, list, on];
  }

  /** Another view: what is being loaded is not wanted any more. */
  reset(view) {
    this.#control.abort();
    this.#control = new AbortController();
    this.#begun = new Set();
    this.#loading = false;
    this.#view = view;
    this.#on.edge('');
  }

  #fetch(forward, count, limits) {
    const { signal } = this.#control;
    const view = this.#view;
    return async (key, place) => {
      const answer = await page(view, key, forward ? { after: place } : { before: place }, count, signal);
      const limit = limits?.get(key)?.to ?? Infinity;
      if (forward && answer.to >= limit) {
        answer.lines = answer.lines.filter((line) => line.offset < limit);
        answer.to = limit;
        answer.last = true;
      }
      return answer;
    };
  }

  /** Lines before those that are loaded. */
  async older() {
    const from = new Map([...this.#buffer.top].filter(([key]) => !this.#begun.has(key)));
    if (this.#loading || !from.size) return;
    const { signal } = this.#control;
    this.#loading = true;
    this.#on.edge('loading older lines…');
    try {
      const { lines, places, done } = await merge(from, false, PAGE, this.#fetch(false, PAGE));
      if (signal.aborted) return;
      for (const key of done) this.#begun.add(key);
      const over = [...this.#buffer.top.keys()].every((key) => this.#begun.has(key));
      this.#on.edge(over ? 'the first line' : '');
      this.#loading = false;
      const before = this.#buffer.top;
      this.#buffer.prepend(lines, places, this.#list.middle);
      // What was dropped again at the beginning has to be loaded again.
      if (this.#buffer.items[0] !== lines[0]) this.trimmed();
      // A stream that came in meanwhile stands in `top`, and has not been asked for.
      if (!lines.length && before.size > from.size + this.#begun.size) void this.older();
    } catch (problem) {
      if (signal.aborted) return;
      this.#loading = false;
      this.#on.edge(`older lines could not be loaded: ${problem.message}`);
    }
  }

  /** Something at the beginning of the buffer was dropped: there is more before it. */
  trimmed() {
    if (!this.#begun.size) return;
    this.#begun.clear();
    this.#on.edge('');
  }

  /** Lines of a gap, in its place. */
  async fill(gap) {
    if (gap.loading) return;
    const { signal } = this.#control;
    gap.loading = true;
    this.#list.renew(gap);
    try {
      const ranges = new Map(gap.ranges);
      const from = new Map([...ranges].map(([key, range]) => [key, range.from]));
      const { lines, places, done } = await merge(from, true, PAGE * 2, this.#fetch(true, PAGE * 2, ranges));
      if (signal.aborted) return;
      gap.loading = false;
      gap.auto = true;
      const left = new Map();
      // Meanwhile the gap may have grown at its end.
      for (const [key, range] of gap.ranges) {
        const reached = places.get(key) ?? range.from;
        if (reached < range.to && !(done.has(key) && range.to === ranges.get(key)?.to)) left.set(key, { from: reached, to: range.to });
      }
      this.#list.renew(gap);
      // Whoever looks at the gap sees in its place the first line that was in it.
      const delta = this.#list.leads(gap);
      this.#buffer.fill(gap, lines, left, this.#list.middle);
      if (delta !== null && lines.length) this.#list.settle(lines[0], delta);
    } catch (problem) {
      if (signal.aborted) return;
      gap.loading = gap.auto = false;
      this.#list.renew(gap);
      this.#on.trouble(`lines could not be loaded: ${problem.message}`);
    }
  }

  /** Where each stream has its first line at or after `time` (RFC 3339). */
  async find(keys, time) {
    const { signal } = this.#control;
    const everything = { pattern: '' };
    const places = keys.map(async (key) => [key, (await page(everything, key, { at: time }, 1, signal)).from]);
    return new Map(await Promise.all(places));
  }

  /**
   * Shows what lies around `place` of the stream `key`, instead of what is loaded; `others` are the places of the other
   * streams, found by the time of that line where they are not given. `ends`: what comes live begins there.
   */
  async open(key, place, others, ends) {
    const { signal } = this.#control;
    const keys = [...ends.keys()];
    try {
      const first = await page({ pattern: '' }, key, { after: place }, 1, signal);
      const from = new Map([[key, place]]);
      for (const [name, offset] of others ?? []) from.set(name, offset);
      const time = first.lines[0]?.time;
      const rest = keys.filter((name) => !from.has(name));
      if (rest.length && time) for (const [name, offset] of await this.find(rest, time)) from.set(name, offset);
      for (const name of rest) if (!from.has(name)) from.set(name, ends.get(name));
      const [before, after] = await Promise.all([
        merge(from, false, AROUND, this.#fetch(false, AROUND)),
        merge(from, true, AROUND, this.#fetch(true, AROUND)),
      ]);
      if (signal.aborted) return -1;
      const left = new Map();
      for (const [name, to] of ends) {
        const reached = after.places.get(name) ?? to;
        if (reached < to) left.set(name, { from: reached, to });
      }
      const lines = [...before.lines, ...after.lines.filter((line) => line.offset < (ends.get(line.key) ?? Infinity))];
      const at = lines.findIndex((line) => line.key === key && line.offset >= place);
      if (lines[at] && lines[at].offset === place) lines[at].target = true;
      this.#buffer.prepend(left.size ? [...lines, gapOf(left, null, true)] : lines, before.places, at);
      for (const name of before.done) this.#begun.add(name);
      this.#on.edge(keys.every((name) => this.#begun.has(name)) ? 'the first line' : '');
      return at < 0 ? lines.length - 1 : at;
    } catch (problem) {
      if (!signal.aborted) this.#on.trouble(`that place could not be opened: ${problem.message}`);
      return -1;
    }
  }
}

// Pages of several streams as one, by the time of their lines. Pure but for the `fetch` that is handed in.
import { endOf } from './buffer.js';
import { stamp } from './words.js';

/** Whether line `a` is older than `b`; a line that tells no time goes with the one that was taken before it. */
function older(a, b) {
  const [x, y] = [stamp(a.time), stamp(b.time)];
  return x && y ? x[0] - y[0] || x[1] - y[1] : 0;
}

/**
 * Reads `count` lines before (or, when `forward`, after) the places in `from` (key → offset). `fetch(key, place)` answers
 * with a page `{lines, from, to, first, last}`. Returns the lines, oldest first, `places`: where to go on, and `done`: the
 * keys that have no more. A page without lines is no end: a filter may find nothing for a long time.
 */
export async function merge(from, forward, count, fetch) {
  const readers = [...from].map(([key, place]) => ({ key, place, queue: [], done: false }));
  const taken = [];
  const fill = async (reader) => {
    while (!reader.done && !reader.queue.length) {
      const page = await fetch(reader.key, reader.place);
      const stands = reader.place === (forward ? page.to : page.from);
      reader.queue = forward ? page.lines.reverse() : page.lines;
      reader.place = forward ? page.to : page.from;
      // A page that leads nowhere would be asked for forever.
      reader.done = (forward ? page.last : page.first) || (stands && !page.lines.length);
    }
  };
  while (taken.length < count) {
    await Promise.all(readers.map(fill));
    let best = null;
    for (const reader of readers) {
      const line = reader.queue.at(-1);
      if (!line) continue;
      if (!best) best = reader;
      else {
        const than = best.queue.at(-1);
        const order = !stamp(than.time) ? 0 : !stamp(line.time) ? -1 : forward ? older(line, than) : older(than, line);
        if (order < 0) best = reader;
      }
    }
    if (!best) break;
    taken.push(best.queue.pop());
  }
  const places = new Map(readers.map((reader) => [reader.key, place(reader, forward)]));
  const done = new Set(readers.filter((r) => r.done && !r.queue.length).map((r) => r.key));
  return { lines: forward ? taken : taken.reverse(), places, done };
}

/** Where a reader's next line begins, or its last one ended. */
function place(reader, forward) {
  const next = reader.queue.at(-1);
  if (!next) return reader.place;
  return forward ? next.offset : endOf(next);
}

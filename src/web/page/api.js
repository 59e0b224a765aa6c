// Requests of the page, all relative to where it lies.
import { Lines } from './sse.js';
import { sentence, turn } from './link.js';
import { textOf } from './text.js';
import { filter, keyOf } from './place.js';

/** How long a slice of work may take, in milliseconds. */
const SLICE = 8;

/** A refusal of the server: its sentence and its status. */
export class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(path, parameters, signal) {
  const response = await fetch(`${path}?${parameters}`, { signal, cache: 'no-store' });
  if (!response.ok) throw new Refusal(response.status, await sentence(response));
  return response;
}

/** A line of the server as an item of the buffer. */
export function item(line) {
  const { offset, time, arrived, peer, hits, cut } = line;
  return { kind: 'line', key: keyOf(line), offset, time, arrived, peer, hits, cut, text: textOf(line), row: null, open: false };
}

/** A page of lines: `where` is `{before}`, `{after}` or `{at}`. */
export async function page(view, key, where, count, signal) {
  const parameters = filter(view);
  parameters.set('stream', key);
  for (const [name, value] of Object.entries(where)) parameters.set(name, value);
  parameters.set('n', count);
  const answer = await (await ask('api/lines', parameters, signal)).json();
  return { ...answer, lines: answer.lines.map(item) };
}

/** Where the events of a view come from. */
export function viewAddress(view, streams, count, stopped) {
  const parameters = filter(view);
  for (const key of streams) parameters.append('stream', key);
  parameters.set('n', count);
  if (stopped) parameters.set('stopped', '1');
  return `api/view?${parameters}`;
}

/** Where the bytes of a stream are, or of a part of it. */
export function rawAddress(key, from, to) {
  const parameters = new URLSearchParams({ stream: key });
  if (from !== undefined) parameters.set('from', from);
  if (to !== undefined) parameters.set('to', to);
  return `api/download?${parameters}`;
}

/** Searches all of it; `on` is told of each object. */
export async function search(view, streams, context, signal, on) {
  const parameters = filter(view);
  for (const key of streams) parameters.append('stream', key);
  if (context) parameters.set('context', context);
  parameters.set('cut', 1);
  const reader = (await ask('api/search', parameters, signal)).body.getReader();
  const [lines, decoder] = [new Lines(), new TextDecoder()];
  let since = performance.now();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const line of lines.feed(decoder.decode(value, { stream: true }))) {
      if (line) on(JSON.parse(line));
      if (performance.now() - since > SLICE) {
        await turn();
        since = performance.now();
      }
    }
  }
}

// The view in the address bar: `#s=COLLECTOR/STREAM&s=…&e=…&i=1&v=1&at=OFFSET`. Pure.
//
// `at` is a place in the first stream that is named.

/** Streams in one view at most. */
export const MOST_STREAMS = 16;

/** The view that a fragment names; what it does not say is not chosen. */
export function read(fragment) {
  const given = new URLSearchParams(fragment.replace(/^#/, ''));
  const streams = [...new Set(given.getAll('s').filter((name) => name.includes('/')))].slice(0, MOST_STREAMS);
  const at = /^\d{1,16}$/.test(given.get('at') ?? '') ? Number(given.get('at')) : null;
  return { streams, pattern: given.get('e') ?? '', ignoreCase: given.get('i') === '1', invert: given.get('v') === '1', at };
}

/** The fragment of a view. */
export function write(view) {
  const parts = view.streams.map((name) => `s=${encode(name)}`);
  if (view.pattern) parts.push(`e=${encode(view.pattern)}`);
  if (view.ignoreCase) parts.push('i=1');
  if (view.invert) parts.push('v=1');
  if (view.at !== null) parts.push(`at=${view.at}`);
  return '#' + parts.join('&');
}

/** A slash and a colon may stand in a fragment, and people read it. */
const encode = (text) => encodeURIComponent(text).replace(/%2F/g, '/').replace(/%3A/g, ':');

/** The filter of a view as parameters of a request. */
export function filter(view) {
  const parameters = new URLSearchParams();
  if (view.pattern) {
    parameters.set('e', view.pattern);
    if (view.ignoreCase) parameters.set('i', '1');
    if (view.invert) parameters.set('v', '1');
  }
  return parameters;
}

/** The name of a line's source: `COLLECTOR/STREAM`, of a template with the file behind it. */
export const keyOf = (line) => `${line.collector}/${line.stream}${line.file === undefined ? '' : '/' + line.file}`;

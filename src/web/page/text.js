// Bytes of strangers as text that is safe to look at. Pure.
//
// A byte that is not UTF-8 travels through the page as the lone surrogate U+DC00 + byte, which no valid text holds, so
// that offsets in bytes can be told of every text.

/** What a terminal or a browser would act on instead of showing it: the set of reclog's own escaping, and bytes that are no text. */
const ACTS = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/u;

/** Whether anything in `text` must be escaped or drawn. */
export const acts = (text) => ACTS.test(text);

/** One character (a code point) as it is shown when it acts, else null. */
export function escaped(code) {
  if (code === 9) return null;
  if (code < 0x20 || code === 0x7f) return '\\x' + code.toString(16).padStart(2, '0');
  if (code >= 0xdc80 && code <= 0xdcff) return '\\x' + (code - 0xdc00).toString(16);
  const acting =
    (code >= 0x80 && code <= 0x9f) ||
    (code >= 0x2028 && code <= 0x202e) ||
    (code >= 0x2066 && code <= 0x2069) ||
    (code >= 0xd800 && code <= 0xdfff);
  return acting ? `\\u{${code.toString(16)}}` : null;
}

/** `text` with everything that acts escaped. */
export function safe(text) {
  if (!acts(text)) return text;
  let out = '';
  for (const c of text) out += escaped(c.codePointAt(0)) ?? c;
  return out;
}

/** How many bytes a code point has on disk. */
export function width(code) {
  if (code < 0x80) return 1;
  if (code >= 0xdc80 && code <= 0xdcff) return 1;
  if (code < 0x800) return 2;
  return code < 0x10000 ? 3 : 4;
}

/** How many bytes `text` has on disk. */
export function byteLength(text) {
  let bytes = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.codePointAt(i);
    bytes += width(code);
    if (code > 0xffff) i += 1;
  }
  return bytes;
}

/** Bytes as text; those that are not UTF-8 as lone surrogates. */
export function fromBytes(bytes) {
  let out = '';
  let from = 0;
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (let i = 0; i < bytes.length; ) {
    const long = sequence(bytes, i);
    if (long) {
      i += long;
      continue;
    }
    out += decoder.decode(bytes.subarray(from, i)) + String.fromCharCode(0xdc00 + bytes[i]);
    i += 1;
    from = i;
  }
  return out + decoder.decode(bytes.subarray(from));
}

/** Length of the well-formed sequence at `i` (Unicode, table 3-7); 0 for none. */
function sequence(bytes, i) {
  const b = bytes[i];
  if (b < 0x80) return 1;
  const long = b >= 0xc2 && b <= 0xdf ? 2 : b >= 0xe0 && b <= 0xef ? 3 : b >= 0xf0 && b <= 0xf4 ? 4 : 0;
  const low = b === 0xe0 ? 0xa0 : b === 0xf0 ? 0x90 : 0x80;
  const high = b === 0xed ? 0x9f : b === 0xf4 ? 0x8f : 0xbf;
  for (let k = 1; k < long; k += 1) {
    const next = bytes[i + k];
    if (next === undefined || next < (k === 1 ? low : 0x80) || next > (k === 1 ? high : 0xbf)) return 0;
  }
  return long;
}

/** The text of a line as the server tells it. */
export function textOf(line) {
  if (line.text_base64 === undefined) return line.text ?? '';
  return fromBytes(Uint8Array.from(atob(line.text_base64), (c) => c.charCodeAt(0)));
}

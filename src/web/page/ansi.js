// A line as pieces to draw: colours and styles of SGR sequences (ECMA-48 8.3.117), matches, and everything else that acts
// as escaped text. Pure.
import { acts, escaped, width } from './text.js';

/** Pieces of one line at most; a line that changes its colour with every letter ends plain. */
const MOST = 400;
/** Parameters of one sequence at most. */
const PARAMETERS = 32;
const SGR = /\x1b\[([0-9;:]{0,120})m/y;

/**
 * The pieces `{text, style, mark, escape}` of `text`. `hits` are byte ranges `[from, to]`, in order. `style` is null or
 * `{fg, bg, bold, dim, italic, underline, strike, reverse}`, colours as 0…255 of the palette or `[r, g, b]`.
 */
export function pieces(text, hits) {
  const ranges = hits ?? [];
  if (!ranges.length && !acts(text)) return [{ text, style: null, mark: false, escape: false }];
  const out = [];
  let [style, at, hit, last] = [null, 0, 0, null];
  const put = (shown, mark, escape) => {
    const full = out.length >= MOST;
    const same = last && last.escape === escape && last.mark === mark && last.style === style;
    if (same || full) last.text += shown;
    else out.push((last = { text: shown, style, mark, escape }));
  };
  for (let i = 0; i < text.length; ) {
    const code = text.codePointAt(i);
    if (code === 0x1b) {
      SGR.lastIndex = i;
      const found = SGR.exec(text);
      if (found) {
        style = applied(style, found[1]);
        i += found[0].length;
        at += found[0].length;
        continue;
      }
    }
    while (hit < ranges.length && ranges[hit][1] <= at) hit += 1;
    const mark = hit < ranges.length && ranges[hit][0] <= at;
    const shown = escaped(code);
    const units = code > 0xffff ? 2 : 1;
    put(shown ?? text.slice(i, i + units), mark, shown !== null);
    i += units;
    at += width(code);
  }
  return out.length ? out : [{ text: '', style: null, mark: false, escape: false }];
}

/** The style after a sequence with these parameters; null for none. */
function applied(before, parameters) {
  const style = { ...before };
  const given = parameters.split(/[;:]/).slice(0, PARAMETERS).map(Number);
  for (let i = 0; i < given.length; i += 1) {
    const p = given[i];
    if (p === 0) for (const key of Object.keys(style)) delete style[key];
    else if (p === 1) style.bold = true;
    else if (p === 2) style.dim = true;
    else if (p === 3) style.italic = true;
    else if (p === 4) style.underline = true;
    else if (p === 7) style.reverse = true;
    else if (p === 9) style.strike = true;
    else if (p === 22) delete style.bold, delete style.dim;
    else if (p === 23) delete style.italic;
    else if (p === 24) delete style.underline;
    else if (p === 27) delete style.reverse;
    else if (p === 29) delete style.strike;
    else if (p >= 30 && p <= 37) style.fg = p - 30;
    else if (p === 39) delete style.fg;
    else if (p >= 40 && p <= 47) style.bg = p - 40;
    else if (p === 49) delete style.bg;
    else if (p >= 90 && p <= 97) style.fg = p - 82;
    else if (p >= 100 && p <= 107) style.bg = p - 92;
    else if (p === 38 || p === 48) {
      const name = p === 38 ? 'fg' : 'bg';
      if (given[i + 1] === 5 && given[i + 2] <= 255) {
        style[name] = given[i + 2];
        i += 2;
      } else if (given[i + 1] === 2 && i + 4 < given.length) {
        style[name] = given.slice(i + 2, i + 5).map((v) => Math.min(v, 255));
        i += 4;
      } else break; // what follows cannot be told apart
    }
  }
  // Concealing (8) and blinking (5, 6) are not obeyed: nothing that was sent is hidden from whoever looks.
  return Object.keys(style).length ? style : null;
}

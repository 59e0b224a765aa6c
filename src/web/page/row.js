// One item as elements: text nodes alone hold what strangers sent.
import { pieces } from './ansi.js';
import { paint } from './colour.js';
import { looksLike, unfold } from './json.js';
import { safe } from './text.js';
import { clock, many, size } from './words.js';

const shapes = new Map();

/** An element with a class and a text; cloning is faster than making. */
export function make(tag, className, text) {
  const key = `${tag}.${className}`;
  let shape = shapes.get(key);
  if (!shape) {
    shape = document.createElement(tag);
    if (className) shape.className = className;
    shapes.set(key, shape);
  }
  const element = shape.cloneNode(false);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** `text` with its colours, matches and escapes, below `parent`. */
export function draw(parent, text, hits, theme) {
  for (const piece of pieces(text, hits)) {
    if (!piece.style && !piece.mark && !piece.escape) {
      parent.append(piece.text);
      continue;
    }
    const names = [piece.escape ? 'esc' : '', ...styles(piece.style)].filter(Boolean).join(' ');
    const element = make(piece.mark ? 'mark' : 'span', names, piece.text);
    // On the yellow of a match the colours of the sender cannot be read.
    if (piece.style && !piece.mark) {
      const { color, background } = paint(piece.style, theme);
      if (color) element.style.color = color;
      if (background) element.style.backgroundColor = background;
    }
    parent.append(element);
  }
}

const styles = (style) => (style ? ['bold', 'dim', 'italic', 'underline', 'strike'].filter((name) => style[name]) : []);

/** The text of a line as it is shown and copied. */
export const shown = (item) => pieces(item.text, null).map((piece) => piece.text).join('');

/** What an item looks like. `look`: `{theme, columns, several, now, colour(key), link(item), raw(item), load(gap)}`. */
export function row(item, look) {
  if (item.kind === 'gap') return gap(item, look);
  if (item.kind === 'notice') {
    const element = make('div', 'row notice');
    element.append(make('span', '', safe(item.text)));
    return element;
  }
  const element = make('div', item.target ? 'row target' : 'row');
  element.tabIndex = -1;
  const at = make('a', 'at');
  at.href = look.link(item);
  at.tabIndex = -1;
  const time = look.columns ? (item.time ?? item.arrived) : null;
  if (time) {
    at.append(make('time', item.time ? '' : 'arrived', clock(time, look.now)));
    at.title = item.time ? `${item.time}: link to this line` : `arrived ${item.arrived}: link to this line`;
  } else {
    at.textContent = '#';
    at.ariaLabel = at.title = 'link to this line';
  }
  element.append(at);
  if (look.several) {
    const name = make('span', `source c${look.colour(item.key)}`, safe(item.key));
    name.title = item.key;
    element.append(name);
  }
  if (look.columns && item.peer) element.append(make('span', 'peer', safe(item.peer)));
  const text = make('span', 'text');
  if (looksLike(item.text)) text.append(fold(item, element));
  draw(text, item.text, item.hits, look.theme);
  if (item.cut !== undefined && item.cut !== null) {
    const more = make('a', 'more', ` … ${size(item.cut)}: download the line`);
    more.href = look.raw(item);
    more.download = '';
    text.append(more);
  }
  element.append(text);
  if (item.open) unfolded(item, element);
  return element;
}

/** The button that folds a JSON line out. */
function fold(item, element) {
  const button = make('button', 'fold', '{…}');
  button.type = 'button';
  button.tabIndex = -1;
  button.ariaLabel = 'fold out';
  button.ariaExpanded = String(Boolean(item.open));
  button.onclick = () => {
    item.open = !item.open;
    button.ariaExpanded = String(item.open);
    if (item.open) unfolded(item, element);
    else element.querySelector('pre')?.remove();
  };
  return button;
}

function unfolded(item, element) {
  const tokens = unfold(item.text);
  const pre = make('pre', 'json');
  if (!tokens) pre.append('This is no JSON, or too deep to be folded out.');
  else for (const { kind, text } of tokens) pre.append(kind === 'mark' ? text : make('span', kind, safe(text)));
  element.append(pre);
}

function gap(item, look) {
  const element = make('div', 'row gap');
  const what = item.lines ? `${many(item.lines, 'line')} skipped` : item.auto ? 'more lines' : 'lines skipped';
  const button = make('button', '', item.loading ? `${what}: loading…` : `${what}: load them`);
  button.type = 'button';
  button.disabled = item.loading;
  button.onclick = () => look.load(item);
  element.append(button);
  return element;
}

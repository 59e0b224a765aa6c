// Colours that can be read whatever was asked for: a contrast of 4.5 or more (WCAG 2, AA) in both themes. Pure.

/** The sixteen colours of terminals, before they are made readable. */
const SIXTEEN = [
  [0, 0, 0], [205, 49, 49], [13, 148, 80], [170, 140, 10], [36, 114, 200], [188, 63, 188], [17, 140, 170], [190, 190, 190],
  [110, 110, 110], [241, 76, 76], [35, 190, 115], [225, 205, 60], [59, 142, 234], [214, 112, 214], [41, 184, 219], [240, 240, 240],
];
/** Background and text of a line, as in style.css. */
const THEMES = { light: { bg: [255, 255, 255], fg: [28, 32, 38] }, dark: { bg: [18, 20, 23], fg: [217, 221, 227] } };
/** What is asked of a colour on the plain background: a row that is pointed at or linked to has a slightly other one. */
const ENOUGH = 5.4;
/** Colours that are remembered. */
const MOST = 2000;

/** A colour of the palette of 256, or one that is given as it is. */
function rgb(colour) {
  if (Array.isArray(colour)) return colour;
  if (colour < 16) return SIXTEEN[colour];
  if (colour >= 232) return [0, 0, 0].fill(8 + (colour - 232) * 10);
  const level = (v) => (v ? 55 + v * 40 : 0);
  const cube = colour - 16;
  return [level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)];
}

function luminance(colour) {
  const [r, g, b] = colour.map((v) => (v <= 10 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast of two colours, 1 to 21. */
export function contrast(a, b) {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

/** `colour`, mixed with white or black as little as needed to be read on `bg`. */
export function readable(colour, bg) {
  if (contrast(colour, bg) >= ENOUGH) return colour;
  const pole = contrast([255, 255, 255], bg) > contrast([0, 0, 0], bg) ? 255 : 0;
  for (let part = 0.1; part < 1; part += 0.1) {
    const mixed = colour.map((v) => Math.round(v + (pole - v) * part));
    if (contrast(mixed, bg) >= ENOUGH) return mixed;
  }
  return [pole, pole, pole];
}

const known = new Map();

/** What a style of `pieces` looks like: `{color, background}` as CSS, '' where the theme's own will do. */
export function paint(style, theme) {
  const key = `${theme} ${style.fg} ${style.bg} ${style.reverse ?? ''}`;
  const before = known.get(key);
  if (before) return before;
  const own = THEMES[theme];
  let fg = style.fg === undefined ? null : rgb(style.fg);
  let bg = style.bg === undefined ? null : rgb(style.bg);
  if (style.reverse) [fg, bg] = [bg ?? own.bg, fg ?? own.fg];
  const css = (colour) => (colour ? `rgb(${colour.join(',')})` : '');
  const text = fg || bg ? readable(fg ?? own.fg, bg ?? own.bg) : null;
  const painted = { color: css(text), background: css(bg) };
  if (known.size >= MOST) known.clear();
  known.set(key, painted);
  return painted;
}

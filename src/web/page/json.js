// A JSON text, indented without touching its tokens: numbers keep every digit, doubled keys stay. Pure.

const TOKEN = /\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:])/y;
/** Depth and tokens at most; deeper ones are not folded out. */
const DEEPEST = 64;
const MOST = 20_000;

/** Whether it is worth a try. */
export const looksLike = (text) => text.length > 1 && text[0] === '{' && text[text.length - 1] === '}';

/** Pieces `{kind, text}` of the indented text (`key`, `string`, `number`, `word`, `mark`); null when `text` is no JSON object. */
export function unfold(text) {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const out = [];
  const stack = [];
  let key = false;
  const line = () => out.push({ kind: 'mark', text: '\n' + '  '.repeat(stack.length) });
  TOKEN.lastIndex = 0;
  for (let found = TOKEN.exec(text), before = ''; found; before = found[1], found = TOKEN.exec(text)) {
    const token = found[1];
    if (out.length > MOST || stack.length > DEEPEST) return null;
    if (token === '}' || token === ']') {
      stack.pop();
      if (before !== '{' && before !== '[') line();
    } else if (before === '{' || before === '[' || before === ',') line();
    if (token === '{' || token === '[') {
      stack.push(token);
      out.push({ kind: 'mark', text: token });
      key = token === '{';
    } else if (token === ',') {
      out.push({ kind: 'mark', text: token });
      key = stack.at(-1) === '{';
    } else if (token === ':') {
      out.push({ kind: 'mark', text: ': ' });
      key = false;
    } else out.push({ kind: kind(token, key), text: token });
  }
  return out;
}

function kind(token, key) {
  if (token[0] === '"') return key ? 'key' : 'string';
  if (/[-\d]/.test(token[0])) return 'number';
  return /\w/.test(token[0]) ? 'word' : 'mark';
}

// The keyboard, and the list of it.

/** Key, what it does, and the name of what is called. */
export const KEYS = [
  ['/', 'to the filter', 'filter'],
  ['s', 'search all that is on disk', 'search'],
  ['j', 'next line', 'down'],
  ['k', 'line before', 'up'],
  ['g', 'the first line', 'first'],
  ['G', 'the newest line', 'last'],
  ['n', 'next hit', 'next'],
  ['N', 'hit before', 'previous'],
  [' ', 'pause and resume', 'pause'],
  ['Enter', 'fold a JSON line out', 'unfold'],
  ['y', 'copy the link to the line', 'link'],
  ['c', 'copy the text', 'copy'],
  ['t', 'go to a time', 'when'],
  ['w', 'wrap long lines', 'wrap'],
  ['f', 'favourite', 'favourite'],
  ['[', 'the stream before', 'before'],
  [']', 'next stream', 'after'],
  ['+', 'larger letters', 'larger'],
  ['-', 'smaller letters', 'smaller'],
  ['?', 'these keys', 'help'],
  ['Escape', 'leave a field, close what is open', 'leave'],
];

const LABELS = { ' ': 'space', Escape: 'Esc' };

/** What takes keys for itself. */
const writes = (target) => target.matches('input:not([type=checkbox]), textarea, select');
/** What Enter and space press. */
const presses = (target) => target.closest('a[href], button, summary, input, [role=button]') !== null;

export function listen(does) {
  const known = new Map(KEYS.map(([key, , name]) => [key, name]));
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const { target, key } = event;
    const name = known.get(key);
    if (!name || document.querySelector('dialog[open]')) return; // a dialog has its own Esc
    if (key !== 'Escape' && writes(target)) return;
    if ((key === ' ' || key === 'Enter') && presses(target)) return;
    if (does[name](event) !== false) event.preventDefault();
  });
}

/** Fills the list of the help. */
export function explain(list) {
  for (const [key, what] of KEYS) {
    const term = document.createElement('dt');
    const kbd = document.createElement('kbd');
    kbd.textContent = LABELS[key] ?? key;
    term.append(kbd);
    const told = document.createElement('dd');
    told.textContent = what;
    list.append(term, told);
  }
}

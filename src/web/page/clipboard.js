// What is copied.
import { shown } from './row.js';
import { many } from './words.js';

/** Puts `text` where one pastes from. */
export async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS browsers keep the clipboard shut but for this.
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'away';
    document.body.append(area);
    const focus = document.activeElement;
    area.select();
    document.execCommand('copy');
    area.remove();
    focus?.focus?.();
  }
}

/** What is meant by "copy": the selection, the line that has the focus, or all that are loaded; and how that is told. */
export function chosen(items) {
  const selection = String(getSelection());
  const lines = items.filter((it) => it.kind === 'line');
  const focused = document.activeElement?.closest?.('#rows > .row')?.item;
  if (selection) return [selection, 'the selection is copied'];
  if (focused?.kind === 'line') return [shown(focused) + '\n', 'the line is copied'];
  return [lines.map((it) => shown(it) + '\n').join(''), `${many(lines.length, 'line')} copied`];
}

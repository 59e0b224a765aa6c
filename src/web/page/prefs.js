// What this browser keeps: favourites, the last view, how lines look.
const NAME = 'reclog';
const [SMALLEST, LARGEST] = [9, 28];

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(NAME) ?? '{}');
    return kept && typeof kept === 'object' ? kept : {};
  } catch {
    return {}; // nothing may be kept, or what is kept is not ours
  }
}

const kept = read();
const text = (value) => typeof value === 'string';

export const prefs = {
  favourites: new Set(Array.isArray(kept.favourites) ? kept.favourites.filter(text) : []),
  last: text(kept.last) ? kept.last : '',
  size: Number.isFinite(kept.size) ? Math.min(LARGEST, Math.max(SMALLEST, kept.size)) : 13,
  wrap: kept.wrap !== false,
  columns: kept.columns !== false,
};

export function keep(change) {
  Object.assign(prefs, change);
  prefs.size = Math.min(LARGEST, Math.max(SMALLEST, prefs.size));
  try {
    localStorage.setItem(NAME, JSON.stringify({ ...prefs, favourites: [...prefs.favourites] }));
  } catch {
    // Private windows keep nothing; the page works without.
  }
}

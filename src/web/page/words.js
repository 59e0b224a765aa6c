// Times and figures as people read them. Pure: the time that it is comes in.

const two = (n) => String(n).padStart(2, '0');
const three = (n) => String(n).padStart(3, '0');

/** An RFC 3339 time as `[milliseconds, rest in nanoseconds]`; null when it is none. */
export function stamp(time) {
  if (!time) return null;
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) return null;
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? '';
  return [ms, Number(fraction.slice(3, 9).padEnd(6, '0'))];
}

/** The time of day here with milliseconds, before it the day when it is not that of `now` (a Date). */
export function clock(time, now) {
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) return '';
  const t = new Date(ms);
  const day = `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
  const today = t.getDate() === now.getDate() && t.getMonth() === now.getMonth() && t.getFullYear() === now.getFullYear();
  const at = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${three(t.getMilliseconds())}`;
  return today ? at : `${day} ${at}`;
}

/** 12,345. */
export const count = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',');

/** `1 line`, `12,345 lines`. */
export const many = (n, one, more = one + 's') => `${count(n)} ${n === 1 ? one : more}`;

/** Bytes as KiB, MiB, GiB. */
export function size(bytes) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return unit === 0 ? `${count(value)} ${units[0]}` : `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** How long ago, in one word: `now`, `12 s`, `5 min`, `3 h`, `2 d`. */
export function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 2) return 'now';
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  return s < 86400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

/** Records a second: `0`, `0.4`, `12`, `12,345`. */
export function rate(perSecond) {
  if (!perSecond) return '0';
  return perSecond < 10 ? perSecond.toFixed(1) : count(perSecond);
}

/** What may become of a file. */
export const fate = {
  rotated: 'the file was put away and a new one begun',
  truncated: 'the file was made shorter by somebody else',
  replaced: 'the file was replaced by another one',
  deleted: 'the file was deleted',
  anew: 'what was shown is gone; this is what there is now',
};

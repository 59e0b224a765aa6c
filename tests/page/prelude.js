// Before each of these files: `test(promise, body)` and what its bodies ask with. `load(name)` is a module of the page.
const promises = [];
const test = (promise, body) => promises.push([promise, body]);
const say = (value) => JSON.stringify(value, (_, v) => (v instanceof Map || v instanceof Set ? [...v] : v === undefined ? null : v));
const same = (got, wanted, what = '') => {
  if (say(got) !== say(wanted)) throw new Error(`${what}\n   got ${say(got)}\nwanted ${say(wanted)}`);
};
const holds = (fact, what) => {
  if (!fact) throw new Error(what);
};
/** The same numbers from 0 to 1 each time (mulberry32). */
const numbers = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const run = async () => {
  for (const [promise, body] of promises) {
    try {
      await body();
    } catch (problem) {
      throw new Error(`${promise}: ${problem.stack ?? problem}`);
    }
  }
  return promises.length;
};

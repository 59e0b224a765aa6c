const { Buffer, endOf, gapOf } = await load('buffer.js');
const { merge } = await load('merge.js');

const line = (key, offset, text, time = null) => ({ kind: 'line', key, offset, text, time, row: null });

/** A stream of lines of differing length, as it is on disk. */
function stream(key, many, random, second) {
  const lines = [];
  let offset = 0;
  for (let i = 0; i < many; i += 1) {
    const time = second === undefined ? null : new Date(1.7e12 + (i * second + random() * second) * 1000).toISOString();
    const one = line(key, offset, `${key} ${i} ${'ü'.repeat(Math.floor(random() * 9))}`, time);
    offset = endOf(one);
    lines.push(one);
  }
  return { lines, end: offset };
}

/** Pages of it, of at most three lines. */
const pages = (streams) => async (key, forward, place) => {
  const { lines, end } = streams.get(key);
  const fits = lines.filter((l) => (forward ? l.offset >= place : endOf(l) <= place));
  const some = forward ? fits.slice(0, 3) : fits.slice(-3);
  const copies = some.map((l) => ({ ...l }));
  const whole = some.length === fits.length;
  return forward
    ? { lines: copies, from: place, to: some.length ? endOf(some.at(-1)) : end, last: whole, first: place === 0 }
    : { lines: copies, from: some.length ? some[0].offset : 0, to: place, first: whole, last: false };
};

test('what is dropped from the front can be loaded again from where it says', () => {
  const buffer = new Buffer(undefined, { lines: 10, bytes: 1e9, waiting: 5, waitingBytes: 1e9 });
  const { lines } = stream('c/a', 30, numbers(1));
  for (const one of lines) buffer.arrive([one]);
  same(buffer.items.length, 10);
  same(buffer.top.get('c/a'), lines[20].offset);
});

test('what waits too long becomes a gap that says how many lines it holds and where they are', () => {
  const buffer = new Buffer(undefined, { lines: 100, bytes: 1e9, waiting: 5, waitingBytes: 1e9 });
  const { lines } = stream('c/a', 40, numbers(2));
  buffer.arrive(lines.slice(0, 3));
  buffer.hold = true;
  for (const one of lines.slice(3)) buffer.arrive([one]);
  same(buffer.waits, 37);
  buffer.release();
  const gap = buffer.items[3];
  const kept = buffer.items.slice(4);
  same([gap.kind, gap.lines, gap.lines + kept.length], ['gap', 37 - kept.length, 37]);
  same(gap.ranges.get('c/a'), { from: lines[3].offset, to: kept[0].offset });
});

test('bytes are bounded, too', () => {
  const buffer = new Buffer(undefined, { lines: 1000, bytes: 10_000, waiting: 1000, waitingBytes: 4_000 });
  const { lines } = stream('c/a', 300, numbers(3));
  buffer.arrive(lines.slice(0, 100));
  holds(buffer.bytes <= 10_000, buffer.bytes);
  buffer.hold = true;
  buffer.arrive(lines.slice(100));
  holds(buffer.bytes <= 14_300, buffer.bytes);
});

test('a skipped range that arrives while the view is held is not forgotten', () => {
  const buffer = new Buffer(undefined, { lines: 100, bytes: 1e9, waiting: 4, waitingBytes: 1e9 });
  buffer.hold = true;
  buffer.arrive([line('c/a', 0, 'x'), gapOf([['c/a', { from: 2, to: 100 }]], 49, false), line('c/a', 100, 'y')]);
  same(buffer.waits, 51);
  buffer.arrive(Array.from({ length: 10 }, (_, i) => line('c/a', 102 + 2 * i, 'z')));
  buffer.release();
  same(buffer.items[0].ranges.get('c/a').from, 0);
  same(buffer.items[0].lines + buffer.items.length - 1, 61);
});

test('what is far from what is looked at is dropped first', () => {
  for (const [view, kept] of [[2, 'a 0'], [26, 'b 9']]) {
    const buffer = new Buffer(undefined, { lines: 20, bytes: 1e9, waiting: 50, waitingBytes: 1e9 });
    buffer.arrive(Array.from({ length: 20 }, (_, i) => line('c/a', 100 + 10 * i, `b ${i}`)));
    buffer.hold = true;
    buffer.prepend(Array.from({ length: 10 }, (_, i) => line('c/a', 10 * i, `a ${i}`)), [['c/a', 0]], view - 10);
    holds(buffer.items.some((i) => i.text === kept), `${kept}, seen from ${view}`);
    same(buffer.items[0].text, view === 2 ? 'a 0' : 'b 0');
  }
});

test('pages of several streams are merged by time, in both directions, whatever their order on disk', async () => {
  const random = numbers(5);
  const streams = new Map([['c/a', stream('c/a', 40, random, 2)], ['c/b', stream('c/b', 90, random, 0.7)], ['d/x', stream('d/x', 5, random, 20)]]);
  const all = [...streams.values()].flatMap((s) => s.lines).sort((a, b) => (a.time < b.time ? -1 : 1)).map((l) => l.text);
  for (const size of [1, 7, 50, 1000]) {
    let from = new Map([...streams].map(([key, s]) => [key, s.end]));
    let got = [];
    while (from.size) {
      const { lines, places, done } = await merge(from, false, size, (key, place) => pages(streams)(key, false, place));
      got = [...lines.map((l) => l.text), ...got];
      from = new Map([...places].filter(([key]) => !done.has(key)));
    }
    same(got, all, `backwards by ${size}`);
    from = new Map([...streams.keys()].map((key) => [key, 0]));
    got = [];
    while (from.size) {
      const { lines, places, done } = await merge(from, true, size, (key, place) => pages(streams)(key, true, place));
      got.push(...lines.map((l) => l.text));
      from = new Map([...places].filter(([key]) => !done.has(key)));
    }
    same(got, all, `forwards by ${size}`);
  }
});

test('lines that tell no time lose none of their order', async () => {
  const streams = new Map([['c/a', stream('c/a', 20, numbers(6))], ['c/b', stream('c/b', 20, numbers(7), 1)]]);
  const from = new Map([...streams].map(([key, s]) => [key, s.end]));
  const { lines, done } = await merge(from, false, 1000, (key, place) => pages(streams)(key, false, place));
  for (const [key, { lines: on }] of streams) same(lines.filter((l) => l.key === key).map((l) => l.text), on.map((l) => l.text));
  same(done.size, 2);
});

test('a page that finds nothing is no end, and one that leads nowhere is', async () => {
  const answers = [
    { lines: [], from: 50, to: 100, first: false },
    { lines: [line('c/a', 20, 'x')], from: 20, to: 50, first: false },
    { lines: [], from: 20, to: 20, first: false },
  ];
  const { lines, done } = await merge(new Map([['c/a', 100]]), false, 10, async () => answers.shift());
  same([lines.length, [...done]], [1, ['c/a']]);
});

test('whatever is dropped and loaded again, the lines and their gaps are the stream', async () => {
  for (let seed = 0; seed < 60; seed += 1) {
    const random = numbers(seed);
    const { lines, end } = stream('c/a', 400, random);
    const streams = new Map([['c/a', { lines, end }]]);
    const fetch = pages(streams);
    const buffer = new Buffer(undefined, { lines: 40, bytes: 1e9, waiting: 12, waitingBytes: 1e9 });
    let sent = 0;
    const view = () => Math.floor(random() * buffer.items.length);
    for (let turn = 0; turn < 120; turn += 1) {
      const what = random();
      if (what < 0.45) {
        const some = Math.floor(random() * 8);
        buffer.arrive(lines.slice(sent, sent + some).map((l) => ({ ...l })));
        sent = Math.min(lines.length, sent + some);
      } else if (what < 0.55) buffer.hold = true;
      else if (what < 0.65) buffer.release();
      else if (what < 0.8 && buffer.top.size && buffer.top.get('c/a') > 0) {
        const { lines: older, places } = await merge(buffer.top, false, 10, (key, place) => fetch(key, false, place));
        buffer.hold = true;
        buffer.prepend(older, places, Math.floor(random() * 10));
      } else {
        const gap = buffer.items.find((i) => i.kind === 'gap');
        if (!gap) continue;
        const range = gap.ranges.get('c/a');
        const { lines: found, places } = await merge(new Map([['c/a', range.from]]), true, 7, async (key, place) => {
          const page = await fetch(key, true, place);
          if (page.to < range.to) return page;
          return { ...page, lines: page.lines.filter((l) => l.offset < range.to), to: range.to, last: true };
        });
        const to = places.get('c/a');
        buffer.fill(gap, found, to < range.to ? [['c/a', { from: to, to: range.to }]] : [], view());
      }
      // Everything from the top to what was sent stands here once: as a line, in a gap, or waiting.
      let place = buffer.top.get('c/a');
      let counted = 0;
      for (const item of [...buffer.items, ...buffer.waiting]) {
        if (item.kind === 'line') {
          same(item.offset, place, `seed ${seed}, turn ${turn}`);
          place = endOf(item);
          counted += 1;
        } else {
          same(item.ranges.get('c/a').from, place, `gap, seed ${seed}, turn ${turn}`);
          place = item.ranges.get('c/a').to;
          const inside = lines.filter((l) => l.offset >= item.ranges.get('c/a').from && l.offset < place).length;
          same(item.lines, inside, `lines of the gap, seed ${seed}, turn ${turn}`);
        }
      }
      if (sent) same(place, sent < lines.length ? lines[sent].offset : end, `end, seed ${seed}, turn ${turn}`);
      holds(buffer.items.length <= 52, `${buffer.items.length} items`);
    }
  }
});

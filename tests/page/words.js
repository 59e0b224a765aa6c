const { age, clock, count, many, rate, size, stamp } = await load('words.js');
const place = await load('place.js');
const json = await load('json.js');

test('figures and times are as people read them', () => {
  same([count(0), count(999), count(12345), count(1234567)], ['0', '999', '12,345', '1,234,567']);
  same([many(1, 'line'), many(12345, 'line')], ['1 line', '12,345 lines']);
  same([size(0), size(1023), size(1536), size(1 << 30)], ['0 bytes', '1,023 bytes', '1.5 KiB', '1.0 GiB']);
  same([age(0), age(5e3), age(3e5), age(2e7), age(3e8), age(-5)], ['now', '5 s', '5 min', '5 h', '3 d', 'now']);
  same([rate(0), rate(0.42), rate(12.3)], ['0', '0.4', '12']);
});

test('a time is shown as the clock here has it, with the day when it is another', () => {
  const at = new Date(2026, 0, 2, 3, 4, 5, 67);
  same(clock(at.toISOString(), new Date(2026, 0, 2, 23)), '03:04:05.067');
  same(clock(at.toISOString(), new Date(2026, 0, 3, 1)), '2026-01-02 03:04:05.067');
  same(clock('nonsense', at), '');
  same(stamp('2026-01-02T03:04:05.123456789Z'), [Date.UTC(2026, 0, 2, 3, 4, 5, 123), 456789]);
  same([stamp(null), stamp('x')], [null, null]);
});

test('a view goes through the address bar and back', () => {
  const view = { streams: ['c/main', 'c/t/2026/a b.log', 'ü/#&='], pattern: 'a+b&c=#%20 ✔', ignoreCase: true, invert: true, at: 12345 };
  same(place.read(place.write(view)), view);
  const plain = { streams: ['c/main'], pattern: '', ignoreCase: false, invert: false, at: null };
  same(place.write(plain), '#s=c/main');
  same(place.read('#s=c/main'), plain);
  same(place.read(''), { ...plain, streams: [] });
});

test('an address that says nonsense names no view', () => {
  same(place.read('#s=nothing&at=-1&i=yes').streams, []);
  same([place.read('#at=1e9').at, place.read('#at=x').at, place.read('#at=' + '9'.repeat(40)).at], [null, null, null]);
  const million = '#' + Array.from({ length: 100000 }, (_, i) => `s=c/${i}`).join('&');
  same(place.read(million).streams.length, place.MOST_STREAMS);
});

test('a JSON line keeps every digit and key when it is folded out', () => {
  const text = '{"id":12345678901234567890,"a":[1,{"b":null}],"a":"x\\"y","e":{},"f":[], "t":1e400}';
  const tokens = json.unfold(text);
  const all = tokens.map((t) => t.text).join('');
  same(all, '{\n  "id": 12345678901234567890,\n  "a": [\n    1,\n    {\n      "b": null\n    }\n  ],\n  "a": "x\\"y",\n  "e": {},\n  "f": [],\n  "t": 1e400\n}');
  same(tokens.filter((t) => t.kind === 'key').map((t) => t.text), ['"id"', '"a"', '"b"', '"a"', '"e"', '"f"', '"t"']);
  same([json.unfold('{oops}'), json.unfold('{' + '"a":{'.repeat(100) + '}'.repeat(101))], [null, null]);
});

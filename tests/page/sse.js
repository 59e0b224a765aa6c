const { Events, Lines } = await load('sse.js');

test('events are the same however they are cut', () => {
  const text = ': hello\n\nid: 7\nevent: lines\ndata: {"a":1}\n\ndata: one\r\ndata:  two\r\n\r\nevent: empty\n\nid: a\0b\nid: 8\ndata\n\n';
  const wanted = [
    { event: 'lines', data: '{"a":1}', id: '7' },
    { event: 'message', data: 'one\n two', id: '7' },
    { event: 'message', data: '', id: '8' },
  ];
  for (let size = 1; size <= text.length; size += 1) {
    const events = new Events();
    const got = [];
    for (let i = 0; i < text.length; i += size) got.push(...events.feed(text.slice(i, i + size)));
    same(got, wanted, `in pieces of ${size}`);
  }
});

test('an event without its end is none yet', () => {
  const events = new Events();
  same([...events.feed('data: x\n')], []);
  same([...events.feed('\n')].length, 1);
});

test('a line that never ends is refused', () => {
  const lines = new Lines();
  const piece = 'x'.repeat(1 << 24);
  let refused = false;
  try {
    for (let i = 0; i < 6; i += 1) [...lines.feed(piece)];
  } catch {
    refused = true;
  }
  holds(refused, 'it was kept');
});

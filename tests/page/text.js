const { acts, byteLength, fromBytes, safe, textOf } = await load('text.js');
const { pieces } = await load('ansi.js');
const { contrast, paint, readable } = await load('colour.js');

test('what acts is shown instead', () => {
  same(safe('a\tb \x1b[31mred\x07\x7f'), 'a\tb \\x1b[31mred\\x07\\x7f');
  same(safe('\u009b31m \u202eevil\u2066 \u2028'), '\\u{9b}31m \\u{202e}evil\\u{2066} \\u{2028}');
  same(safe('grün ✔ 日本 😀 \0'), 'grün ✔ 日本 😀 \\x00');
  holds(!acts('grün ✔ 日本 😀 🂠'), 'a pair of surrogates is one letter');
});

test('every byte is shown and counted, also when it is no text', () => {
  const bytes = Uint8Array.from([0x6f, 0x6b, 0xff, 0xc3, 0x28, 0xe2, 0x82, 0xf0, 0x9f, 0x98, 0x80, 0xed, 0xa0, 0x80, 0xc0, 0x80]);
  const text = fromBytes(bytes);
  same(safe(text), 'ok\\xff\\xc3(\\xe2\\x82😀\\xed\\xa0\\x80\\xc0\\x80');
  same(byteLength(text), bytes.length);
  same(textOf({ text_base64: btoa(String.fromCharCode(...bytes)) }) === text, true);
  const random = numbers(1);
  for (let round = 0; round < 300; round += 1) {
    const some = Uint8Array.from({ length: 40 }, () => (random() < 0.5 ? 0x80 + random() * 0x80 : random() * 0x80));
    same(byteLength(fromBytes(some)), some.length, [...some].join());
    same(fromBytes(some).replace(/[\udc80-\udcff]/gu, '�').length > 0, true);
  }
});

test('colours are drawn and nothing else is obeyed', () => {
  const of = (text, hits) => pieces(text, hits).map((p) => [p.text, p.style, p.mark, p.escape]);
  same(of('plain'), [['plain', null, false, false]]);
  same(of('a\x1b[1;31mb\x1b[0mc'), [['a', null, false, false], ['b', { bold: true, fg: 1 }, false, false], ['c', null, false, false]]);
  same(of('\x1b[38;5;208mx')[0][1], { fg: 208 });
  same(of('\x1b[48;2;1;2;999mx')[0][1], { bg: [1, 2, 255] });
  same(of('\x1b[97;4;9;3;7mx')[0][1], { fg: 15, underline: true, strike: true, italic: true, reverse: true });
  same(of('\x1b[1;2;31ma\x1b[22mb').map((p) => p[1]), [{ bold: true, dim: true, fg: 1 }, { fg: 1 }]);
  same(of('\x1b[38;9;1mx'), [['x', null, false, false]], 'a colour of another kind');
  same(of('\x1b[8mhidden\x1b[5mblink'), [['hiddenblink', null, false, false]], 'concealed text is shown');
  same(of('\x1b]0;t\x07\x1b[2J').map((p) => p[0]).join(''), '\\x1b]0;t\\x07\\x1b[2J');
  same(of('\x1b[31').map((p) => p[0]).join(''), '\\x1b[31', 'a sequence that is cut');
});

test('matches are byte ranges of the line', () => {
  const marked = (text, hits) => pieces(text, hits).filter((p) => p.mark).map((p) => p.text);
  same(marked('grün ✔ x', [[2, 4], [6, 9]]), ['ü', '✔']);
  same(marked('\x1b[31mred\x1b[0m', [[5, 8]]), ['red']);
  same(marked('abc', [[0, 1], [1, 2]]), ['ab']);
  same(marked('abc', [[5, 9]]), []);
});

test('a line that changes its colour with every letter stays bounded', () => {
  const text = Array.from({ length: 5000 }, (_, i) => `\x1b[3${i % 7}mx`).join('');
  const all = pieces(text);
  holds(all.length <= 400, `${all.length} pieces`);
  same(all.map((p) => p.text).join(''), 'x'.repeat(5000));
});

test('reversed colours change places', () => {
  const [plain, turned] = [paint({ fg: 0, bg: 15 }, 'light'), paint({ fg: 15, bg: 0, reverse: true }, 'light')];
  same(plain, turned);
  same(paint({ reverse: true }, 'light'), { color: 'rgb(255,255,255)', background: 'rgb(28,32,38)' });
});

test('every colour can be read in both themes', () => {
  // A line may also be pointed at, or be the one that a link leads to (--row and --target of style.css).
  const themes = { light: [[255, 255, 255], [238, 243, 249], [255, 243, 201]], dark: [[18, 20, 23], [26, 31, 38], [40, 35, 15]] };
  const random = numbers(7);
  const any = () => [0, 0, 0].map(() => Math.floor(random() * 256));
  for (let i = 0; i < 2000; i += 1) {
    const [fg, bg] = [any(), any()];
    holds(contrast(readable(fg, bg), bg) >= 4.5, `${fg} on ${bg}`);
  }
  const rgb = (css, otherwise) => css.match(/\d+/g)?.map(Number) ?? otherwise;
  for (const theme of ['light', 'dark']) {
    for (let fg = 0; fg < 256; fg += 1) {
      for (const style of [{ fg }, { bg: fg }, { fg, reverse: true }, { fg, bg: (fg * 7) % 256 }]) {
        const { color, background } = paint(style, theme);
        for (const under of themes[theme]) {
          holds(contrast(rgb(color), rgb(background, under)) >= 4.5, `${say(style)} ${theme} on ${under}`);
        }
      }
    }
  }
});

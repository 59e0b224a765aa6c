// The rate of the last minutes as bars of a small picture.

/** Draws `rates`, oldest first, over the whole of `canvas`; the highest bar is the highest rate. */
export function graph(canvas, rates) {
  const scale = globalThis.devicePixelRatio || 1;
  const [wide, high] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
  const colour = getComputedStyle(canvas).color;
  const drawn = `${wide} ${high} ${colour} ${rates.join(' ')}`;
  if (!wide || !high || canvas.drawn === drawn) return;
  canvas.drawn = drawn;
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  const pen = canvas.getContext('2d');
  pen.clearRect(0, 0, wide, high);
  pen.fillStyle = colour;
  const most = Math.max(1, ...rates);
  const step = wide / Math.max(rates.length, 1);
  pen.globalAlpha = 0.35;
  pen.fillRect(0, high - scale, wide, scale);
  pen.globalAlpha = 1;
  rates.forEach((value, index) => {
    if (value <= 0) return;
    const bar = Math.max(scale, (value / most) * high);
    pen.fillRect(Math.floor(index * step), high - bar, Math.max(1, Math.ceil(step) - 0.5), bar);
  });
}

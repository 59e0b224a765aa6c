// What comes over a connection, piece by piece, as events and lines. Pure: text goes in, values come out.

/** Longest line or event that is put together, in UTF-16 units: a server that never ends a line must not fill the memory. */
const LONGEST = 64 << 20;

/** Lines out of pieces of text; CR before LF belongs to the line end. */
export class Lines {
  #rest = [];
  #length = 0;

  /** The lines that `text` ends, without their ends. */
  *feed(text) {
    let from = 0;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
      this.#rest.push(text.slice(from, at));
      from = at + 1;
      const line = this.#rest.length > 1 ? this.#rest.join('') : this.#rest[0];
      this.#rest = [];
      this.#length = 0;
      yield line.endsWith('\r') ? line.slice(0, -1) : line;
    }
    if (from < text.length) {
      this.#rest.push(text.slice(from));
      this.#length += text.length - from;
      if (this.#length > LONGEST) throw new Error('the server sent a line that never ends');
    }
  }
}

/** Server-sent events (HTML Living Standard, 9.2.6), but for a lone CR, which our server never sends. */
export class Events {
  #lines = new Lines();
  #event = '';
  #data = [];
  /** The last id that was seen; what a new connection continues after. */
  #id = null;

  /** The events `{event, data, id}` that `text` completes; `id` is the one that holds after it, or null. */
  *feed(text) {
    for (const line of this.#lines.feed(text)) {
      if (line === '') {
        const { event, data } = { event: this.#event, data: this.#data };
        this.#event = '';
        this.#data = [];
        if (data.length) yield { event: event || 'message', data: data.join('\n'), id: this.#id };
        continue;
      }
      const colon = line.indexOf(':');
      if (colon === 0) continue; // a comment keeps the connection open
      const field = colon < 0 ? line : line.slice(0, colon);
      let value = colon < 0 ? '' : line.slice(colon + 1);
      if (value.startsWith(' ')) value = value.slice(1);
      if (field === 'event') this.#event = value;
      else if (field === 'data') this.#data.push(value);
      else if (field === 'id' && !value.includes('\0')) this.#id = value;
    }
  }
}

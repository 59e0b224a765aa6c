// The one connection of a tab: server-sent events over fetch, which resumes where it stopped.
import { Events } from './sse.js';

/** How long one may work before the browser gets its turn, in milliseconds; a frame has 16. */
const SLICE = 8;
/** The server says something every 15 s; after three times nothing the connection is dead. */
const SILENCE = 45_000;
/** The waits between attempts, in milliseconds. */
const [SHORTEST, LONGEST] = [250, 10_000];

/** The next turn of the event loop; not delayed as timers are. */
export const turn = () =>
  new Promise((go) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => go();
    channel.port2.postMessage(null);
  });

/** What a refusal says, in one sentence. */
export async function sentence(response) {
  const text = (await response.text().catch(() => '')).trim();
  return text && text.length < 2000 && !text.startsWith('<') ? text : `the server answers ${response.status}`;
}

export class Link {
  #on;
  #address = null;
  #id = null;
  #control = null;
  #waits = null;

  /**
   * `on.opened(again)`, `on.event(name, value)`, `on.away(milliseconds)` until the next attempt, `on.refused(status, sentence)`:
   * no more attempts.
   */
  constructor(on) {
    this.#on = on;
    document.addEventListener('visibilitychange', () => {
      // Browsers allow six connections a host: whoever does not look needs none.
      if (document.hidden) this.#stop();
      else if (this.#address) this.#start();
    });
    addEventListener('online', () => this.#waits?.());
    addEventListener('pageshow', (event) => event.persisted && this.#address && this.#start());
  }

  /** Opens another view; nothing of the one before comes any more. */
  open(address) {
    this.#address = address;
    this.#id = null;
    this.#stop();
    if (!document.hidden) this.#start();
  }

  #stop() {
    this.#control?.abort();
    this.#control = null;
  }

  #start() {
    this.#stop();
    const control = (this.#control = new AbortController());
    void this.#run(control.signal);
  }

  async #run(signal) {
    let wait = SHORTEST;
    while (!signal.aborted) {
      try {
        const headers = { Accept: 'text/event-stream' };
        if (this.#id !== null) headers['Last-Event-ID'] = this.#id;
        const response = await fetch(this.#address, { headers, signal, cache: 'no-store' });
        if (!response.ok && response.status < 500 && response.status !== 429) {
          const says = await sentence(response);
          if (!signal.aborted) this.#on.refused(response.status, says);
          return;
        }
        if (response.ok) {
          this.#on.opened(this.#id !== null);
          await this.#read(response.body.getReader(), signal, () => (wait = SHORTEST));
        }
      } catch (problem) {
        if (signal.aborted) return;
        if (!(problem instanceof TypeError)) console.warn(`reclog: ${problem.message}`);
      }
      if (signal.aborted) return;
      // Many tabs must not come back all at once.
      const pause = wait * (0.5 + Math.random() / 2);
      this.#on.away(pause);
      await new Promise((go) => {
        this.#waits = go;
        setTimeout(go, pause);
      });
      this.#waits = null;
      wait = Math.min(wait * 2, LONGEST);
    }
  }

  async #read(reader, signal, heard) {
    const events = new Events();
    const decoder = new TextDecoder();
    let silence;
    try {
      let since = performance.now();
      for (;;) {
        clearTimeout(silence);
        silence = setTimeout(() => reader.cancel().catch(() => {}), SILENCE);
        const { done, value } = await reader.read();
        if (done || signal.aborted) return;
        heard();
        for (const event of events.feed(decoder.decode(value, { stream: true }))) {
          this.#on.event(event.event, JSON.parse(event.data));
          // It may have led to another view, or to this one anew.
          if (signal.aborted) return;
          // What was handed on is not asked for again, and nothing else is left out.
          if (event.id !== null) this.#id = event.id;
          if (performance.now() - since > SLICE) {
            await turn();
            if (signal.aborted) return;
            since = performance.now();
          }
        }
        if (performance.now() - since > SLICE) {
          await turn();
          since = performance.now();
        }
      }
    } finally {
      clearTimeout(silence);
      reader.cancel().catch(() => {});
    }
  }
}

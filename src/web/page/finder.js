// Search of all that is on disk: progress, cancel, context, count; a hit opens in its place.
import { item, search } from './api.js';
import { draw, make } from './row.js';
import { write } from './place.js';
import { safe } from './text.js';
import { clock, count, many, size } from './words.js';

/** Hits (with their context) that are listed; beyond, they are counted only. */
const MOST = 2_000;
const $ = (id) => document.getElementById(id);

export class Finder {
  #on;
  #control = null;
  #hits = [];
  #current = -1;
  #batch = [];
  #frame = 0;
  #total = 0;
  #say = '';
  /** Parts that could not be read. */
  #missed = 0;

  /** `on.view()`: the view now; `on.theme()`. */
  constructor(on) {
    this.#on = on;
    $('finder-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.start();
    });
    $('finder-cancel').addEventListener('click', () => this.cancel('cancelled'));
    $('finder-close').addEventListener('click', () => this.close());
  }

  get open() {
    return !$('finder').hidden;
  }

  get hits() {
    return this.#hits.length;
  }

  /** Opens the search; with a pattern in the filter it starts at once. */
  show() {
    const { pattern } = this.#on.view();
    $('finder').hidden = false;
    $('search').ariaExpanded = 'true';
    const field = $('finder-pattern');
    const fresh = pattern && field.value !== pattern;
    if (fresh) field.value = pattern;
    field.focus();
    field.select();
    if (fresh) void this.start();
  }

  close() {
    this.cancel('cancelled');
    $('finder').hidden = true;
    $('search').ariaExpanded = 'false';
    $('log').focus();
  }

  cancel(why) {
    if (!this.#control) return;
    this.#control.abort();
    this.#over(why);
  }

  #over(why) {
    this.#control = null;
    $('finder-cancel').hidden = true;
    $('finder-progress').hidden = true;
    this.#say = why;
    this.#count();
    // Whoever used the cancel button stands on nothing now.
    if (document.activeElement === document.body) $('finder-pattern').focus();
  }

  #count() {
    const more = this.#total > this.#hits.length ? ` (the first ${count(this.#hits.length)} are listed)` : '';
    $('finder-count').textContent = `${many(this.#total, 'hit')}${more}${this.#say ? ' · ' + this.#say : ''}`;
  }

  #problem(text) {
    $('finder-error').textContent = text;
    $('finder-error').hidden = !text;
    $('finder-pattern').setAttribute('aria-invalid', String(Boolean(text)));
  }

  async start() {
    this.cancel('');
    const pattern = $('finder-pattern').value;
    this.#problem('');
    $('finder-hits').replaceChildren();
    [this.#hits, this.#batch, this.#current, this.#total, this.#say] = [[], [], -1, 0, ''];
    if (!pattern) return;
    const control = (this.#control = new AbortController());
    const now = this.#on.view();
    const view = { ...now, pattern };
    if (!view.streams.length) return this.#over('no stream is shown');
    $('finder-cancel').hidden = $('finder-progress').hidden = false;
    $('finder-progress').value = 0;
    this.#missed = 0;
    this.#say = 'searching…';
    this.#count();
    try {
      const context = Math.min(20, Math.max(0, Number($('finder-context').value) || 0));
      await search(view, view.streams, context, control.signal, (object) => this.#take(object, view, context));
      if (!control.signal.aborted) this.#over(this.#say === 'searching…' ? 'the search was cut off' : this.#say);
    } catch (problem) {
      if (control.signal.aborted) return;
      this.#problem(problem.message);
      this.#over('');
    }
  }

  #take(object, view, context) {
    if (object.progress) {
      const { bytes, of } = object.progress;
      $('finder-progress').value = of ? bytes / of : 1;
      this.#say = 'searching…';
      this.#total = Math.max(this.#total, object.progress.hits ?? 0);
      $('finder-count').textContent = `${many(this.#total, 'hit')} · ${size(bytes)} of ${size(of)}`;
    } else if (object.notice) {
      this.#missed += 1;
      this.#problem(object.notice.what);
    } else if (object.error) {
      this.#missed += 1;
      this.#problem(object.error);
    } else if (object.end) {
      this.#total = object.hits ?? this.#total;
      this.#say = this.#missed ? 'what could be read is searched' : 'everything is searched';
    } else if (object.offset !== undefined && this.#hits.length < MOST) {
      this.#batch.push(this.#row(item(object), Boolean(object.context), view, context));
      this.#frame ||= requestAnimationFrame(() => this.#flush());
    }
  }

  #flush() {
    this.#frame = 0;
    $('finder-hits').append(...this.#batch);
    this.#batch = [];
    this.#total = Math.max(this.#total, this.#hits.length);
    this.#count();
  }

  #row(line, isContext, view, context) {
    const row = make('li', isContext ? 'context' : 'hit');
    if (line.time) row.append(make('time', '', clock(line.time, new Date())), ' ');
    if (view.streams.length > 1) row.append(make('span', 'source', safe(line.key)), ' ');
    const text = make(isContext ? 'span' : 'a', 'text');
    draw(text, line.text.slice(0, 2000), line.hits, this.#on.theme());
    if (!isContext) {
      text.href = write({ streams: [line.key], pattern: '', ignoreCase: false, invert: false, at: line.offset });
      this.#hits.push(text);
    }
    row.append(text);
    if (isContext && context) row.ariaLabel = 'context';
    return row;
  }

  /** Opens the next hit, or the one before. */
  step(by) {
    if (!this.#hits.length) return false;
    this.#hits[this.#current]?.removeAttribute('aria-current');
    this.#current = Math.min(this.#hits.length - 1, Math.max(0, this.#current + by));
    const hit = this.#hits[this.#current];
    hit.setAttribute('aria-current', 'true');
    hit.scrollIntoView({ block: 'nearest' });
    hit.click();
    return true;
  }
}

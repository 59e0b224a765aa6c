// The list of lines: a few hundred rows of a buffer of thousands.
//
// Rows are as high as their lines wrap, so no height is ever guessed: the scroller holds a window of the buffer and nothing
// else. The window moves when one comes near its ends; what is looked at stays where it is, to the pixel.

/** Rows in the document at most, and by how many the window moves. */
const [MOST, STEP] = [360, 80];
/** Rows that are kept while new ones stream in below, in multiples of what fits. */
const TAIL = 1.6;
/** How near to the end counts as the end, in pixels; letters of fractional height leave less. */
const NEAR = 6;

export class List {
  /** Whether the view follows the newest line. */
  stuck = true;
  #scroller;
  #rows;
  #make;
  #on;
  #items = () => [];
  #low = 0;
  #high = 0;
  #frame = 0;
  #stale = true;
  #last = 0;
  #size = '';
  #cost = 0;
  #rest = 0;

  /** `make(item)` is a row; `on.stuck(bool)`, `on.older()`, `on.gap(gap)`, `on.drawn()`. */
  constructor(scroller, rows, items, make, on) {
    [this.#scroller, this.#rows, this.#items, this.#make, this.#on] = [scroller, rows, items, make, on];
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#pin()).observe(scroller);
  }

  /** The buffer has changed: `removed` items at `at` gave way to `added`. */
  moved(at, removed, added) {
    const end = at + removed;
    const shifted = (index) => (end <= index ? index + added - removed : Math.min(index, at + added));
    // What is put in at the very beginning of the window is above it; what is put in at its end is below.
    if (at < this.#low || (at === this.#low && !removed)) this.#low = shifted(this.#low);
    if (at < this.#high) this.#high = shifted(this.#high);
    this.#high = Math.max(this.#low, this.#high);
    this.schedule();
  }

  /** Draws at the next frame. */
  schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      // When drawing is dear, every other frame has to do: the browser needs its time, too.
      if (this.#rest > 0) {
        this.#rest -= 1;
        this.schedule();
        return;
      }
      const start = performance.now();
      this.draw();
      this.#cost = performance.now() - start;
      this.#rest = this.#cost > 12 ? Math.min(4, Math.floor(this.#cost / 12)) : 0;
    });
  }

  /** Every row is made anew: colours or columns have changed. */
  redraw() {
    this.#stale = true;
    this.schedule();
  }

  /** Follows the newest line from now on. */
  toEnd() {
    this.stuck = true;
    this.#on.stuck(true);
    this.schedule();
  }

  /** Stays where it is from now on. */
  leaveEnd() {
    if (!this.stuck) return;
    this.stuck = false;
    this.#on.stuck(false);
  }

  /** Index of the item in the middle of what is looked at. */
  get middle() {
    return Math.floor((this.#low + this.#high) / 2);
  }

  /** Shows the item at `index` in the middle; `focus`: it is the current row. */
  show(index, focus) {
    const items = this.#items();
    if (!items[index]) return;
    this.leaveEnd();
    if (index < this.#low + 5 || index >= this.#high - 5) {
      this.#low = Math.max(0, index - STEP);
      this.#high = Math.min(items.length, index + STEP);
    }
    this.draw();
    const element = items[index].row;
    element?.scrollIntoView({ block: focus === 'near' ? 'nearest' : 'center' });
    this.#last = this.#scroller.scrollTop;
    if (focus) element?.focus({ preventScroll: true });
    this.#ends();
  }

  /** Where the row of `item` begins below the upper edge of what is seen, if nothing above it is in sight; else null. */
  leads(item) {
    const anchor = this.#anchor();
    return anchor && anchor.row === item.row ? anchor.delta : null;
  }

  /** The row of `item` is made anew, in its place. */
  renew(item) {
    const old = item.row;
    if (!old?.isConnected) return void (item.row = null);
    item.row = this.#make(item);
    item.row.item = item;
    old.replaceWith(item.row);
  }

  /** Shows `item` where {@link leads} found another one. */
  settle(item, delta) {
    const items = this.#items();
    const index = items.indexOf(item);
    if (index < 0) return;
    this.leaveEnd();
    this.#around(index);
    this.#rebuild(items);
    this.#scroll(item.row.offsetTop - delta);
    this.#ends();
  }

  /** The window is moved to this index. */
  #around(index) {
    this.#low = Math.max(0, index - STEP);
    this.#high = Math.min(this.#items().length, this.#low + MOST);
  }

  /** The scroller may stand elsewhere than it was told to: at its end, or between two pixels. */
  #scroll(top) {
    this.#scroller.scrollTop = top;
    this.#last = this.#scroller.scrollTop;
  }

  /** Index of the row that has the focus, else of the last (or first) one in sight. */
  current(first = false) {
    const items = this.#items();
    const focused = document.activeElement?.closest?.('#rows > .row')?.item;
    if (focused) return items.indexOf(focused);
    const { top, bottom } = this.#scroller.getBoundingClientRect();
    const rows = [...this.#rows.children].filter((r) => r.getBoundingClientRect().bottom > top && r.getBoundingClientRect().top < bottom);
    const row = first ? rows[0] : rows.at(-1);
    return row ? items.indexOf(row.item) : items.length - 1;
  }

  #fits() {
    const height = parseFloat(getComputedStyle(this.#rows).lineHeight) || 18;
    return Math.ceil((this.#scroller.clientHeight / height) * TAIL) + 10;
  }

  /** The first row in sight and how far it is scrolled out. */
  #anchor() {
    const rows = this.#rows.children;
    const top = this.#scroller.scrollTop;
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].offsetTop + rows[middle].offsetHeight > top) high = middle;
      else low = middle + 1;
    }
    const row = rows[low];
    return row ? { row, delta: row.offsetTop - top } : null;
  }

  /** Brings the document to what the window says. */
  draw() {
    const items = this.#items();
    if (this.stuck) {
      this.#high = items.length;
      this.#low = Math.max(0, items.length - this.#fits());
    } else {
      this.#high = Math.min(this.#high, items.length);
      this.#low = Math.min(this.#low, this.#high);
      this.#high = Math.min(this.#high, this.#low + MOST);
      if (this.#high - this.#low < STEP) this.#high = Math.min(items.length, this.#low + STEP);
    }
    const anchor = this.stuck ? null : this.#anchor();
    const at = anchor ? items.indexOf(anchor.row.item) : -1;
    // What came in before it has moved it out of the window.
    if (at >= this.#high) this.#around(at);
    this.#rebuild(items);
    if (this.stuck) this.#pin();
    else if (anchor?.row.isConnected) this.#scroll(anchor.row.offsetTop - anchor.delta);
    this.#on.drawn();
    if (!this.stuck || this.#scroller.scrollHeight <= this.#scroller.clientHeight) this.#ends();
  }

  #rebuild(items) {
    const rows = this.#rows;
    const want = items.slice(this.#low, this.#high);
    if (this.#stale) for (const item of want) item.row = null;
    const wanted = new Set(want);
    const kept = [...rows.children].filter((row) => wanted.has(row.item) && row.item.row === row);
    this.#stale = false;
    const element = (item) => {
      if (!item.row) {
        item.row = this.#make(item);
        item.row.item = item;
      }
      return item.row;
    };
    for (const row of [...rows.children]) {
      if (!wanted.has(row.item) || row.item.row !== row) {
        // A row that is not shown costs nothing: only items in the window have elements.
        if (row.item.row === row) row.item.row = null;
        row.remove();
      }
    }
    if (!kept.length) {
      const all = document.createDocumentFragment();
      for (const item of want) all.append(element(item));
      rows.append(all);
      return;
    }
    let next = rows.firstChild;
    for (const item of want) {
      const row = element(item);
      if (row === next) next = next.nextSibling;
      else rows.insertBefore(row, next);
    }
  }

  #pin() {
    if (!this.stuck) return;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#last = this.#scroller.scrollTop;
    this.#size = this.#measure();
  }

  #measure() {
    const { clientWidth, clientHeight, scrollHeight } = this.#scroller;
    return `${clientWidth} ${clientHeight} ${scrollHeight}`;
  }

  #scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroller;
    const [up, down] = [scrollTop < this.#last - 1, scrollTop > this.#last];
    // A window that grew and a line that was folded in move the lines, too: nobody scrolled.
    if (this.stuck && this.#size !== this.#measure()) return this.#pin();
    const items = this.#items();
    this.#last = scrollTop;
    const end = scrollTop + clientHeight >= scrollHeight - NEAR && this.#high >= items.length;
    // Only who goes there follows it: a scroll that was not somebody's tells of a place that is known.
    const stuck = end && down && !(items.at(-1)?.kind === 'gap');
    if (up && this.stuck && !end) {
      this.stuck = false;
      this.#on.stuck(false);
    } else if (stuck && !this.stuck) {
      this.stuck = true;
      this.#on.stuck(true);
    }
    if (!this.stuck) this.#ends();
  }

  /** Near an end of the window: moves it, or asks for what is beyond the buffer. */
  #ends() {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroller;
    const items = this.#items();
    const before = [this.#low, this.#high];
    if (scrollTop < clientHeight) {
      if (this.#low > 0) {
        this.#low = Math.max(0, this.#low - STEP);
        if (!this.stuck) this.#high = Math.min(this.#high, this.#low + MOST);
      } else this.#on.older();
    }
    if (!this.stuck && scrollHeight - scrollTop - clientHeight < clientHeight) {
      if (this.#high < items.length) {
        this.#high = Math.min(items.length, this.#high + STEP);
        this.#low = Math.max(this.#low, this.#high - MOST);
      }
      const gap = items.slice(this.#low, this.#high).findLast((item) => item.kind === 'gap' && item.auto && !item.loading);
      if (gap) this.#on.gap(gap);
    }
    if (!this.stuck && (before[0] !== this.#low || before[1] !== this.#high)) this.schedule();
  }
}

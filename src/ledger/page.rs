//! One file's page in the books of a stream: an output may be many files, each with flushes that prove something about
//! itself alone. Their sums stand in the ledger at every moment.

use super::{Books, StreamLedger};

/// The books of one open file, and of those that had its name before. Dropped, they are
/// [closed](Page::close) as those of a file of which nothing more is known.
#[derive(Debug)]
pub struct Page {
    pub(super) ledger: StreamLedger,
    number: u64,
}

/// Payload bytes, unless it says otherwise.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    stored: u64,
    /// Of these, covered by a completed fsync.
    synced: u64,
    /// Of these, in earlier files that no fsync covers and none ever will: one of theirs failed.
    unproven: u64,
    /// An fsync of the file that has the name now failed.
    broken: bool,
    /// All bytes that the file has.
    bytes: u64,
    /// Bytes that are free for it.
    free: Option<u64>,
    /// Why it cannot be put away, a sentence.
    rotate_trouble: Option<String>,
}

impl StreamLedger {
    /// A page for a file that has `bytes` before anything is written.
    #[must_use]
    pub fn page(&self, bytes: u64) -> Page {
        let mut books = self.lock();
        let number = books.pages;
        books.pages += 1;
        books.sheets.insert(number, Sheet { bytes, ..Sheet::default() });
        books.output_bytes += bytes;
        Page { ledger: self.clone(), number }
    }

    /// What was flushed without being entered, in files that are closed, counts as synced from now on.
    pub fn enter_quiet(&self) {
        let mut books = self.lock();
        books.ledger.synced += std::mem::take(&mut books.quiet);
    }
}

impl Page {
    fn with<T>(&self, change: impl FnOnce(&mut Books, &mut Sheet) -> T) -> T {
        let mut books = self.ledger.lock();
        // Out of the books for a moment, under their lock. One that is closed has an empty sheet that nobody sees.
        let sheet = books.sheets.remove(&self.number);
        let open = sheet.is_some();
        let mut sheet = sheet.unwrap_or_default();
        let result = change(&mut books, &mut sheet);
        if open {
            books.sheets.insert(self.number, sheet);
        }
        result
    }

    /// `payload` pending bytes and `added` bytes of our own now stand in the file, which has `bytes`.
    pub fn stored(&self, payload: u64, added: u64, bytes: u64) {
        self.with(|books, sheet| {
            sheet.stored += books.store(payload, added);
            sheet.has(books, bytes);
        });
    }

    /// Payload bytes stored so far.
    #[must_use]
    pub fn stored_so_far(&self) -> u64 {
        self.with(|_, sheet| sheet.stored)
    }

    /// A completed fsync covers the first `stored` payload bytes; those of earlier files were flushed before. After one
    /// that failed none proves anything about this file any more. Returns whether it does.
    #[must_use]
    pub fn synced(&self, stored: u64) -> bool {
        self.with(|books, sheet| {
            debug_assert!(stored <= sheet.stored);
            if !sheet.broken {
                let more = stored.saturating_sub(sheet.unproven).saturating_sub(sheet.synced);
                sheet.synced += more;
                books.ledger.synced += more;
            }
            !sheet.broken
        })
    }

    /// A flush to the disk failed: what this file got, and still gets, never counts as synced.
    pub fn sync_failed(&self, reason: String) {
        self.with(|books, sheet| {
            books.sync_trouble = Some(reason);
            sheet.broken = true;
        });
    }

    /// Whether a flush of this file failed.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.with(|_, sheet| sheet.broken)
    }

    /// The output goes on in a new file, whose flushes prove something again. Returns whether those of the old one did not.
    #[must_use]
    pub fn new_file(&self) -> bool {
        self.with(|_, sheet| {
            if sheet.broken {
                sheet.unproven = sheet.stored - sheet.synced;
            }
            std::mem::take(&mut sheet.broken)
        })
    }

    /// The output goes on with `bytes` in the file, the rest having been put or taken away.
    pub fn rotated(&self, bytes: u64) {
        self.with(|books, sheet| {
            books.rotations += 1;
            sheet.has(books, bytes);
        });
    }

    /// So many bytes are free on the file system of the file.
    pub fn has_free(&self, bytes: u64) {
        self.with(|_, sheet| sheet.free = Some(bytes));
        self.ledger.lock().tell_free();
    }

    /// The file cannot be put away (`Some`), or could be at last. Returns whether that is new.
    #[must_use]
    pub fn set_rotate_trouble(&self, sentence: Option<String>) -> bool {
        let new = self.with(|_, sheet| {
            let new = sheet.rotate_trouble != sentence;
            sheet.rotate_trouble = sentence;
            new
        });
        if new {
            self.ledger.lock().tell_rotate_trouble();
        }
        new
    }

    /// The file is closed. `flushed`: all that it has is on the disk.
    pub fn close(&self, flushed: bool) {
        self.with(|books, sheet| {
            if flushed && !sheet.broken {
                let quiet = sheet.stored - sheet.unproven - sheet.synced;
                sheet.synced += quiet;
                books.quiet += quiet;
            }
        });
        self.leave();
    }

    /// The stream ends: what the file has stays in the sum.
    pub fn end(&self) {
        self.with(|_, sheet| sheet.bytes = 0);
    }

    fn leave(&self) {
        let mut books = self.ledger.lock();
        if let Some(sheet) = books.sheets.remove(&self.number) {
            books.output_bytes -= sheet.bytes;
            books.tell_rotate_trouble();
            books.tell_free();
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Sheet {
    fn has(&mut self, books: &mut Books, bytes: u64) {
        books.output_bytes = books.output_bytes - self.bytes + bytes;
        self.bytes = bytes;
    }
}

impl Books {
    /// Returns the payload bytes that were pending.
    fn store(&mut self, payload: u64, added: u64) -> u64 {
        // Less is pending only when a disk that hung comes back after its bytes were given up as lost.
        let payload = payload.min(self.ledger.pending);
        self.ledger.pending -= payload;
        self.ledger.stored += payload;
        self.ledger.added += added;
        payload
    }

    /// The least of all files; what was last known, while none is open.
    fn tell_free(&mut self) {
        let least = self.sheets.values().filter_map(|sheet| sheet.free).min();
        self.counts.free = least.or(self.counts.free);
    }

    /// That of the file that was opened first.
    fn tell_rotate_trouble(&mut self) {
        self.counts.rotate_trouble = self.sheets.values().find_map(|sheet| sheet.rotate_trouble.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(page: &Page, n: u64, bytes: u64) {
        page.ledger.received(n, 1, 0);
        page.stored(n, 0, bytes);
    }

    #[test]
    fn what_a_failed_flush_covers_never_counts_and_a_new_file_counts_again() {
        let ledger = StreamLedger::new();
        let page = ledger.page(0);
        let synced = || ledger.counts().ledger.synced;
        store(&page, 10, 0);
        assert!(page.synced(10));
        store(&page, 5, 0);
        page.sync_failed("Input/output error".into());
        store(&page, 5, 0);
        assert!(!page.synced(20));
        assert_eq!(synced(), 10, "pages that were dropped are not found by a later flush");
        assert!(page.new_file());
        store(&page, 3, 0);
        assert!(page.synced(23) && !page.new_file());
        assert_eq!(synced(), 13);
        assert!(ledger.counts().sync_trouble.is_some(), "nothing has become of those ten bytes");
    }

    #[test]
    fn the_sums_of_many_files_are_exact_whichever_of_them_fails_or_is_closed() {
        let ledger = StreamLedger::new();
        let (one, other) = (ledger.page(100), ledger.page(1));
        let sums = || {
            let counts = ledger.counts();
            (counts.ledger.stored, counts.ledger.synced, counts.output_bytes)
        };
        store(&one, 10, 110);
        store(&other, 7, 8);
        assert_eq!(sums(), (17, 0, 118));
        assert!(other.synced(7));
        store(&other, 2, 10);
        assert_eq!(sums(), (19, 7, 120), "a flush of one file proves nothing about another");
        one.sync_failed("Input/output error".into());
        assert!(!one.synced(10) && other.synced(9));
        assert_eq!(sums(), (19, 9, 120));
        assert!(one.set_rotate_trouble(Some("no".into())) && !one.set_rotate_trouble(Some("no".into())));
        assert_eq!(ledger.counts().rotate_trouble.as_deref(), Some("no"));
        one.close(true);
        assert_eq!((sums(), ledger.counts().rotate_trouble), ((19, 9, 10), None));
        store(&other, 1, 11);
        other.rotated(0);
        assert_eq!((sums(), ledger.counts().rotations), ((20, 9, 0), 1));
        other.close(true);
        assert_eq!(sums(), (20, 9, 0), "flushed, and nobody asked");
        ledger.enter_quiet();
        assert_eq!(sums(), (20, 10, 0));
        let third = ledger.page(5);
        store(&third, 1, 6);
        drop(third);
        ledger.enter_quiet();
        assert_eq!(sums(), (21, 10, 0), "nobody knows whether it was flushed");
        let (full, empty) = (ledger.page(0), ledger.page(0));
        full.has_free(7);
        empty.has_free(70);
        assert_eq!(ledger.counts().free, Some(7), "the fullest file system counts");
        drop(full);
        assert_eq!(ledger.counts().free, Some(70));
        drop(empty);
        let last = ledger.page(5);
        last.end();
        drop(last);
        assert_eq!(sums(), (21, 10, 5), "the last figures tell of the files as they are left");
    }
}

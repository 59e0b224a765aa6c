//! Bytes become records: pure, chunk by chunk, with at most one unfinished record in memory.

mod datagram;
mod lines;
mod record;
mod relp;
mod syslog;

use crate::plan::{Ends, Framing};
use crate::sink::Records;
pub use datagram::datagram;
use lines::Lines;
use relp::Relp;
pub use relp::{Opened, Over, Said, after};
use syslog::Syslog;

/// One sender's framing. Any way of cutting the same bytes into chunks gives the same records.
#[derive(Debug)]
pub struct Framer(Kind);

#[derive(Debug)]
enum Kind {
    Raw,
    Lines(Lines),
    // Boxed: the others are much smaller, and there may be thousands.
    Syslog(Box<Syslog>),
    Relp(Box<Relp>),
}

/// What a call made.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Records that are complete now. The pieces of an over-long one count one each, as they are lines in the file.
    pub records: u64,
    /// Over-long records; each counts once.
    pub split: u64,
    /// Bytes of the sender that framing took away: ends, octet counts, headers. What is neither in the batch nor here is
    /// [held](Framer::held).
    pub taken: u64,
}

impl std::ops::AddAssign for Made {
    fn add_assign(&mut self, more: Self) {
        self.records += more.records;
        self.split += more.split;
        self.taken += more.taken;
    }
}

impl Framer {
    /// `max_line`: the longest record in bytes, its line end included; at least 2. `ends` matters to lines alone.
    #[must_use]
    pub fn new(framing: Framing, ends: Ends, max_line: usize) -> Self {
        Self(match framing {
            Framing::Raw => Kind::Raw,
            Framing::Lines => Kind::Lines(Lines::new(ends, max_line)),
            Framing::Syslog => Kind::Syslog(Box::new(Syslog::new(ends.strip_cr, max_line))),
            Framing::Relp => Kind::Relp(Box::new(Relp::new(max_line))),
        })
    }

    /// Bytes of the unfinished record, and of the header before it.
    #[must_use]
    pub fn held(&self) -> usize {
        match &self.0 {
            Kind::Raw => 0,
            Kind::Lines(lines) => lines.held(),
            Kind::Syslog(syslog) => syslog.held(),
            Kind::Relp(relp) => relp.held(),
        }
    }

    /// Takes the next bytes and appends the records they complete to `out`.
    pub fn feed(&mut self, input: &[u8], out: &mut dyn Records) -> Made {
        let mut made = Made::default();
        match &mut self.0 {
            Kind::Raw => {
                if !input.is_empty() {
                    out.chunk(input);
                    made.records += 1;
                }
            }
            Kind::Lines(lines) => lines.feed(input, out, &mut made),
            Kind::Syslog(syslog) => syslog.feed(input, out, &mut made),
            Kind::Relp(relp) => relp.feed(input, out, &mut made),
        }
        made
    }

    /// Emits the unfinished record as a piece of its own, so that its memory is free. Counts as a split.
    pub fn relieve(&mut self, out: &mut dyn Records) -> Made {
        let mut made = Made::default();
        match &mut self.0 {
            Kind::Raw => {}
            Kind::Lines(lines) => lines.relieve(out, &mut made),
            Kind::Syslog(syslog) => syslog.relieve(out, &mut made),
            Kind::Relp(relp) => relp.relieve(out, &mut made),
        }
        made
    }

    /// The sender has ended, in whatever way. A last line gets the end that it lacks; half a frame, which will be sent
    /// again, is taken away.
    pub fn finish(&mut self, out: &mut dyn Records) -> Made {
        let mut made = Made::default();
        match &mut self.0 {
            Kind::Raw => {}
            Kind::Lines(lines) => lines.finish(out, &mut made),
            Kind::Syslog(syslog) => syslog.finish(out, &mut made),
            Kind::Relp(relp) => relp.finish(&mut made),
        }
        made
    }

    /// What the sender is to be told since it was asked last; `None` for framings that answer nothing.
    pub fn said(&mut self) -> Option<Said> {
        match &mut self.0 {
            Kind::Relp(relp) => Some(relp.said()),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;

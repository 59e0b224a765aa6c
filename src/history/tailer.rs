//! What is appended to a [`Log`], in whole lines with their offsets.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::follow::{Arrived, Follower, Turned};
use super::log::Log;
use super::look;
use super::opened::How;
use super::page::{self, Bounds, Bytes as _, Part};
use super::view::View;

/// Bytes of the longest line that is handed out whole.
pub const WHOLE: usize = 4 * 1024 * 1024;
/// Polls, of one each [`super::POLL_INTERVAL`], that wait for the collector to say how many bytes were taken away: two seconds. It
/// looks at its file twice a second.
const WORD: u32 = 20;
/// Looks in a row without a file after which it is gone, and not about to be replaced.
const AWAY: u32 = 5;
/// How often it is looked again when the file was put away between two looks.
const ATTEMPTS: u32 = 5;

/// Goes on behind an offset of a [`Log`].
#[derive(Debug)]
pub struct Tailer {
    log: Log,
    follower: Follower,
    /// The offset of the first byte that the follower has read, so that `base` and the bytes that it counts are an offset.
    /// Grows when bytes are gone that it has not seen.
    base: u64,
    /// Up to where all was handed out, as the follower counts.
    handed: u64,
    /// The beginning of a line that does not come at once, and where it is.
    long: Option<Long>,
    /// It began in the middle of a line, the rest of which is not shown.
    skipping: bool,
    /// Held back until the collector has said how many bytes were taken away.
    held: Option<Held>,
    told_deleted: bool,
    /// Polls in one [`super::POLL_INTERVAL`].
    often: u32,
}

#[derive(Debug)]
struct Long {
    at: u64,
    bytes: Vec<u8>,
    length: u64,
}

#[derive(Debug)]
struct Held {
    turned: Turned,
    /// What comes behind the turn.
    arrived: VecDeque<Arrived>,
    polls: u32,
}

/// What a [`Tailer`] has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Lines.
    Lines {
        /// Of the first byte.
        offset: u64,
        /// Whole lines with LF. The last one may have got an LF that is not in the file: the next `offset` counts none.
        bytes: Vec<u8>,
    },
    /// A line longer than 4 MiB.
    Long {
        /// Of its first byte.
        offset: u64,
        /// Its beginning.
        bytes: Vec<u8>,
        /// All its bytes, without LF.
        length: u64,
    },
    /// The file was put away; what follows is in a new one.
    Rotated {
        /// Where the new file begins.
        offset: u64,
    },
    /// Bytes were taken from the file.
    Truncated {
        /// Where it goes on.
        offset: u64,
    },
    /// Another file has taken its place.
    Replaced {
        /// Where that one begins.
        offset: u64,
    },
    /// The file is gone, and there is none in its place yet.
    Deleted {
        /// Where it ended.
        offset: u64,
    },
}

impl Tailer {
    /// Goes on in the log of `path` at the first line that begins at or after `from`.
    pub(super) fn new(mut log: Log, path: &Path, from: u64) -> io::Result<Self> {
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let go_on = std::sync::atomic::AtomicBool::new(false);
            let mut view = log.view(&go_on)?;
            let look = look::look(path)?;
            // Two looks at one moment.
            let same = view.identity() == look.file.as_ref().map(|found| found.identity)
                && look.stamps(None).iter().all(|at| view.has(*at));
            if !same && left > 0 {
                continue;
            }
            let (at, skipping) = line_at(&mut view, from)?;
            let piece = view.pieces().find(|piece| piece.end() > at && piece.start <= at);
            let first = piece.and_then(|piece| piece.at);
            // At the very end it is the file, even if that is empty.
            let start = piece.map_or_else(|| view.file_start(), |piece| piece.start);
            let beside = start < view.file_start();
            let follower = Follower::within(path, look, first, beside, at.saturating_sub(start));
            return Ok(Self {
                log,
                follower,
                base: at,
                handed: 0,
                long: None,
                skipping,
                held: None,
                told_deleted: false,
                often: 1,
            });
        }
    }

    /// It is asked every `pace`, and not each [`super::POLL_INTERVAL`]: what it waits for takes as long as before.
    #[must_use]
    pub fn asked_every(mut self, pace: Duration) -> Self {
        let often = super::POLL_INTERVAL.as_micros().div_ceil(pace.as_micros().max(1));
        self.often = u32::try_from(often).unwrap_or(u32::MAX).max(1);
        self.follower.often = self.often;
        self
    }

    /// What has arrived; empty when there is nothing: wait [`super::POLL_INTERVAL`] before asking again, and do not wait
    /// before that. Never waits for anything but the disk.
    ///
    /// # Errors
    /// Those of opening and reading. It may be asked again afterwards, and goes on behind an archive that cannot be read.
    pub fn poll(&mut self) -> io::Result<Vec<Seen>> {
        let mut seen = Vec::new();
        if self.held.is_some() {
            self.hear(&mut seen);
            return Ok(seen);
        }
        loop {
            let arrived = self.follower.arrive()?;
            let empty = arrived.bytes.is_empty();
            let turns: VecDeque<_> = self.follower.turns.as_mut().map(std::mem::take).unwrap_or_default().into();
            self.handle(turns, Some(arrived).filter(|_| !empty), &mut seen);
            // Pieces of a long line alone are nothing yet.
            if empty || !seen.is_empty() || self.held.is_some() {
                break;
            }
        }
        if self.follower.away < AWAY {
            self.told_deleted = false;
        } else if !std::mem::replace(&mut self.told_deleted, true) {
            seen.push(Seen::Deleted { offset: self.offset() });
        }
        Ok(seen)
    }

    /// Up to where all was handed out.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.base + self.handed
    }

    /// Whether it holds nothing back: another one that begins at [`offset`](Self::offset) hands out the same.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.held.is_none() && self.long.is_none() && !self.skipping
    }

    /// Turns, and the bytes that came with them; those of a turn are behind it or, where they end what was before, before it.
    fn handle(&mut self, turns: VecDeque<Turned>, arrived: Option<Arrived>, seen: &mut Vec<Seen>) {
        let mut arrived = arrived;
        for turned in turns {
            if arrived.as_ref().is_some_and(|arrived| arrived.at < turned.at) {
                arrived.take().into_iter().for_each(|arrived| self.lines(arrived, seen));
            }
            if let Some(held) = &mut self.held {
                // Several at once: the last one says where it goes on.
                held.turned = Turned { how: held.turned.how, ..turned };
                continue;
            }
            if matches!(turned.how, How::Truncated | How::Replaced) {
                self.held = Some(Held { turned, arrived: VecDeque::new(), polls: 0 });
                self.hear(seen);
            } else {
                self.turn(&turned, seen);
            }
        }
        let Some(arrived) = arrived else { return };
        match &mut self.held {
            Some(held) => held.arrived.push_back(arrived),
            None => self.lines(arrived, seen),
        }
    }

    /// Looks whether the collector has said how many bytes were taken away.
    fn hear(&mut self, seen: &mut Vec<Seen>) {
        let Some(mut held) = self.held.take() else { return };
        held.polls += 1;
        let known = self.start_of(&held.turned).is_some_and(|start| start >= self.base + held.turned.at);
        if !known && held.polls <= WORD.saturating_mul(self.often) {
            self.held = Some(held);
            return;
        }
        self.turn(&held.turned, seen);
        held.arrived.into_iter().for_each(|arrived| self.lines(arrived, seen));
    }

    fn start_of(&mut self, turned: &Turned) -> Option<u64> {
        let go_on = std::sync::atomic::AtomicBool::new(false);
        self.log.view(&go_on).ok()?.start_of(turned.archive, turned.identity)
    }

    /// Goes on in the next file, at the offset that the catalog gives it if that is later: bytes are missing in between.
    fn turn(&mut self, turned: &Turned, seen: &mut Vec<Seen>) {
        let here = self.base + turned.at;
        if !turned.joined {
            self.skipping = false;
        }
        // Where a line goes on, nothing can be missing.
        let whole = self.long.is_none() && (self.handed == turned.at || !turned.joined);
        let start = if whole { self.start_of(turned).map_or(here, |start| start.max(here)) } else { here };
        self.base += start - here;
        let offset = start;
        seen.push(match turned.how {
            How::First | How::Rotated => Seen::Rotated { offset },
            How::Replaced => Seen::Replaced { offset },
            How::Truncated => Seen::Truncated { offset },
        });
    }

    fn lines(&mut self, arrived: Arrived, seen: &mut Vec<Seen>) {
        let Arrived { mut bytes, mut at, invented } = arrived;
        let end = at + bytes.len() as u64 - u64::from(invented);
        if self.skipping || self.long.is_some() || !bytes.ends_with(b"\n") {
            let lf = memchr::memchr(b'\n', &bytes);
            let rest = bytes.split_off(lf.map_or(bytes.len(), |lf| lf + 1));
            let begin = std::mem::replace(&mut bytes, rest);
            let text = begin.strip_suffix(b"\n").unwrap_or(&begin);
            if !self.skipping {
                let long = self.long.get_or_insert(Long { at, bytes: Vec::new(), length: 0 });
                long.length += text.len() as u64;
                long.bytes.extend_from_slice(&text[..text.len().min(WHOLE - long.bytes.len())]);
            }
            if lf.is_none() {
                // Handed out is only what is whole.
                if self.skipping {
                    self.handed = end;
                }
                return;
            }
            self.skipping = false;
            if let Some(Long { at, mut bytes, length }) = self.long.take() {
                let offset = self.base + at;
                seen.push(if length > bytes.len() as u64 {
                    Seen::Long { offset, bytes, length }
                } else {
                    bytes.push(b'\n');
                    Seen::Lines { offset, bytes }
                });
            }
            at += begin.len() as u64;
        }
        if !bytes.is_empty() {
            seen.push(Seen::Lines { offset: self.base + at, bytes });
        }
        self.handed = end;
    }
}

/// The first line that begins at or after `from`, or the end; true: that is in the middle of a line.
fn line_at(view: &mut View<'_>, from: u64) -> io::Result<(u64, bool)> {
    let go_on = std::sync::atomic::AtomicBool::new(false);
    let from = from.clamp(view.first(), view.end());
    let at = page::after(view, from, &Bounds { lines: 0, bytes: 0, filter: None, cancel: &go_on })?.to;
    let middle = matches!(view.previous(at)?, Part::Data(chunk) if !chunk.bytes().ends_with(b"\n"));
    Ok((at, middle))
}

#[cfg(test)]
#[path = "tailer_tests.rs"]
mod tests;

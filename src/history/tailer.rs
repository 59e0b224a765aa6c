//! What is appended to a [`super::Log`], in whole lines with their offsets.

use std::io;

/// Goes on behind an offset of a [`super::Log`].
#[derive(Debug)]
pub struct Tailer {
    offset: u64,
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
    /// A line longer than what is held in memory.
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
    /// What has arrived; empty when there is nothing: wait [`super::POLL_INTERVAL`] before asking again, and do not wait
    /// before that. Never waits for anything but the disk.
    ///
    /// # Errors
    /// Those of opening and reading. It may be asked again afterwards.
    pub fn poll(&mut self) -> io::Result<Vec<Seen>> {
        todo!()
    }

    /// Up to where all was handed out.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

//! What is left when a sender ends, and what is said of it.

use std::time::Instant;

use super::Acked;
use crate::error::{Error, Kind, Result, io_reason};
use crate::send::{Stop, counted, interrupted};

impl Acked<'_> {
    /// The end is wanted.
    pub(super) fn stop(&mut self) {
        let Self { input, spool, any, .. } = self;
        self.stopping = true;
        if let Some(input) = input {
            // What has no line end yet is not lost either.
            input.finish(|line, _| {
                *any = true;
                spool.push(line);
            });
        }
    }

    /// Brings to the disk what it takes, and says goodbye.
    pub(super) fn finish(mut self, stop: Option<Stop>) -> Result<()> {
        let folder = self.store.folder().display().to_string();
        let cannot =
            |e: std::io::Error| Error::failed(format!("cannot write to the spool {folder}: {}", io_reason(&e)));
        // What is still in memory, if the disk takes it now.
        let remembered = self.remember(Instant::now());
        let written = self.spool.write(Instant::now());
        let finished = remembered.and(self.spool.finish()).and(self.store.sync());
        if let (Err(e), lost @ 1..) = (&written, self.spool.unwritten()) {
            let left = self.spool.left().map_err(cannot)?;
            let (lost, left) = (counted(lost), counted(left));
            let text = format!("cannot write to the spool {folder}: {}; lost, though read: {lost}", io_reason(e));
            return Err(Error::failed(format!("{text}; not acknowledged, and kept there: {left}")));
        }
        written.and(finished).map_err(cannot)?;
        let Some(who) = stop else { return Ok(()) };
        // Whoever leaves with nothing under way says so; nobody waits for the answer.
        if let Some((line, session)) =
            self.line.as_mut().filter(|(_, session)| session.is_open() && session.in_flight() == 0)
        {
            session.close(line.out());
            let _ = line.flush();
            line.end();
        }
        if who == Stop::Manager && !self.settings.follow.is_empty() {
            return Ok(());
        }
        let left = self.spool.left().map_err(cannot)?;
        if left == 0 && !self.any && self.settings.follow.is_empty() {
            return Err(Error::new(Kind::Interrupted, "interrupted: nothing was read"));
        }
        Err(interrupted(left, &folder, !self.settings.follow.is_empty()))
    }
}

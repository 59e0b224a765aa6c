//! Standard output, of a collector in the foreground.

use std::io;

use super::{Duct, Gone, Put};
use crate::error::io_reason;
use crate::sink::Batch;

/// Bytes of one write. A pipe takes no more at once, and whoever wants the end need not wait for more.
const PIECE: usize = 64 * 1024;

/// See the module. Writes may wait as long as the reader likes: the descriptor is not ours alone, and stays as it is.
#[derive(Debug)]
pub struct Stdout;

impl Duct for Stdout {
    fn open(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn put(&mut self, batch: &Batch, at: usize) -> Result<Put, Gone> {
        let end = batch.len().min(at + PIECE);
        match rustix::io::write(rustix::stdio::stdout(), &batch.bytes()[at..end]) {
            Ok(n) => Ok(Put::To(at + n)),
            Err(rustix::io::Errno::INTR) => Ok(Put::To(at)),
            // Somebody has made it so; whoever reads is slow.
            Err(rustix::io::Errno::AGAIN) => {
                super::wait::writable(rustix::stdio::stdout(), super::TICK);
                Ok(Put::To(at))
            }
            Err(rustix::io::Errno::PIPE) => Err(Gone { for_good: true, ..Gone::because("nobody reads it any more") }),
            Err(e) => Err(Gone::because(io_reason(&io::Error::from(e)))),
        }
    }

    fn gone(&mut self) -> Option<Gone> {
        None
    }

    fn finish(&mut self, _side: bool, _hurry: &dyn Fn() -> bool) -> Result<(), String> {
        Ok(())
    }
}

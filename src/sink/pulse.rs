//! Whether the threads of an output move, seen from outside: a thread that waits for the disk does nothing wrong, one that stands
//! still anywhere else hangs.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

thread_local! {
    /// That of the output for which this thread works.
    static MINE: RefCell<Option<Arc<Pulse>>> = const { RefCell::new(None) };
}

/// See the module.
#[derive(Debug, Default)]
pub struct Pulse {
    steps: AtomicU64,
    /// Calls of the system that threads of the output are in.
    away: AtomicUsize,
    over: AtomicBool,
}

/// A call of the system that may take as long as a disk or whoever reads likes; it ends when this is dropped.
#[must_use]
pub struct Away(Option<Arc<Pulse>>);

impl Pulse {
    /// From here on this thread works for the output.
    pub fn adopt(self: &Arc<Self>) {
        MINE.set(Some(Arc::clone(self)));
    }

    /// The writer has made a step.
    pub fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// The writer has come to its end.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Whether nothing can be asked of the writer now: it is over, or a thread of the output is in the hands of the system. The
    /// writer may wait for one beside it that flushes the same file.
    #[must_use]
    pub fn is_excused(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.away.load(Ordering::Relaxed) > 0
    }
}

/// This thread calls the system now; threads that work for no output do so unseen.
pub fn away() -> Away {
    let mine = MINE.with_borrow(Clone::clone);
    if let Some(pulse) = &mine {
        pulse.away.fetch_add(1, Ordering::Relaxed);
    }
    Away(mine)
}

impl Drop for Away {
    fn drop(&mut self) {
        if let Some(pulse) = &self.0 {
            pulse.step();
            pulse.away.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_the_output_is_excused_while_it_is_away() {
        let (pulse, other) = (Arc::new(Pulse::default()), Arc::new(Pulse::default()));
        drop(away());
        assert_eq!(pulse.steps(), 0, "this thread works for nobody");
        pulse.adopt();
        let (outer, inner) = (away(), away());
        drop(inner);
        assert!(pulse.is_excused() && !other.is_excused());
        drop(outer);
        assert!(!pulse.is_excused());
        assert_eq!(pulse.steps(), 2);
        pulse.end();
        assert!(pulse.is_excused());
    }
}

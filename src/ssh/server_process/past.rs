//! What is remembered of the connections before this one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::file::File;
use super::identity::Identity;

/// Connections that may still be there without us: one each time that the network goes in the middle of a reconnect.
const MOST: usize = 4;

/// What one connection leaves behind.
#[derive(Debug, Default)]
pub struct Trace {
    identity: OnceLock<Identity>,
    left: AtomicBool,
}

impl Trace {
    /// It is served by this process.
    pub fn found(&self, identity: Identity) {
        let _ = self.identity.set(identity);
    }

    /// The process that serves it, once that is known.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.get()
    }

    /// Its ports were given back, with the server's word for it.
    pub fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    fn is_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }
}

/// The connections whose end the server may not have noticed; outlives them all, and in its file the collector, too.
#[derive(Debug, Default)]
pub struct Past {
    traces: Mutex<Vec<Arc<Trace>>>,
    file: Option<File>,
}

impl Past {
    /// The past of the collector before, which is kept in `file` and is about `target` (`user@host:port`); what was about
    /// another one is none.
    #[must_use]
    pub fn kept(file: PathBuf, target: String) -> Self {
        let file = File::new(file, target);
        let known = file.read().into_iter().map(|identity| {
            let trace = Trace::default();
            trace.found(identity);
            Arc::new(trace)
        });
        Self { traces: Mutex::new(known.take(MOST).collect()), file: Some(file) }
    }

    /// Has the file say what is known now; a thread does it, for a disk that hangs is not waited for.
    pub fn keep(self: &Arc<Self>) -> impl Future<Output = ()> + use<> {
        let past = Arc::clone(self);
        let writing = tokio::task::spawn_blocking(move || {
            if let Some(file) = &past.file {
                file.write(|| past.processes().into_iter().flatten().collect());
            }
        });
        async move {
            let _ = writing.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Trace>>> {
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        traces.retain(|trace| !trace.is_left());
        traces
    }

    /// The connection of `trace` has all ports now: whoever had them before is gone.
    pub fn holds(&self, trace: &Arc<Trace>) {
        *self.lock() = vec![Arc::clone(trace)];
    }

    /// The connection of `trace` has some of the ports, and was lost.
    pub fn may_hold(&self, trace: &Arc<Trace>) {
        let mut traces = self.lock();
        traces.push(Arc::clone(trace));
        if traces.len() > MOST {
            // The first one had all of them, and is the most likely holder.
            traces.remove(1);
        }
    }

    /// Whether a connection that was lost may hold ports.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.lock().is_empty()
    }

    /// The processes of those connections, in their order; `None`: not known.
    #[must_use]
    pub fn processes(&self) -> Vec<Option<Identity>> {
        self.lock().iter().map(|trace| trace.identity().cloned()).collect()
    }

    /// What the kernel of the jump host may have taken from one sender without our hearing of it, in bytes
    /// ([`Identity::receive_buffer`]), as the last connection that had all ports knew it.
    #[must_use]
    pub fn receive_buffer(&self) -> Option<u64> {
        self.lock().first()?.identity()?.receive_buffer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_was_left_is_no_past() {
        let (past, first, second) = (Past::default(), Arc::<Trace>::default(), Arc::<Trace>::default());
        assert!(!past.is_held());
        past.holds(&first);
        assert!(past.is_held());
        past.may_hold(&second);
        first.leave();
        assert!(past.is_held());
        second.leave();
        assert!(!past.is_held());
    }

    #[test]
    fn the_past_is_bounded_and_keeps_the_one_that_had_all_ports() {
        let (past, first) = (Past::default(), Arc::<Trace>::default());
        past.holds(&first);
        (0..100).for_each(|_| past.may_hold(&Arc::default()));
        assert_eq!(past.lock().len(), MOST);
        assert!(Arc::ptr_eq(&past.lock()[0], &first));
        past.holds(&Arc::default());
        assert_eq!(past.lock().len(), 1);
    }
}

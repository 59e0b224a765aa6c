//! The way of a sender's answers from its framing to whoever writes them on its connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::Ear;
use super::acks::Acks;
use super::framing::Said;
use crate::sink::Safe;

/// How long a sender that has ended may wait for its last acknowledgements. A disk that takes longer leaves them out, and
/// the sender repeats what it was not told of.
pub const LINGER: Duration = Duration::from_secs(10);

/// The end of the framing.
#[derive(Debug, Default)]
pub struct Answers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// For the one who waits in [`Mouth::next`].
    told: Notify,
    /// The sender has ended.
    left: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    acks: Acks,
    /// The sender is in. Before that it hears nothing, not even that it is to go.
    is_in: bool,
    /// The sender has ended and hears no more.
    deaf: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    /// The other end, which there is one of. `safe` of the sender's output; a drain waits as long as `ear` is there.
    pub fn mouth(&self, safe: watch::Receiver<Safe>, ear: Ear) -> Mouth {
        Mouth { shared: Arc::clone(&self.0), safe, out: Vec::new(), ear }
    }

    /// The sender is in.
    pub fn let_in(&self) {
        self.0.lock().is_in = true;
        self.0.told.notify_one();
    }

    /// Takes what the framing has found; its records end at `position` in the output.
    pub fn hear(&self, said: Said, position: u64) {
        if said != Said::default() {
            self.0.lock().acks.hear(said, position);
            self.0.told.notify_one();
        }
    }

    /// Whether the sender was told to go: what comes now is not taken, for it will come again.
    pub fn has_left(&self) -> bool {
        self.0.lock().acks.has_left()
    }

    /// The sender has ended; `hears`: it may still be told what it waits for.
    pub fn end(&self, hears: bool) {
        self.0.lock().deaf = !hears;
        self.0.left.cancel();
        self.0.told.notify_one();
    }
}

/// The end of the connection.
#[derive(Debug)]
pub struct Mouth {
    shared: Arc<Shared>,
    safe: watch::Receiver<Safe>,
    out: Vec<u8>,
    ear: Ear,
}

impl Mouth {
    /// What is to be written next; waits for it. `None`: nothing will follow.
    pub async fn next(&mut self) -> Option<&[u8]> {
        self.out.clear();
        loop {
            let safe = *self.safe.borrow_and_update();
            let leaving = self.ear.is_leaving();
            {
                let mut state = self.shared.lock();
                if state.deaf {
                    return None;
                }
                state.acks.say(safe, &mut self.out);
                let may_go = leaving && state.is_in && self.out.is_empty() && !self.shared.left.is_cancelled();
                if may_go && state.acks.leave(&mut self.out) {
                    self.ear.told();
                }
                if !self.out.is_empty() {
                    break;
                }
                if state.acks.is_done() || (self.shared.left.is_cancelled() && !state.acks.owes()) {
                    return None;
                }
            }
            tokio::select! {
                () = self.shared.told.notified() => {}
                changed = self.safe.changed() => if changed.is_err() { return None },
                () = self.ear.leaving(), if !leaving => {}
            }
        }
        Some(&self.out)
    }

    /// Ends when it is no use to go on writing: the sender has ended and hears no more, or has waited long enough.
    pub fn patience(&self) -> impl Future<Output = ()> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            shared.left.cancelled().await;
            let deaf = shared.lock().deaf;
            if !deaf {
                tokio::time::sleep(LINGER).await;
            }
        }
    }

    /// Whether the sender was told to go and need not be waited for.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.shared.lock().acks.has_left()
    }

    /// Whether the sender's connection is gone, or it never was in.
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        self.shared.lock().deaf
    }
}

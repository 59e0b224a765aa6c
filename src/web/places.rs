//! Connections that are open at once, and which of them gives way when there are too many.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// All of them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connections {
    most: usize,
    held: Arc<(Mutex<Held>, Notify)>,
}

#[derive(Debug, Default)]
struct Held {
    last: u64,
    all: BTreeMap<u64, Known>,
}

#[derive(Debug)]
struct Known {
    /// Since when nobody asks anything over it; `None`: it is being answered.
    idle: Option<Instant>,
    gone: CancellationToken,
}

/// One of them; its place is free when it is dropped.
#[derive(Debug)]
pub struct Connection {
    all: Connections,
    number: u64,
    /// Another one takes its place.
    pub gone: CancellationToken,
}

/// A question that is being answered, until it is dropped.
#[derive(Debug)]
pub struct Busy(Connections, u64);

impl Connections {
    /// At most `most`.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, held: Arc::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is a place, or one that is idle and may be taken.
    pub async fn room(&self) {
        loop {
            let freed = self.held.1.notified();
            {
                let held = self.held();
                if held.all.len() < self.most || held.all.values().any(|known| known.idle.is_some()) {
                    return;
                }
            }
            freed.await;
        }
    }

    /// A new one, which takes the place of the one that is idle longest if there is none.
    #[must_use]
    pub fn enter(&self) -> Connection {
        let mut held = self.held();
        if held.all.len() >= self.most {
            let idle = held.all.iter().filter_map(|(number, known)| Some((known.idle?, *number)));
            if let Some((_, number)) = idle.min()
                && let Some(known) = held.all.remove(&number)
            {
                known.gone.cancel();
            }
        }
        held.last += 1;
        let (number, gone) = (held.last, CancellationToken::new());
        held.all.insert(number, Known { idle: Some(Instant::now()), gone: gone.clone() });
        Connection { all: self.clone(), number, gone }
    }

    fn set(&self, number: u64, idle: Option<Instant>) {
        if let Some(known) = self.held().all.get_mut(&number) {
            known.idle = idle;
        }
        self.held.1.notify_one();
    }
}

impl Connection {
    /// A question came over it.
    #[must_use]
    pub fn busy(&self) -> Busy {
        self.all.set(self.number, None);
        Busy(self.all.clone(), self.number)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.held().all.remove(&self.number);
        self.all.held.1.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(self.1, Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_idle_longest_gives_way_and_who_is_answered_does_not() {
        let all = Connections::new(3);
        let (one, two, three) = (all.enter(), all.enter(), all.enter());
        let answered = one.busy();
        all.room().await;
        let four = all.enter();
        assert!(!one.gone.is_cancelled() && two.gone.is_cancelled() && !three.gone.is_cancelled());
        drop(answered);
        drop(two);
        let five = all.enter();
        assert!(three.gone.is_cancelled() && !one.gone.is_cancelled() && !four.gone.is_cancelled());
        let busy = [one.busy(), four.busy(), five.busy()];
        let waits = tokio::spawn({
            let all = all.clone();
            async move { all.room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(busy);
        waits.await.unwrap();
    }

    #[tokio::test]
    async fn a_place_is_free_when_its_connection_is_gone() {
        let all = Connections::new(1);
        let one = all.enter();
        let _busy = one.busy();
        let waits = tokio::spawn({
            let all = all.clone();
            async move { all.room().await }
        });
        drop(one);
        waits.await.unwrap();
        assert!(!all.enter().gone.is_cancelled());
    }
}

//! Whether a connection is dead. Who is asked and says nothing for long enough is; while nothing is read because an
//! output takes nothing, silence proves nothing, and only the system can tell: it finds no way for what we write.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::socket::Meter;
use crate::error::Error;

/// Who hears of the end; whoever knows of it first tells why.
pub type Ended = Arc<Mutex<Option<oneshot::Sender<Error>>>>;

/// Tells why a connection has ended, unless that was told before.
pub fn tell(ended: &Ended, error: Error) {
    if let Some(ended) = ended.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = ended.send(error);
    }
}

/// Hears why a connection has ended. Asked again it says the same.
#[derive(Debug)]
pub struct Ending {
    hear: oneshot::Receiver<Error>,
    heard: Option<Error>,
}

impl Ending {
    /// What [`tell`] is told first with the other end of `hear`.
    #[must_use]
    pub fn new(hear: oneshot::Receiver<Error>) -> Self {
        Self { hear, heard: None }
    }

    /// Waits for it. Whoever gives up waiting may wait again.
    pub async fn wait(&mut self) -> Error {
        if let Some(error) = &self.heard {
            return error.clone();
        }
        let error = (&mut self.hear).await;
        let error = error.unwrap_or_else(|_| Error::failed("the connection to the jump host was lost"));
        self.heard.insert(error).clone()
    }

    /// Looks whether it is there.
    pub fn look(&mut self) -> Option<Error> {
        if self.heard.is_none() {
            self.heard = self.hear.try_recv().ok();
        }
        self.heard.clone()
    }
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
enum Act {
    /// Nothing until then.
    Wait(Instant),
    /// Ask.
    Ask,
    /// Give it up: no answer for this long.
    Dead(Duration),
}

/// The account of one connection. Pure: the time comes in.
#[derive(Debug)]
struct Vigil {
    interval: Duration,
    count: u32,
    /// Questions without an answer.
    asked: u32,
    /// The last sign of life, and what was last of that and our questions.
    heard: Instant,
    last: Instant,
}

impl Vigil {
    fn new(interval: Duration, count: u32, now: Instant) -> Self {
        Self { interval, count, asked: 0, heard: now, last: now }
    }

    /// `heard`: when something was read, or reading began again.
    fn look(&mut self, now: Instant, heard: Instant, braked: bool) -> Act {
        if braked {
            // What comes unasked meanwhile is the brake's; the clock starts anew with the next read.
            (self.asked, self.last) = (0, now);
            return Act::Wait(now + self.interval);
        }
        if heard > self.heard {
            (self.asked, self.heard, self.last) = (0, heard, heard);
        }
        let due = self.last + self.interval;
        if now < due {
            return Act::Wait(due);
        }
        if now >= due + self.interval {
            // Our own clock has stood still (Ctrl-Z, a machine that swaps): answers may lie there unread.
            self.asked = 0;
        }
        if self.asked >= self.count {
            return Act::Dead(self.interval * self.count);
        }
        (self.asked, self.last) = (self.asked + 1, now);
        Act::Ask
    }
}

/// Asks with `ask` whenever there is reason to, and says something with `say` while nothing is read; returns when the
/// connection is dead. `keepalive`: after how long a silence it is asked, and how many questions may stay without an
/// answer; without it no silence is too long.
pub async fn watch<A: Future<Output = ()>, S: Future<Output = ()>>(
    meter: &Meter,
    keepalive: Option<(Duration, u32)>,
    ask: impl Fn() -> A,
    say: impl Fn() -> S,
) -> Error {
    let mut vigil = keepalive.map(|(interval, count)| Vigil::new(interval, count, Instant::now()));
    loop {
        let until = match vigil.as_mut().map(|v| v.look(Instant::now(), meter.heard(), meter.brake.is_on())) {
            None => None,
            Some(Act::Wait(until)) => Some(until),
            Some(Act::Ask) => {
                ask().await;
                continue;
            }
            Some(Act::Dead(silence)) => {
                return Error::failed(format!(
                    "the connection to the jump host was lost: no answer for {} s: keepalives get through to nobody",
                    silence.as_secs_f64()
                ));
            }
        };
        let due = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = meter.brake.beat() => say().await,
            () = due => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn the_end_is_told_as_often_as_it_is_asked_for() {
        let (tell, hear) = oneshot::channel();
        let mut ending = Ending::new(hear);
        assert!(tokio::time::timeout(Duration::from_millis(1), ending.wait()).await.is_err());
        assert_eq!(ending.look(), None);
        tell.send(Error::failed("cut")).unwrap();
        for _ in 0..2 {
            assert_eq!(ending.wait().await.message, "cut");
            assert_eq!(ending.look().unwrap().message, "cut");
        }
        let (_, hear) = oneshot::channel();
        let mut nobody = Ending::new(hear);
        assert_eq!(nobody.wait().await, nobody.wait().await);
    }

    fn vigil() -> (Vigil, Instant) {
        let now = Instant::now();
        (Vigil::new(15 * S, 3, now), now)
    }

    #[test]
    fn after_three_questions_without_an_answer_it_is_dead() {
        let (mut v, t) = vigil();
        assert_eq!(v.look(t + 14 * S, t, false), Act::Wait(t + 15 * S));
        for question in 1..=3 {
            assert_eq!(v.look(t + 15 * question * S, t, false), Act::Ask);
            assert_eq!(v.look(t + 15 * question * S, t, false), Act::Wait(t + 15 * (question + 1) * S));
        }
        assert_eq!(v.look(t + 60 * S, t, false), Act::Dead(45 * S));
    }

    #[test]
    fn any_sign_of_life_starts_the_count_anew() {
        let (mut v, t) = vigil();
        for n in 0..100 {
            let heard = t + 31 * n * S;
            assert_eq!(v.look(heard + 15 * S, heard, false), Act::Ask);
            assert_eq!(v.look(heard + 30 * S, heard, false), Act::Ask);
        }
    }

    #[test]
    fn while_it_is_braked_silence_proves_nothing() {
        let (mut v, t) = vigil();
        for question in 1..=3 {
            assert_eq!(v.look(t + 15 * question * S, t, false), Act::Ask);
        }
        for n in 4..1000 {
            assert_eq!(v.look(t + 15 * n * S, t, true), Act::Wait(t + 15 * (n + 1) * S));
        }
        let end = t + 15 * 1000 * S;
        assert_eq!(v.look(end, end, false), Act::Wait(end + 15 * S));
        assert_eq!(v.look(end + 15 * S, end, false), Act::Ask);
    }

    #[test]
    fn who_overslept_asks_again_before_he_judges() {
        let (mut v, t) = vigil();
        for question in 1..=3 {
            assert_eq!(v.look(t + 15 * question * S, t, false), Act::Ask);
        }
        assert_eq!(v.look(t + 3600 * S, t, false), Act::Ask);
        assert_eq!(v.look(t + 3600 * S, t, false), Act::Wait(t + 3615 * S));
    }
}

//! What a collector does about its connection: a pure machine. Events change the state, the state runs actions, actions
//! never change the state. Time and chance come in as arguments.

use std::time::{Duration, Instant};

use crate::ledger;

/// The pause before the second attempt; the first one after a loss comes at once, give or take the jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A connection that lived this long starts the pauses anew.
const LONG_LIFE: Duration = Duration::from_secs(10);

/// Where the connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// An attempt is under way.
    Connecting,
    /// Every stream is open.
    Up {
        /// Since when.
        since: Instant,
    },
    /// Until the next attempt.
    Waiting,
    /// Trying again by itself would do harm.
    Failed,
    /// On the way down.
    Draining,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The attempt succeeded.
    Connected,
    /// The attempt failed.
    AttemptFailed {
        /// Whether another one can help.
        retry: bool,
    },
    /// The connection died.
    Lost,
    /// The pause is over.
    Due,
    /// A person wants a new connection now.
    Kick,
    /// A person wants an end.
    Down,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Begin an attempt.
    Connect,
    /// Drop the connection, then begin an attempt.
    Reconnect,
    /// Pause, then say [`Event::Due`].
    Pause(Duration),
    /// Begin to drain.
    Drain,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    state: State,
    pause: Duration,
}

impl Default for Machine {
    fn default() -> Self {
        Self { state: State::Connecting, pause: FIRST_PAUSE }
    }
}

impl Machine {
    /// Where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes an event. `chance` is uniform in 0..1 and spreads the attempts of many clients over time.
    pub fn step(&mut self, event: Event, now: Instant, chance: f64) -> Action {
        use State::{Connecting, Draining, Failed, Up, Waiting};
        let (next, action) = match (self.state, event) {
            (Draining, _) => (Draining, Action::None),
            (_, Event::Down) => (Draining, Action::Drain),
            (Connecting, Event::Connected) => (Up { since: now }, Action::None),
            (Connecting, Event::AttemptFailed { retry: true }) => (Waiting, Action::Pause(self.next_pause(chance))),
            (Connecting, Event::AttemptFailed { retry: false }) => (Failed, Action::None),
            (Up { since }, Event::Lost) => {
                if now.saturating_duration_since(since) >= LONG_LIFE {
                    self.pause = FIRST_PAUSE;
                }
                (Waiting, Action::Pause(self.next_pause(chance)))
            }
            (Up { .. }, Event::Kick) => (Connecting, Action::Reconnect),
            (Waiting, Event::Due) | (Waiting | Failed, Event::Kick) => (Connecting, Action::Connect),
            // Late news of a connection that was already replaced, or a kick while an attempt is under way.
            (state, _) => (state, Action::None),
        };
        if next != self.state {
            tracing::debug!(from = ?self.state, to = ?next, ?event, "state");
            self.state = next;
        }
        action
    }

    /// Between half and all of the current pause, which doubles.
    fn next_pause(&mut self, chance: f64) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }
}

impl From<State> for ledger::State {
    fn from(state: State) -> Self {
        match state {
            State::Connecting => Self::Connecting,
            State::Up { .. } => Self::Up,
            State::Waiting => Self::Waiting,
            State::Failed => Self::Failed,
            State::Draining => Self::Draining,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pause(action: Action) -> Duration {
        match action {
            Action::Pause(pause) => pause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_a_long_life_resets_them() {
        let (mut machine, mut now) = (Machine::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..9 {
            pauses.push(pause(machine.step(Event::AttemptFailed { retry: true }, now, 1.0)).as_millis());
            assert_eq!(machine.step(Event::Due, now, 1.0), Action::Connect);
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
        machine.step(Event::Connected, now, 1.0);
        now += LONG_LIFE;
        assert_eq!(pause(machine.step(Event::Lost, now, 0.0)), FIRST_PAUSE / 2);
    }

    #[test]
    fn a_short_life_does_not_reset_the_pauses() {
        let (mut machine, now) = (Machine::default(), Instant::now());
        machine.step(Event::Connected, now, 1.0);
        assert_eq!(pause(machine.step(Event::Lost, now, 1.0)), FIRST_PAUSE);
        machine.step(Event::Due, now, 1.0);
        machine.step(Event::Connected, now, 1.0);
        assert_eq!(pause(machine.step(Event::Lost, now, 1.0)), FIRST_PAUSE * 2);
    }

    #[test]
    fn authentication_failures_are_not_hammered_but_a_kick_tries_again() {
        let (mut machine, now) = (Machine::default(), Instant::now());
        assert_eq!(machine.step(Event::AttemptFailed { retry: false }, now, 0.5), Action::None);
        assert_eq!(machine.state(), State::Failed);
        assert_eq!(machine.step(Event::Due, now, 0.5), Action::None);
        assert_eq!(machine.step(Event::Kick, now, 0.5), Action::Connect);
    }

    #[test]
    fn a_kick_while_up_is_one_reconnect() {
        let (mut machine, now) = (Machine::default(), Instant::now());
        machine.step(Event::Connected, now, 0.5);
        assert_eq!(machine.step(Event::Kick, now, 0.5), Action::Reconnect);
        // The end of the connection that was dropped is old news, and so is a second kick.
        assert_eq!(machine.step(Event::Lost, now, 0.5), Action::None);
        assert_eq!(machine.step(Event::Kick, now, 0.5), Action::None);
        assert_eq!(machine.state(), State::Connecting);
    }

    proptest! {
        #[test]
        fn nothing_comes_back_from_draining(events in prop::collection::vec(0u8..6, 0..30)) {
            let (mut machine, now, mut drains) = (Machine::default(), Instant::now(), 0);
            for event in events {
                let event = [Event::Connected, Event::AttemptFailed { retry: event % 2 == 0 }, Event::Lost, Event::Due, Event::Kick, Event::Down][event as usize];
                let was = machine.state();
                let action = machine.step(event, now, 0.5);
                drains += u32::from(action == Action::Drain);
                if was == State::Draining {
                    prop_assert_eq!(machine.state(), State::Draining);
                    prop_assert_eq!(action, Action::None);
                }
            }
            prop_assert!(drains <= 1);
        }
    }
}

//! What a collector does about its connection: a pure machine. Events change the state, the state runs actions, actions
//! never change the state. Time and chance come in as arguments.

use std::time::{Duration, Instant};

use crate::error::Kind;
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

/// What a failed attempt tells about the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// No connection came about: no server has seen the attempt, and looking whether one answers costs nobody anything.
    Unheard,
    /// A server was there, and it failed all the same: it may pass, and the server is given time.
    Passing,
    /// Authentication, host key, a hop that forbids tunnels, a configuration: a person has to look.
    Final,
}

impl Outlook {
    /// Of an attempt that failed in this way. `ports`: the jump host let us in and refused the ports, which were ours or are
    /// waited for: whoever holds them may go. `heard`: a server took the connection.
    #[must_use]
    pub fn of(kind: Kind, ports: bool, heard: bool) -> Self {
        match (ports || kind.is_worth_retrying(), heard) {
            (false, _) => Self::Final,
            (true, false) => Self::Unheard,
            (true, true) => Self::Passing,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The attempt succeeded.
    Connected,
    /// The attempt failed.
    AttemptFailed(Outlook),
    /// The connection died.
    Lost,
    /// The pause is over.
    Due,
    /// The server that did not answer answers again, before the pause is over.
    Answers,
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
    /// Begin the attempt anew, unless a server knows of it already.
    Anew,
    /// Pause, then say [`Event::Due`].
    Pause {
        /// So long.
        length: Duration,
        /// Meanwhile, look whether the server answers, and say [`Event::Answers`] when it does.
        knock: bool,
    },
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
            (Connecting, Event::AttemptFailed(Outlook::Final)) => (Failed, Action::None),
            (Connecting, Event::AttemptFailed(outlook)) => {
                let knock = outlook == Outlook::Unheard;
                (Waiting, Action::Pause { length: self.next_pause(chance), knock })
            }
            (Up { since }, Event::Lost) => {
                self.lived(since, now);
                (Waiting, Action::Pause { length: self.next_pause(chance), knock: false })
            }
            (Up { since }, Event::Kick) => {
                self.lived(since, now);
                (Connecting, Action::Reconnect)
            }
            (Waiting, Event::Due | Event::Answers) | (Waiting | Failed, Event::Kick) => (Connecting, Action::Connect),
            (Connecting, Event::Kick) => (Connecting, Action::Anew),
            // Late news of a connection that was already replaced.
            (state, _) => (state, Action::None),
        };
        if next != self.state {
            tracing::debug!(from = ?self.state, to = ?next, ?event, "state");
            self.state = next;
        }
        action
    }

    /// A connection that was up from `since` until `now` is over.
    fn lived(&mut self, since: Instant, now: Instant) {
        if now.saturating_duration_since(since) >= LONG_LIFE {
            self.pause = FIRST_PAUSE;
        }
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
            Action::Pause { length, .. } => length,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_a_long_life_resets_them() {
        let (mut machine, mut now) = (Machine::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..9 {
            pauses.push(pause(machine.step(Event::AttemptFailed(Outlook::Passing), now, 1.0)).as_millis());
            assert_eq!(machine.step(Event::Due, now, 1.0), Action::Connect);
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
        machine.step(Event::Connected, now, 1.0);
        now += LONG_LIFE;
        assert_eq!(pause(machine.step(Event::Lost, now, 0.0)), FIRST_PAUSE / 2);
    }

    #[test]
    fn a_long_life_that_a_kick_ends_starts_the_pauses_anew_too() {
        let (mut machine, mut now) = (Machine::default(), Instant::now());
        for _ in 0..9 {
            pause(machine.step(Event::AttemptFailed(Outlook::Passing), now, 1.0));
            machine.step(Event::Due, now, 1.0);
        }
        machine.step(Event::Connected, now, 1.0);
        now += LONG_LIFE;
        machine.step(Event::Kick, now, 1.0);
        assert_eq!(pause(machine.step(Event::AttemptFailed(Outlook::Passing), now, 1.0)), FIRST_PAUSE);
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
        assert_eq!(machine.step(Event::AttemptFailed(Outlook::Final), now, 0.5), Action::None);
        assert_eq!(machine.state(), State::Failed);
        assert_eq!(machine.step(Event::Due, now, 0.5), Action::None);
        assert_eq!(machine.step(Event::Kick, now, 0.5), Action::Connect);
    }

    /// What an attempt can end with, and what comes of it. The words are those of the ssh room.
    #[test]
    fn every_way_to_fail_has_its_outlook() {
        use Outlook::{Final, Passing, Unheard};
        for (what, kind, ports, heard, outlook) in [
            ("the name is not found, no route, no answer, connection refused", Kind::Failed, false, false, Unheard),
            ("closed before the banner: MaxStartups, PerSourcePenalties, fail2ban", Kind::Failed, false, true, Passing),
            ("no answer in a later phase", Kind::Failed, false, true, Passing),
            ("no algorithm in common", Kind::Failed, false, true, Passing),
            ("the ProxyCommand is missing or ends", Kind::Failed, false, true, Passing),
            ("a hop cannot connect to the next host", Kind::Failed, false, true, Passing),
            ("the port is not granted", Kind::Refused, true, true, Passing),
            ("the port of this machine is taken", Kind::Failed, true, true, Passing),
            ("no answer to the request for the port", Kind::Failed, false, true, Passing),
            ("login refused, agent or key file gone", Kind::Refused, false, true, Final),
            ("too many authentication failures", Kind::Refused, false, true, Final),
            ("a hop forbids tunnels", Kind::Refused, false, true, Final),
            ("the host key is unknown, changed, revoked", Kind::HostKey, false, true, Final),
            ("the known hosts cannot be read", Kind::HostKey, false, false, Final),
            ("a configuration that cannot be", Kind::Usage, false, false, Final),
            ("a person had enough", Kind::Interrupted, false, true, Final),
        ] {
            assert_eq!(Outlook::of(kind, ports, heard), outlook, "{what}");
        }
    }

    #[test]
    fn a_server_that_has_not_seen_us_is_looked_for_and_tried_when_it_answers() {
        let (mut machine, now) = (Machine::default(), Instant::now());
        for (outlook, looked_for) in [(Outlook::Unheard, true), (Outlook::Passing, false)] {
            let paused = machine.step(Event::AttemptFailed(outlook), now, 1.0);
            assert!(matches!(paused, Action::Pause { knock, .. } if knock == looked_for), "{outlook:?}: {paused:?}");
            assert_eq!(machine.step(Event::Answers, now, 1.0), Action::Connect);
            assert_eq!(machine.step(Event::Answers, now, 1.0), Action::None, "an attempt is under way");
        }
        // The pauses grow all the same: a server that answers and then fails is not hammered.
        assert_eq!(pause(machine.step(Event::AttemptFailed(Outlook::Unheard), now, 1.0)), FIRST_PAUSE * 4);
    }

    #[test]
    fn a_kick_while_up_is_one_reconnect() {
        let (mut machine, now) = (Machine::default(), Instant::now());
        machine.step(Event::Connected, now, 0.5);
        assert_eq!(machine.step(Event::Kick, now, 0.5), Action::Reconnect);
        // The end of the connection that was dropped is old news; a second kick finds an attempt under way.
        assert_eq!(machine.step(Event::Lost, now, 0.5), Action::None);
        assert_eq!(machine.step(Event::Kick, now, 0.5), Action::Anew);
        assert_eq!(machine.state(), State::Connecting);
    }

    proptest! {
        #[test]
        fn nothing_comes_back_from_draining(events in prop::collection::vec(0usize..9, 0..30)) {
            let (mut machine, now, mut drains) = (Machine::default(), Instant::now(), 0);
            for event in events {
                let failed = [Outlook::Unheard, Outlook::Passing, Outlook::Final].map(Event::AttemptFailed);
                let others = [Event::Connected, Event::Lost, Event::Due, Event::Answers, Event::Kick, Event::Down];
                let event = failed.into_iter().chain(others).nth(event).unwrap();
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

//! What is broken, when and for how long: all of it follows from the seed.

use std::time::Duration;

use super::line::Rng;

/// How often the collector asks whether its connection lives; three questions without an answer end it.
pub const KEEPALIVE: Duration = Duration::from_millis(700);
/// Within this a dead connection must have been noticed; three questions, and the one that was under way.
pub const DETECTION: Duration = Duration::from_millis(2800);
/// Three questions without an answer never fit into this, also when a busy machine stretches it.
const UNNOTICED: u64 = 900;

/// One thing that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// SIGKILL for the sshd of the connection.
    KillSession,
    /// SIGSTOP for it, SIGCONT before anybody has noticed.
    PauseSession,
    /// SIGSTOP for it, SIGCONT after the collector has given it up.
    FreezeSession,
    /// SIGKILL for the collector, then `up`.
    KillCollector,
    /// SIGSTOP and SIGCONT for the collector: a machine that sleeps for a moment.
    PauseCollector,
    /// `down`, then `up`.
    DownUp,
    /// `kick`.
    Kick,
    /// SIGHUP.
    Hangup,
    /// `rotate`.
    Rotate,
    /// The file is renamed by somebody else.
    Rename,
    /// No packet comes through, for less than detection takes.
    Blink,
    /// No packet comes through, for longer.
    Cut,
    /// Some packets are lost or late.
    Loss,
    /// sshd and all of its sessions are killed and started again.
    Restart,
    /// The disk is full for a while.
    DiskFull,
    /// The disk is full until the queue is, too, for longer than detection takes.
    DiskFullFlood,
}

impl Fault {
    pub const ALL: [Self; 16] = [
        Self::KillSession,
        Self::PauseSession,
        Self::FreezeSession,
        Self::KillCollector,
        Self::PauseCollector,
        Self::DownUp,
        Self::Kick,
        Self::Hangup,
        Self::Rotate,
        Self::Rename,
        Self::Blink,
        Self::Cut,
        Self::Loss,
        Self::Restart,
        Self::DiskFull,
        Self::DiskFullFlood,
    ];

    /// As in the table and in `RECLOG_CHAOS_ONLY`.
    pub fn name(self) -> &'static str {
        match self {
            Self::KillSession => "kill-session",
            Self::PauseSession => "pause-session",
            Self::FreezeSession => "freeze-session",
            Self::KillCollector => "kill-collector",
            Self::PauseCollector => "pause-collector",
            Self::DownUp => "down-up",
            Self::Kick => "kick",
            Self::Hangup => "hangup",
            Self::Rotate => "rotate",
            Self::Rename => "rename",
            Self::Blink => "blink",
            Self::Cut => "cut",
            Self::Loss => "loss",
            Self::Restart => "restart",
            Self::DiskFull => "disk-full",
            Self::DiskFullFlood => "disk-full-flood",
        }
    }

    /// Whether it may cost connections. The others must not cost one.
    pub fn cuts(self) -> bool {
        match self {
            Self::KillSession
            | Self::FreezeSession
            | Self::KillCollector
            | Self::DownUp
            | Self::Kick
            | Self::Cut
            | Self::Loss
            | Self::Restart => true,
            Self::PauseSession
            | Self::PauseCollector
            | Self::Hangup
            | Self::Rotate
            | Self::Rename
            | Self::Blink
            | Self::DiskFull
            | Self::DiskFullFlood => false,
        }
    }

    /// Milliseconds that it lasts, where it has a length.
    fn length(self, rng: &mut Rng) -> u64 {
        let detection = u64::try_from(DETECTION.as_millis()).unwrap();
        match self {
            Self::PauseSession | Self::PauseCollector | Self::Blink => rng.between(100, UNNOTICED),
            Self::FreezeSession | Self::Cut => rng.between(detection + 200, detection + 2000),
            Self::Loss => rng.between(1500, 4000),
            Self::Restart => rng.between(50, 1500),
            Self::DiskFull => rng.between(500, 3500),
            Self::DiskFullFlood => rng.between(detection, detection + 1500),
            Self::KillSession
            | Self::KillCollector
            | Self::DownUp
            | Self::Kick
            | Self::Hangup
            | Self::Rotate
            | Self::Rename => 0,
        }
    }
}

/// One step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Peace before it.
    pub pause: Duration,
    pub fault: Fault,
    pub length: Duration,
    /// Whether the next step waits until lines come in again; else it hits what is still recovering.
    pub wait: bool,
}

/// `count` steps. The faults come like cards of a shuffled deck: all of them once, in another order every time.
pub fn schedule(seed: u64, faults: &[Fault], count: usize) -> Vec<Step> {
    let mut rng = Rng::new(seed);
    let mut deck: Vec<Fault> = Vec::new();
    let steps = (0..count).map(|_| {
        if deck.is_empty() {
            deck = faults.to_vec();
        }
        let card = usize::try_from(rng.between(0, deck.len() as u64 - 1)).unwrap();
        let fault = deck.remove(card);
        let pause = Duration::from_millis(rng.between(50, 1500));
        let length = Duration::from_millis(fault.length(&mut rng));
        Step { pause, fault, length, wait: rng.percent(80) }
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_schedule_and_every_fault_comes_in_turn() {
        let one = schedule(7, &Fault::ALL, 200);
        assert_eq!(one, schedule(7, &Fault::ALL, 200));
        assert_ne!(one, schedule(8, &Fault::ALL, 200));
        for deck in one.chunks_exact(Fault::ALL.len()) {
            let mut faults: Vec<Fault> = deck.iter().map(|s| s.fault).collect();
            faults.sort();
            assert_eq!(faults, Fault::ALL);
        }
        assert!(one.iter().any(|s| !s.wait) && one.iter().any(|s| s.wait));
    }
}

//! The heartbeat of the ports: one line from outside after the other, for as long as a connection lives.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::intake::Intake;
use crate::ledger::{Families, Reach};
use crate::ssh::{Finding, Prober, Pulse};

/// Ports that are looked at side by side: a plan may have many, and each costs the jump host a few connections.
const SIDE_BY_SIDE: usize = 4;
/// Beats that wait for the supervisor, which takes them at once.
const BEATS: usize = 16;

/// One port.
#[derive(Clone)]
pub struct Port {
    /// Which stream of the plan.
    pub index: usize,
    pub intake: Intake,
    pub number: u16,
    /// Its line came back before, in this life of the connection or an earlier one.
    pub was_proven: bool,
    /// Over these families.
    pub through: Families,
}

/// What is heard.
#[derive(Debug)]
pub enum Beat {
    /// What was found out about a stream.
    Found(usize, Box<Finding>),
    /// Every stream was looked at.
    Round,
    /// The connection is dead; a sentence.
    Dead(String),
    /// It lives, and a port is no longer ours; a sentence.
    Gone(String),
}

/// Beats until it is dropped.
pub struct Heart {
    beats: mpsc::Receiver<Beat>,
    _task: AbortOnDropHandle<()>,
}

impl Heart {
    /// Looks at `ports` at once and then so often.
    #[must_use]
    pub fn start(prober: Prober, ports: Vec<Port>, every: Duration) -> Self {
        let (tell, beats) = mpsc::channel(BEATS);
        Self { beats, _task: AbortOnDropHandle::new(tokio::spawn(beat(prober, ports, every, tell))) }
    }

    /// The next one; after the last there is none any more.
    pub async fn next(&mut self) -> Beat {
        match self.beats.recv().await {
            Some(beat) => beat,
            None => std::future::pending().await,
        }
    }
}

async fn beat(prober: Prober, mut ports: Vec<Port>, every: Duration, tell: mpsc::Sender<Beat>) {
    let lanes = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    loop {
        let mut looks = JoinSet::new();
        for (n, port) in ports.iter().cloned().enumerate() {
            let (prober, lanes) = (prober.clone(), Arc::clone(&lanes));
            looks.spawn(async move {
                let _lane = lanes.acquire_owned().await;
                (n, Box::new(prober.probe_again(&port.intake, port.number, port.through).await))
            });
        }
        let mut silent = Vec::new();
        while let Some(look) = looks.join_next().await {
            let Ok((n, finding)) = look else { continue };
            let port = &mut ports[n];
            port.through = port.through.or(finding.through);
            match finding.reach {
                Reach::Proven => port.was_proven = true,
                _ if port.was_proven && !finding.held_up => silent.push(n),
                _ => {}
            }
            if tell.send(Beat::Found(port.index, finding)).await.is_err() {
                return;
            }
        }
        let _ = tell.send(Beat::Round).await;
        for n in silent {
            let last = match prober.pulse(&ports[n].intake, ports[n].number).await {
                Pulse::Beats => continue,
                Pulse::Dead(why) => Beat::Dead(why),
                Pulse::Gone(why) => Beat::Gone(why),
            };
            let _ = tell.send(last).await;
            return;
        }
        tokio::time::sleep(every).await;
    }
}

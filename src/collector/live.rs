//! What is known about a running collector, as the snapshot shows it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::keywords::Stale;
use super::state::State;
use crate::audit::Trail;
use crate::error::Kind;
use crate::ledger::{self, CollectorSnapshot, OutputSnapshot, Reach, StreamLedger, StreamSnapshot};
use crate::metrics::Sign;
use crate::plan::{Plan, StreamPlan, is_loopback};
use crate::sink::{STUCK, SideView, SinkHandle, too_long};
use crate::ssh::Finding;

/// Shared between the supervisor, which writes, and the control socket, which reads.
#[derive(Debug, Clone)]
pub struct Live(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    name: String,
    target: Option<String>,
    since: Timestamp,
    state: ledger::State,
    reconnects: u64,
    last_error: Option<String>,
    last_error_kind: Option<Kind>,
    streams: Vec<LiveStream>,
    trail: Trail,
    stale: Stale,
    /// Where figures are served.
    metrics: Option<Sign>,
}

#[derive(Debug)]
struct LiveStream {
    plan: StreamPlan,
    ledger: StreamLedger,
    sink: SinkHandle,
    port: u16,
    /// What was found out last about who can connect, and when.
    found: Option<(Finding, Timestamp)>,
    was_proven: bool,
}

impl LiveStream {
    fn reach(&self) -> Reach {
        self.found.as_ref().map_or_else(|| reach(&self.plan), |(finding, _)| finding.reach)
    }

    /// What is wrong with who can connect, a sentence.
    fn unreached(&self) -> Option<String> {
        let (finding, _) = self.found.as_ref()?;
        let Finding { reach, why, .. } = finding;
        let name = &self.plan.name;
        match reach {
            Reach::LoopbackOnly => Some(format!("stream {name}: nobody outside can connect: {why}")),
            Reach::Proven if !why.is_empty() => Some(format!("stream {name}: {why}")),
            Reach::Unproven if self.was_proven => {
                Some(format!("stream {name}: nobody outside gets through to port {} any more: {why}", self.port))
            }
            Reach::Unproven if finding.has_failed() => {
                Some(format!("stream {name}: nobody outside gets through to port {}: {why}", self.port))
            }
            _ => None,
        }
    }
}

impl Live {
    /// A collector that begins; the troubles of `trail` are its own, and so are words that are `stale`.
    #[must_use]
    pub fn new(
        plan: &Plan,
        target: Option<String>,
        ledgers: &[StreamLedger],
        sinks: &[SinkHandle],
        trail: &Trail,
        stale: Stale,
    ) -> Self {
        let streams = plan
            .streams
            .iter()
            .zip(ledgers.iter().zip(sinks))
            .map(|(plan, (ledger, sink))| LiveStream {
                plan: plan.clone(),
                ledger: ledger.clone(),
                sink: sink.clone(),
                port: plan.port,
                found: None,
                was_proven: false,
            })
            .collect();
        Self(Arc::new(Mutex::new(Inner {
            name: plan.name.clone(),
            target,
            since: Timestamp::now(),
            state: ledger::State::Connecting,
            reconnects: 0,
            last_error: None,
            last_error_kind: None,
            streams,
            trail: trail.clone(),
            stale,
            metrics: None,
        })))
    }

    /// Figures are served at this door.
    pub fn set_metrics(&self, sign: Sign) {
        self.lock().metrics = Some(sign);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of the connection.
    pub fn set_state(&self, state: State) {
        self.lock().state = state.into();
    }

    /// The connection is there again.
    pub fn reconnected(&self) {
        self.lock().reconnects += 1;
    }

    /// The last trouble, and its class.
    pub fn trouble(&self, kind: Kind, message: &str) {
        let mut inner = self.lock();
        (inner.last_error, inner.last_error_kind) = (Some(message.to_owned()), Some(kind));
    }

    /// The ports that are open, in the order of the plan.
    pub fn set_ports(&self, ports: &[u16]) {
        for (stream, port) in self.lock().streams.iter_mut().zip(ports) {
            stream.port = *port;
        }
    }

    /// Who can connect to the stream at this place of the plan, found out now.
    pub fn found(&self, index: usize, finding: &Finding) {
        let stream = &mut self.lock().streams[index];
        stream.was_proven |= finding.reach == Reach::Proven;
        stream.found = Some((finding.clone(), Timestamp::now()));
    }

    /// A copy for whoever asks.
    #[must_use]
    pub fn snapshot(&self) -> CollectorSnapshot {
        let inner = self.lock();
        let mut health = Vec::new();
        let connection = inner.last_error.as_deref().unwrap_or("no reason is known");
        match inner.state {
            ledger::State::Waiting => health.push(format!("not connected, trying again: {connection}")),
            ledger::State::Failed => health.push(format!("gave up until `reclog kick`: {connection}")),
            ledger::State::Connecting if inner.last_error.is_some() => {
                health.push(format!("not connected, trying now: {connection}"));
            }
            _ => {}
        }
        health.extend(inner.trail.trouble());
        health.extend(inner.stale.sentences());
        health.extend(inner.metrics.as_ref().and_then(Sign::trouble));
        let mut state = inner.state;
        let mut streams = Vec::new();
        for stream in &inner.streams {
            let LiveStream { plan, ledger, sink, port, .. } = stream;
            let counts = ledger.counts();
            if let Some(stall) = &counts.stall {
                state = state.max(ledger::State::Stalled);
                health.push(format!("{} (since {})", stall.sentence, stall.since));
            } else if let Some(stuck) = sink.stuck().filter(|stuck| *stuck >= STUCK) {
                state = state.max(ledger::State::Stalled);
                let seconds = stuck.as_secs().max(1);
                health.push(format!("{} has not taken a byte for {seconds} s; senders wait", plan.out));
            }
            if let Some(reason) = &counts.sync_trouble {
                health.push(format!("cannot force {} to the disk: {reason}", plan.out));
            }
            health.extend(counts.rotate_trouble);
            health.extend(too_long(&plan.out, sink.left_out()));
            health.extend(stream.unreached());
            let first = OutputSnapshot {
                path: plan.out.name().to_owned(),
                bytes: counts.output_bytes,
                rotations: counts.rotations,
                free: counts.free,
                lost: Some(sink.left_out()).filter(|lost| *lost > 0),
            };
            let also =
                sink.sides().into_iter().map(|SideView { path, bytes, rotations, free, lost, health: troubles }| {
                    health.extend(troubles);
                    OutputSnapshot { path, bytes, rotations, free, lost: Some(lost) }
                });
            let outputs = std::iter::once(first).chain(also).collect();
            streams.push(StreamSnapshot {
                name: plan.name.clone(),
                remote_port: *port,
                socket: plan.transport.socket().map(Path::to_path_buf),
                bind: plan.bind.clone(),
                framing: plan.framing.as_str().into(),
                format: plan.format.as_str().into(),
                prefix: plan.format.prefix().map(str::to_owned),
                keywords: plan.keywords.iter().map(|keyword| keyword.name.clone()).collect(),
                reach: stream.reach(),
                reach_checked: stream.found.as_ref().map(|(_, checked)| *checked),
                finding: stream.found.as_ref().map(|(finding, _)| finding.clone()),
                outputs,
                senders: counts.senders,
                records: counts.records,
                split: counts.split,
                last_record: counts.last_record,
                datagrams_lost: plan.transport.has_udp().then_some(counts.datagrams_lost),
                write_seconds: counts.write.snapshot(),
                fsync_seconds: counts.fsync.snapshot(),
                ledger: counts.ledger,
            });
        }
        if state == ledger::State::Stalled && inner.target.is_some() && streams.len() > 1 {
            health.push("the streams share one connection: while one waits, all of them do".into());
        }
        CollectorSnapshot {
            name: inner.name.clone(),
            state,
            pid: std::process::id(),
            reclog: env!("CARGO_PKG_VERSION").into(),
            target: inner.target.clone(),
            since: inner.since,
            reconnects: inner.reconnects,
            last_error: inner.last_error.clone(),
            last_error_kind: inner.last_error_kind,
            health,
            metrics: inner.metrics.as_ref().map(Sign::place),
            streams,
        }
    }
}

/// The host that senders connect to: the jump host by its name or the loopback address that was asked for; for `listen`
/// the address itself, or this machine.
#[must_use]
pub fn sender_host(jump_host: Option<&str>, bind: &str) -> String {
    match jump_host {
        _ if is_loopback(bind) => bind.to_owned(),
        Some(host) => host.to_owned(),
        // A Unix socket has none.
        None if matches!(bind, "*" | "0.0.0.0" | "::" | "") => "localhost".to_owned(),
        None => bind.to_owned(),
    }
}

/// What the place that was asked for tells about who can connect.
#[must_use]
pub fn reach(stream: &StreamPlan) -> Reach {
    if stream.transport.socket().is_some() || is_loopback(&stream.bind) { Reach::LoopbackOnly } else { Reach::Unproven }
}

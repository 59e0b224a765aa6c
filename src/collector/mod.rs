//! The background process: start, supervision, shutdown.
//!
//! [`launch`] is the parent's side of a start, [`background`] the child's; [`run`] is the collector itself, the same in
//! the background and in the foreground, and [`takeover`] puts one into the place of another. The supervisor outlives
//! connections; outputs and ledger outlive reconnects.

mod audited;
pub mod background;
mod claim;
pub mod events;
mod flight;
mod heart;
pub mod keywords;
pub mod launch;
mod link;
pub mod live;
mod lives;
pub mod lock;
pub mod log;
mod manager;
mod network;
mod outputs;
mod questions;
mod reach;
mod ready;
pub mod renew;
mod shutdown;
mod signals;
pub mod state;
mod supervisor;
pub mod takeover;
mod waits;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::control::server::{Server, Service};
use crate::control::{DownReport, Handover, Hello, MINOR, PROTOCOL};
use crate::error::{Error, Result, io_reason};
use crate::intake::MAX_WAITING;
use crate::ledger::CollectorSnapshot;
use crate::metrics::{Door, Figures, MAX_CLIENTS};
use crate::paths::{self, Paths};
use crate::plan::{Output, Plan, StreamPlan, To};
use crate::sink::{OPEN_FILES, Rescue};
use crate::ssh::Person;
use events::Event;
use live::Live;
use lock::{Holder, Lock};
use manager::Manager;
use outputs::Outputs;
use ready::Ready;
use renew::Anew;
use signals::Signals;
use supervisor::Supervisor;
use takeover::Predecessor;

/// Requests that wait for the supervisor, which takes them at once.
const COMMANDS: usize = 16;

/// Where a collector reports its way up.
pub type Report = Arc<dyn Fn(&Event) + Send + Sync>;

/// How a collector is run.
pub struct Options {
    /// Hears of every step until the collector is up or has failed.
    pub report: Report,
    /// Who answers questions until the collector is up.
    pub person: Arc<dyn Person>,
    /// In the foreground a collector that gave up ends; in the background it stays visible.
    pub foreground: bool,
    /// The keyword that a person or the environment gave; it stands in no plan.
    pub keyword: Option<Zeroizing<String>>,
    /// What is told to whoever asks how it was started.
    pub origin: serde_json::Value,
    /// Whose place it takes.
    pub replaces: Option<Predecessor>,
    /// What one has left that ended in this process a moment ago.
    pub gap: Option<Handover>,
    /// How another one is put into its process, where that makes sense.
    pub anew: Option<Anew>,
    /// Opens the collector's own log at the given path.
    pub open_log: OpenLog,
}

/// Sends what rooms say about their work to a file.
pub type OpenLog = Box<dyn Fn(&Path) -> io::Result<()> + Send + Sync>;

/// A local port needs a descriptor a sender, and the usual limit of 1,024 is for programs that use select(2).
pub fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // A system that refuses keeps its limit; a sender above it waits in the backlog.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The files that are ours while this runs, templates as they are written.
fn on_disk(plan: &Plan) -> Vec<PathBuf> {
    let all = plan.streams.iter().flat_map(StreamPlan::outputs);
    all.filter(|output| output.is_on_disk()).map(|output| output.name().to_owned()).collect()
}

/// Descriptors that senders on local ports leave to everything else: files, control socket, libraries.
const RESERVE: usize = 64;

/// Descriptors of a command or a daemon, while one ends and the next begins.
const OPEN_DUCT: usize = 8;

/// Lets no more senders in than there are descriptors for.
fn fit_descriptors(plan: &mut Plan) {
    if plan.ssh.is_none()
        && let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current
    {
        fit(plan, usize::try_from(limit).unwrap_or(usize::MAX));
    }
}

/// As [`fit_descriptors`], where there are `limit` of them.
fn fit(plan: &mut Plan, limit: usize) {
    let needs = |output: &Output| match output.to() {
        To::Files(_) => OPEN_FILES,
        To::Exec(_) | To::Syslog(_) => OPEN_DUCT,
        To::File | To::Stdout => 0,
    };
    let watchers = if plan.metrics.is_some() { MAX_CLIENTS } else { 0 };
    let reserve = RESERVE + watchers + plan.streams.iter().flat_map(StreamPlan::outputs).map(needs).sum::<usize>();
    let each = (limit.saturating_sub(reserve) / plan.streams.len().max(1)).max(1);
    for stream in &mut plan.streams {
        let waiting = if stream.keywords.is_empty() { 0 } else { MAX_WAITING };
        stream.max_connections = stream.max_connections.min(each.saturating_sub(waiting).max(1));
    }
}

/// Runs the collector of `plan` until it is told to stop. `abandoned` ends an `up` for which nobody waits any more.
///
/// # Errors
/// Why it did not come up, or gave up. Then nothing of it is left.
pub async fn run(
    mut plan: Plan,
    paths: &Paths,
    mut options: Options,
    abandoned: impl Future<Output = ()>,
) -> Result<DownReport> {
    let socket = paths.socket(&plan.name)?;
    paths::ensure_private_dir(&paths.runtime)?;
    let mut signals = Signals::listen()?;
    allow_many_files();
    fit_descriptors(&mut plan);
    tokio::pin!(abandoned);
    let mut ready = None;
    if let Some(old) = options.replaces.take() {
        let taken = takeover::take_over(&old, &plan, paths, &mut options, &mut signals, abandoned.as_mut());
        ready = Some(Box::pin(taken).await?);
    }
    let holder = Holder { name: plan.name.clone(), pid: std::process::id(), outputs: on_disk(&plan) };
    let lock = Lock::acquire(paths, &holder)?;
    // Whatever is made from here on is ours: nobody else has this name.
    let folder = paths.collector_state(&plan.name);
    let was_there = folder.exists();
    paths::ensure_private_dir(&folder)?;
    let result = run_locked(plan, paths, &socket, signals, options, ready, abandoned).await;
    if let Err((_, false)) = result
        && !was_there
    {
        // What failed is told to whoever asked; a folder for a collector that never was would only be litter.
        let _ = std::fs::remove_dir_all(&folder);
    }
    drop(lock);
    result.map_err(|(error, _)| error)
}

/// Looks whether `plan` would come up, as far as that can be told while another collector has its place.
///
/// # Errors
/// Why it would not.
pub async fn rehearse(plan: &Plan, paths: &Paths, mut options: Options) -> Result<()> {
    let mut signals = Signals::listen()?;
    takeover::rehearse(plan, paths, &mut options, &mut signals).await
}

/// The rest of [`run`]. With the error comes whether the collector had been up.
async fn run_locked(
    mut plan: Plan,
    paths: &Paths,
    socket: &Path,
    mut signals: Signals,
    mut options: Options,
    ready: Option<Ready>,
    abandoned: impl Future<Output = ()>,
) -> std::result::Result<DownReport, (Error, bool)> {
    // What was up stays up: its first attempt is one more of many, and whoever asked for it may leave.
    let takes_over = ready.is_some() || options.gap.is_some();
    plan.keep_trying |= takes_over;
    let abandoned = async { if takes_over { std::future::pending().await } else { abandoned.await } };
    tokio::pin!(abandoned);
    let early = |error: Error| (error, false);
    let folder = paths.collector_state(&plan.name);
    let log_file = folder.join("collector.log");
    (options.open_log)(&log_file)
        .map_err(|e| early(Error::failed(format!("cannot open the log {}: {}", log_file.display(), io_reason(&e)))))?;
    let mut ready = match ready {
        Some(ready) => ready,
        None => Ready::read(&plan, &mut options, &mut signals, abandoned.as_mut()).await.map_err(early)?,
    };
    ready.gap = ready.gap.or(options.gap);
    let door = match &plan.metrics {
        // There is no way back to the one before, and senders wait.
        Some(place) if takes_over => Some(Door::open_in_time(place).await),
        Some(place) => Some(Door::open(place).await.map_err(early)?),
        None => None,
    };
    let target = ready.settings.as_ref().map(|s| s.target());
    let trail = audited::begin(&folder, &plan, target.as_deref()).map_err(early)?;
    let mut outputs = match Outputs::open(&plan, paths, &trail) {
        Ok(outputs) => outputs,
        Err(e) => {
            audited::end(&trail, &[], ready.gap, Some(&e.message)).await;
            return Err(early(e));
        }
    };
    // Before any port opens.
    let mut keyring = std::mem::take(&mut ready.keyring);
    keyring.hand_over(outputs.intakes());
    let stale = keyring.stale();
    outputs.keep(keyring);
    let live = Live::new(&plan, target, &outputs.ledgers(), &outputs.handles(), &trail, stale);

    let (commands_tx, commands) = mpsc::channel(COMMANDS);
    let hello = Hello {
        protocol: PROTOCOL,
        minor: MINOR,
        reclog: env!("CARGO_PKG_VERSION").into(),
        name: plan.name.clone(),
        pid: std::process::id(),
    };
    let looking = live.clone();
    let snapshot: Arc<dyn Fn() -> CollectorSnapshot + Send + Sync> = Arc::new(move || looking.snapshot());
    let attended = door.map(|door| {
        live.set_metrics(door.sign());
        door.attend(Figures::new(Arc::clone(&snapshot)))
    });
    let service = Service { snapshot, origin: Arc::new(options.origin.take()), commands: commands_tx };
    let server = match Server::start(socket, hello, service) {
        Ok(server) => server,
        Err(e) => {
            outputs.undo().await;
            audited::end(&trail, &[], ready.gap, Some(&e.message)).await;
            return Err(early(e));
        }
    };
    let rescue = Rescue { folder };
    let manager = Manager::new(live.clone(), &outputs.handles(), !options.foreground, plan.keep_trying);
    let supervisor =
        Supervisor::new(plan, ready, live.clone(), outputs, trail.clone(), commands, signals, options, manager, rescue);
    let result = Box::pin(supervisor.run(abandoned)).await;
    let gives_way = result.as_ref().is_ok_and(|report| report.gap.is_some());
    let why = match &result {
        Ok(_) => gives_way.then_some("reclog restart"),
        Err((error, _)) => Some(error.message.as_str()),
    };
    audited::end(&trail, &live.snapshot().streams, None, why).await;
    // The answer to `down` is on its way; only now do socket and lock go.
    server.stop(gives_way).await;
    if let Some(attended) = attended {
        attended.shut().await;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_leave_descriptors_to_every_output_wherever_it_stands() {
        let senders = |outs: &[&str]| {
            let mut outs = outs.iter().map(|out| Output::parse(*out).unwrap());
            let stream = StreamPlan {
                out: outs.next().unwrap(),
                also: outs.collect(),
                max_connections: 4096,
                ..StreamPlan::example()
            };
            let streams = vec![stream];
            let mut plan = Plan {
                name: "c".into(),
                ssh: None,
                streams,
                drain_timeout: std::time::Duration::ZERO,
                keep_trying: false,
                probe_every: None,
                metrics: None,
            };
            fit(&mut plan, 1024);
            plan.streams[0].max_connections
        };
        let alone = senders(&["/a"]);
        assert_eq!(alone, 1024 - RESERVE);
        for outs in [["/logs/{peer_ip}", "/a"], ["/a", "/logs/{peer_ip}"]] {
            assert_eq!(senders(&outs), alone - OPEN_FILES, "{outs:?}");
        }
        assert_eq!(senders(&["/a", "exec:cat", "syslog+unix:///dev/log"]), alone - 2 * OPEN_DUCT);
        assert_eq!(senders(&["/{date}", "/{hour}", "/{stream}", "/{peer_ip}"]), 1);
    }
}

//! Looks, step by step, whether senders can get through: from the name of the jump host to a byte in a file.
//!
//! Nothing here prints: [`examine`] hands over each [`Step`] as it is done. Nothing is left behind: the port is given
//! back, the file that stands in for the output is removed, no host key is written down unless a person said yes to it.

mod bytes;
mod door;
mod host;
mod limits;
mod outlet;
mod output;
mod rig;
mod step;
mod way;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use door::no_jump_host;
pub use step::{Name, Step, Verdict, failure, whole};

use rig::Rig;

use crate::error::io_reason;
use crate::ledger::Reach;
use crate::plan::{StreamPlan, Transport};
use crate::ssh::{Connection, Finding, Memory, Person, Settings};

/// The time that giving the ports back, and saying good-bye, may take each.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is to be examined.
pub struct Subject {
    /// The way to the jump host. What it says about writing down host keys is not followed.
    pub settings: Settings,
    /// The streams; at least one.
    pub streams: Vec<StreamPlan>,
    /// Whether their outputs are meant; without that the system's folder for temporary files stands in.
    pub has_output: bool,
    /// Streams whose port is open already.
    pub held: Vec<Held>,
}

/// A port that a collector has.
#[derive(Debug, Clone)]
pub struct Held {
    /// The stream of the [`Subject`].
    pub stream: String,
    /// The collector.
    pub collector: String,
    /// Its process.
    pub pid: u32,
    /// The port that it has.
    pub port: u16,
    /// The address that it asked for.
    pub bind: String,
    /// What it knows of it.
    pub reach: Reach,
    /// What it found out, when somebody looked.
    pub finding: Option<Finding>,
    /// How long ago that was.
    pub looked: Option<Duration>,
}

/// What is told meanwhile.
pub enum Word<'a> {
    /// A step begins.
    Begins(Name),
    /// A step is done.
    Done(&'a Step),
}

/// Hears how it goes.
pub type Hear<'a> = &'a (dyn Fn(Word<'_>) + Sync);

/// Examines `subject`; `person` is asked what only a person can answer. Returns all steps; `None` when `stop` was cancelled.
/// Nothing is left of it then, either.
pub async fn examine(
    subject: Subject,
    person: Arc<dyn Person>,
    hear: Hear<'_>,
    stop: &CancellationToken,
) -> Option<Vec<Step>> {
    let mut patient = Patient::new(subject, person, hear);
    let done = tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = patient.examine() => true,
    };
    let steps = patient.leave().await;
    done.then_some(steps)
}

/// One examination.
struct Patient<'a> {
    settings: Arc<Settings>,
    person: Arc<dyn Person>,
    memory: Arc<Memory>,
    chart: Chart<'a>,
    connection: Option<Connection>,
    has_output: bool,
    streams: Vec<Examined>,
}

/// One stream, and what is known of it.
struct Examined {
    plan: StreamPlan,
    /// A relay has opened its port.
    relayed: bool,
    held: Option<Held>,
    rig: Option<Rig>,
    /// The port that was granted.
    port: Option<u16>,
    finding: Option<Finding>,
}

/// What was found, and who hears of it.
struct Chart<'a> {
    hear: Hear<'a>,
    steps: Vec<Step>,
    /// Steps are told with their stream.
    several: bool,
}

impl Chart<'_> {
    fn begin(&self, name: Name) {
        (self.hear)(Word::Begins(name));
    }

    fn done(&mut self, step: Step) {
        (self.hear)(Word::Done(&step));
        self.steps.push(step);
    }

    fn skip(&mut self, name: Name, why: &str) {
        self.done(Step::new(name, Verdict::Skipped, why));
    }

    fn done_for(&mut self, stream: &StreamPlan, step: Step) {
        let of = self.several.then_some(stream.name.as_str());
        self.done(step.of(of));
    }
}

impl<'a> Patient<'a> {
    fn new(subject: Subject, person: Arc<dyn Person>, hear: Hear<'a>) -> Self {
        let Subject { mut settings, streams, has_output, held } = subject;
        settings.writes_unseen = false;
        settings.jumps.iter_mut().for_each(|hop| hop.writes_unseen = false);
        let chart = Chart { hear, steps: Vec::new(), several: streams.len() > 1 };
        let streams = streams.into_iter().map(|plan| {
            let held = held.iter().find(|h| h.stream == plan.name).cloned();
            Examined { plan, relayed: false, held, rig: None, port: None, finding: None }
        });
        let (settings, memory) = (Arc::new(settings), Arc::default());
        Self { settings, person, memory, chart, connection: None, has_output, streams: streams.collect() }
    }

    async fn examine(&mut self) {
        self.connection = self.connect().await;
        self.outputs().await;
        self.doors().await;
        self.host().await;
        self.bytes().await;
    }

    async fn outputs(&mut self) {
        for stream in &mut self.streams {
            let mut file = None;
            if self.has_output {
                for (index, output) in stream.plan.outputs().enumerate() {
                    self.chart.begin(Name::Output);
                    let (step, made) = if output.is_on_disk() {
                        output::look(&StreamPlan { out: output.clone(), ..stream.plan.clone() }).await
                    } else {
                        (outlet::look(output, index == 0).await, None)
                    };
                    let refused = step.verdict == Verdict::Failed;
                    if index == 0 {
                        file = made.filter(|_| !refused);
                    }
                    self.chart.done_for(&stream.plan, step);
                }
            } else {
                self.chart.skip(Name::Output, "no output is named: --out FILE has its folder examined");
            }
            let beside = file.is_some();
            let file = file.map_or_else(|| rig::make(&std::env::temp_dir()), Ok);
            let started = match file {
                Ok(file) => Rig::start(&stream.plan, file, beside).map_err(|e| e.message),
                Err(e) => Err(io_reason(&e)),
            };
            match started {
                Ok(rig) => stream.rig = Some(rig),
                Err(why) => tracing::warn!("nothing can stand in for the output: {why}"),
            }
        }
    }

    /// Gives everything back; only good-byes are waited for, and not for long.
    async fn leave(mut self) -> Vec<Step> {
        for stream in &self.streams {
            if let Some(rig) = &stream.rig {
                rig.intake.shut();
            }
        }
        if let Some(mut connection) = self.connection.take() {
            let _ = tokio::time::timeout(FAREWELL, connection.cancel()).await;
            connection.close(FAREWELL).await;
        }
        for stream in self.streams {
            if let Some(rig) = stream.rig {
                rig.leave().await;
            }
        }
        self.chart.steps
    }
}

/// Why this stream has no port of TCP on the jump host.
fn no_port(plan: &StreamPlan) -> Option<&'static str> {
    match plan.transport {
        Transport::Tcp | Transport::TcpAndUdp => None,
        Transport::Udp => Some("a UDP port: only a running collector opens it"),
        Transport::Unix(_) => Some("a Unix socket: only a running collector opens it"),
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::StreamPlan;

    /// A stream for tests.
    pub fn stream() -> StreamPlan {
        StreamPlan { out: crate::plan::Output::file_at("/nonexistent/out"), ..StreamPlan::example() }
    }
}

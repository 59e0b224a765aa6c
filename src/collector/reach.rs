//! Whether senders get through: asked after every connection and from then on, and told to whoever wants to know.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::events::{Up, UpStream};
use super::heart::{Beat, Heart, Port};
use super::link::Link;
use super::live::{self, Live};
use crate::audit::{Event, Trail};
use crate::intake::Intake;
use crate::ledger::{Families, Reach};
use crate::plan::{Plan, StreamPlan, is_loopback};
use crate::ssh::{Finding, Settings};

/// How long `up` waits for the first answers.
const FIRST: Duration = Duration::from_secs(6);

/// See the module.
pub struct Watch {
    live: Live,
    trail: Trail,
    every: Option<Duration>,
    streams: Vec<Watched>,
    heart: Option<Heart>,
    /// Until when the first answers are waited for.
    first: Option<Instant>,
}

struct Watched {
    name: String,
    asked: bool,
    finding: Option<Finding>,
    was_proven: bool,
    /// Over these families, ever.
    through: Families,
    /// What the audit trail knows.
    told: (Reach, String),
}

impl Watched {
    /// `None`: nobody is asked. `early`: the answer would still have been waited for.
    fn finding(&self, early: bool) -> Option<Finding> {
        let why = || {
            if early {
                "nobody has looked yet: the collector ends, or its connection is made anew".to_owned()
            } else {
                format!("no answer within {} s", FIRST.as_secs())
            }
        };
        let waiting = || Finding { why: why(), ..Finding::default() };
        self.asked.then(|| self.finding.clone().unwrap_or_else(waiting))
    }
}

/// What the supervisor has to act upon.
#[derive(Debug)]
pub enum Happened {
    /// There is an answer for every stream, or it takes too long.
    Answered,
    /// The connection is dead; a sentence.
    Dead(String),
    /// It lives, and a port is no longer ours; a sentence.
    Gone(String),
}

impl Watch {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(plan: &Plan, live: Live, trail: Trail) -> Self {
        let every = plan.probe_every.filter(|_| plan.ssh.is_some());
        let watched = |stream: &StreamPlan| Watched {
            name: stream.name.clone(),
            asked: every.is_some() && stream.transport.has_tcp() && !is_loopback(&stream.bind),
            finding: None,
            was_proven: false,
            through: Families::default(),
            told: Default::default(),
        };
        Self { live, trail, every, streams: plan.streams.iter().map(watched).collect(), heart: None, first: None }
    }

    /// A connection is there, with `ports` in the order of the plan. True: the first answers will come.
    pub fn begin(&mut self, link: &Link, intakes: &[Intake], ports: &[u16]) -> bool {
        self.stop();
        let (Some(prober), Some(every)) = (link.prober(), self.every) else { return false };
        let all = self.streams.iter().zip(intakes.iter().zip(ports)).enumerate();
        let asked = all.filter(|(_, (stream, _))| stream.asked).map(|(index, (stream, (intake, port)))| Port {
            index,
            intake: intake.clone(),
            number: *port,
            was_proven: stream.was_proven,
            through: stream.through,
        });
        let asked: Vec<Port> = asked.collect();
        if asked.is_empty() {
            return false;
        }
        self.heart = Some(Heart::start(prober, asked, every));
        self.first = Some(Instant::now() + FIRST);
        true
    }

    /// The connection is over.
    pub fn stop(&mut self) {
        (self.heart, self.first) = (None, None);
    }

    /// Waits for what has to be acted upon.
    pub async fn next(&mut self) -> Happened {
        loop {
            let Some(heart) = &mut self.heart else { return std::future::pending().await };
            let late = async {
                match self.first {
                    Some(first) => sleep_until(first).await,
                    None => std::future::pending().await,
                }
            };
            let beat = tokio::select! {
                biased;
                beat = heart.next() => beat,
                () = late => {
                    self.first = None;
                    return Happened::Answered;
                }
            };
            match beat {
                Beat::Found(index, finding) => self.found(index, *finding),
                Beat::Round if self.first.take().is_some() => return Happened::Answered,
                Beat::Round => {}
                Beat::Dead(why) => return Happened::Dead(why),
                Beat::Gone(why) => return Happened::Gone(why),
            }
        }
    }

    fn found(&mut self, index: usize, finding: Finding) {
        let stream = &mut self.streams[index];
        if finding.held_up {
            // What was known before still holds.
            stream.finding.get_or_insert(finding);
            return;
        }
        stream.was_proven |= finding.reach == Reach::Proven;
        stream.through = stream.through.or(finding.through);
        let now = (finding.reach, finding.why.clone());
        // One that was not even tried is no news.
        let tried = finding.has_failed() || now.0 == Reach::Proven;
        if now.0 != stream.told.0 || (tried && now != stream.told) {
            let Watched { name, told, .. } = stream;
            tracing::info!(stream = name, reach = now.0.as_str(), "{}", now.1);
            self.trail.tell(&Event::Probe { stream: name.clone(), reach: now.0, why: now.1.clone() });
            *told = now;
        }
        self.live.found(index, &finding);
        stream.finding = Some(finding);
    }

    /// What is up, and who can connect to it, as far as it is known by now.
    pub fn up(&self, plan: &Plan, settings: Option<&Settings>, ports: &[u16]) -> Up {
        let early = self.first.is_some();
        let all = plan.streams.iter().zip(ports).zip(&self.streams);
        let streams = all.map(|((stream, port), watched)| {
            let finding = watched.finding(early);
            UpStream {
                name: stream.name.clone(),
                host: live::sender_host(settings.map(|s| s.host.as_str()), &stream.bind),
                remote_port: *port,
                socket: stream.transport.socket().map(Path::to_path_buf),
                udp: stream.transport.has_udp(),
                bind: stream.bind.clone(),
                framing: stream.framing,
                keyword: !stream.keywords.is_empty(),
                reach: finding.as_ref().map_or_else(|| live::reach(stream), |finding| finding.reach),
                finding,
                out: stream.out.name().to_owned(),
            }
        });
        Up {
            name: plan.name.clone(),
            pid: std::process::id(),
            target: settings.map(Settings::target),
            streams: streams.collect(),
        }
    }
}

//! From the name to the login.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Patient;
use super::step::{Name, Step, Verdict};
use crate::error::{Error, Kind, io_reason};
use crate::ssh::{self, Connection, Greeting, Phase, Settings, StrictHostKeyChecking};

/// What [`Connection::establish`] goes through, in this order.
const PHASES: [Name; 4] = [Name::Banner, Name::Algorithms, Name::HostKey, Name::Authentication];

impl Patient<'_> {
    /// Connects; `None` when it did not come about.
    pub(super) async fn connect(&mut self) -> Option<Connection> {
        if !self.reached().await {
            for name in PHASES {
                self.chart.skip(name, "there is no connection");
            }
            return None;
        }
        let phases = Mutex::new(Phases::default());
        let hear = self.chart.hear;
        let target = self.settings.target();
        let progress = |phase: Phase, whom: &str| {
            phases.lock().unwrap_or_else(PoisonError::into_inner).begun.push((phase, whom == target, Instant::now()));
            hear(super::Word::Begins(step_of(phase)));
        };
        let (settings, person, memory) =
            (Arc::clone(&self.settings), Arc::clone(&self.person), Arc::clone(&self.memory));
        let began = Instant::now();
        let established = Connection::establish(settings, person, memory, &progress).await;
        let phases = phases.into_inner().unwrap_or_else(PoisonError::into_inner);
        let told = Told { greeting: self.memory.greeting(), settings: &self.settings, phases, began };
        let (connection, error) = match established {
            Ok(connection) => (Some(connection), None),
            Err(error) => (None, Some(error)),
        };
        let failed = error.as_ref().map(|error| told.step_of(error));
        for name in PHASES {
            let step = match (&error, failed) {
                (Some(error), Some(failed)) if name == failed => Step::failed(name, error),
                (_, Some(Name::HostKey)) if name == Name::Algorithms && told.greeting.kex.is_empty() => {
                    Step::new(name, Verdict::CannotTell, "the host key comes first")
                }
                (_, Some(failed)) if name > failed => {
                    Step::new(name, Verdict::Skipped, format!("it needs {}", failed.as_str()))
                }
                _ => told.step(name),
            };
            self.chart.done(step.took(told.time(name)));
        }
        connection
    }

    /// Whether there is anything to talk to, as far as TCP tells.
    async fn reached(&mut self) -> bool {
        self.chart.begin(Name::Resolve);
        let began = Instant::now();
        let found = match ssh::addresses(&self.settings).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                for name in [Name::Resolve, Name::Tcp] {
                    self.chart.skip(name, "a ProxyCommand finds the way");
                }
                return true;
            }
            Err(error) => {
                self.chart.done(Step::failed(Name::Resolve, &error).took(began.elapsed()));
                self.chart.skip(Name::Tcp, "it needs resolve");
                return false;
            }
        };
        let first = self.settings.jumps.first().unwrap_or(&self.settings);
        let (host, port) = (first.host.clone(), first.port);
        let all: Vec<String> = found.iter().map(|a| a.ip().to_string()).collect();
        let step = if all == [host.clone()] {
            Step::new(Name::Resolve, Verdict::Ok, format!("{host} is an address"))
        } else {
            Step::new(Name::Resolve, Verdict::Ok, format!("{host} is {}", all.join(", ")))
        };
        self.chart.done(step.took(began.elapsed()));

        self.chart.begin(Name::Tcp);
        let began = Instant::now();
        let tried = ssh::try_each(&self.settings, &found, &self.memory).await;
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (address, connected) in tried {
            match connected {
                Ok(took) => good.push(format!("{address} in {} ms", took.as_millis())),
                Err(e) => bad.push(format!("{address}: {}", io_reason(&e))),
            }
        }
        let step = if good.is_empty() {
            let error = Error::failed(format!("no connection to port {port} of {host}"))
                .hint("is the port right (-p)? No answer at all means a firewall, or a machine that is down");
            bad.iter().fold(Step::failed(Name::Tcp, &error), Step::detail)
        } else if bad.is_empty() {
            Step::new(Name::Tcp, Verdict::Ok, good.join(", "))
        } else {
            let step = Step::new(Name::Tcp, Verdict::Warning, good.join(", "));
            let step = bad.iter().fold(step, Step::detail);
            step.hint("each start tries that address, too: AddressFamily in ssh_config leaves a family out")
        };
        self.chart.done(step.took(began.elapsed()));
        !good.is_empty()
    }
}

/// When which phase began, and whether it was that of the jump host itself.
#[derive(Default)]
struct Phases {
    begun: Vec<(Phase, bool, Instant)>,
}

impl Phases {
    fn at(&self, phase: Phase) -> Option<Instant> {
        self.begun.iter().find(|(p, ours, _)| *p == phase && *ours).map(|(.., at)| *at)
    }
}

/// What the attempt told.
struct Told<'a> {
    greeting: Greeting,
    settings: &'a Settings,
    phases: Phases,
    began: Instant,
}

fn step_of(phase: Phase) -> Name {
    match phase {
        Phase::Connect | Phase::Banner => Name::Banner,
        Phase::KeyExchange => Name::Algorithms,
        Phase::Authentication => Name::Authentication,
        Phase::Forward => Name::Forward,
    }
}

impl Told<'_> {
    /// The step in which `error` came.
    fn step_of(&self, error: &Error) -> Name {
        match (error.kind, self.phases.begun.last()) {
            (Kind::HostKey, _) => Name::HostKey,
            (_, Some((phase, ..))) => step_of(*phase),
            (_, None) => Name::Banner,
        }
    }

    fn time(&self, name: Name) -> Duration {
        let between = |from: Option<Instant>, to: Option<Instant>| {
            from.map_or(Duration::ZERO, |from| to.map_or_else(|| from.elapsed(), |to| to - from))
        };
        let (banner, keys) = (self.phases.at(Phase::Banner), self.phases.at(Phase::KeyExchange));
        let login = self.phases.at(Phase::Authentication);
        match name {
            Name::Banner => between(banner.or(Some(self.began)), keys),
            Name::Algorithms => between(keys, login).saturating_sub(self.greeting.checking),
            Name::HostKey => self.greeting.checking,
            _ => between(login, None),
        }
    }

    /// A step that went well.
    fn step(&self, name: Name) -> Step {
        let Greeting { software, kex, host_key, cipher, mac, fingerprint, login, .. } = &self.greeting;
        let ok = |text: String| Step::new(name, Verdict::Ok, text);
        match name {
            Name::Banner => {
                let hops: Vec<String> = self.settings.jumps.iter().map(Settings::target).collect();
                let step = ok(software.clone());
                if hops.is_empty() { step } else { step.detail(format!("reached through {}", hops.join(", "))) }
            }
            Name::Algorithms => {
                let all = [kex, cipher, mac, host_key].map(String::as_str);
                let all: Vec<&str> = all.into_iter().filter(|name| !name.is_empty()).collect();
                let weak = self.greeting.weak();
                if weak.is_empty() {
                    return ok(all.join(", "));
                }
                Step::new(name, Verdict::Warning, format!("too weak today: {}", weak.join(", ")))
                    .detail(format!("agreed on: {}", all.join(", ")))
                    .hint("the server needs newer algorithms (Ciphers, MACs, KexAlgorithms, HostKeyAlgorithms of its sshd_config), or your ssh_config asks for old ones")
            }
            Name::HostKey if self.greeting.is_new && self.settings.strict != StrictHostKeyChecking::Ask => {
                Step::new(name, Verdict::Warning, format!("not known before, taken unseen: {fingerprint}"))
                    .detail("StrictHostKeyChecking does so; doctor writes nothing down")
                    .hint(format!("compare the fingerprint, then: ssh {}", self.settings.ssh_arguments()))
            }
            Name::HostKey if self.greeting.is_new => ok(format!("new, and you know it: {fingerprint}")),
            Name::HostKey => ok(format!("known: {fingerprint}")),
            _ if login.is_empty() => {
                Step::new(name, Verdict::Warning, format!("{} lets in whoever comes", self.settings.target()))
                    .hint("the account needs a key, and the server no `AuthenticationMethods none`")
            }
            _ => ok(format!("{} with {}", self.settings.user, login.join(" and "))),
        }
    }
}

//! The port: is it granted, where does the jump host listen, who gets through.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::step::{Name, Step, Verdict};
use super::{Chart, Examined, Held, Patient, no_port};
use crate::error::{Error, Kind};
use crate::ledger::Reach;
use crate::plan::{Relay, Transport, is_loopback};
use crate::ssh::{self, Connection, Facts, Finding, Memory, Person, RelayPlace, Relayed};

/// What is asked of a port that was granted.
const BEHIND: [Name; 3] = [Name::BindAddress, Name::Reach, Name::SenderAddress];

impl Patient<'_> {
    /// All four steps.
    pub(super) async fn doors(&mut self) {
        let Self { connection, chart, streams, memory, person, .. } = self;
        let Some(connection) = connection else {
            for name in [Name::Forward].into_iter().chain(BEHIND) {
                chart.skip(name, "there is no connection");
            }
            return;
        };
        for (stream, number) in streams.iter_mut().zip(0..) {
            chart.begin(Name::Forward);
            let began = Instant::now();
            let step = Box::pin(forward(connection, stream, number, memory, &**person)).await;
            chart.done_for(&stream.plan, step.took(began.elapsed()));
        }
        connection.open_doors().await;
        let ports: Vec<u16> = streams.iter().filter_map(|stream| stream.port).collect();
        if ports.is_empty() {
            for name in BEHIND {
                chart.skip(name, "it needs a port");
            }
            return;
        }
        let prober = connection.prober();
        chart.begin(Name::BindAddress);
        let began = Instant::now();
        let facts = prober.facts(&ports).await;
        let took = began.elapsed() / u32::try_from(ports.len()).unwrap_or(1);
        let here = connection.local_address().map(|a| a.ip().to_canonical());
        for stream in streams {
            let Some(port) = stream.port else {
                chart.done_for(&stream.plan, Step::new(Name::BindAddress, Verdict::Skipped, "it has no port"));
                continue;
            };
            let step = bind_address(&facts, port, &stream.plan.bind, &connection.target());
            let step = match &stream.held {
                Some(held) => beside(step, held),
                None => step,
            };
            let step = if stream.relayed { step.detail("opened by the relay of this stream") } else { step };
            chart.done_for(&stream.plan, step.took(took));
        }
        for stream in &mut self.streams {
            reach(&prober, &mut self.chart, stream, here).await;
        }
    }
}

async fn forward(
    connection: &mut Connection,
    stream: &mut Examined,
    number: u16,
    memory: &Memory,
    person: &dyn Person,
) -> Step {
    if let Some(why) = no_port(&stream.plan) {
        return Step::new(Name::Forward, Verdict::Skipped, why);
    }
    let Some(rig) = &stream.rig else {
        return Step::new(Name::Forward, Verdict::Skipped, "nothing can stand in for the output");
    };
    let wanted = if stream.held.is_some() { 0 } else { stream.plan.port };
    if stream.plan.relay == Relay::Always {
        return relayed(connection, stream, number, wanted, memory).await;
    }
    let granted = match connection.ask(&rig.intake, wanted).await {
        Ok(granted) => granted,
        Err(error) => return Step::failed(Name::Forward, &error),
    };
    let Some(port) = granted else {
        let refused = connection.explain(&rig.intake, wanted).await;
        return match &stream.held {
            // Most keys may open their own port alone, and rightly so.
            Some(held) => Step::new(
                Name::Forward,
                Verdict::CannotTell,
                format!("the collector \"{}\" has port {}, and no other is granted", held.collector, held.port),
            )
            .detail(refused.error.message)
            .hint(format!("reclog down {} before reclog doctor examines the port itself", held.collector)),
            None if wanted == 0 => {
                let step = Step::failed(Name::Forward, &refused.error);
                step.hint("where the key may open one port alone, name it: --remote-port PORT")
            }
            None => Step::failed(Name::Forward, &refused.error),
        };
    };
    if stream.plan.relay == Relay::Auto
        && !is_loopback(&stream.plan.bind)
        && connection.prober().facts(&[port]).await.is_loopback_only(port) == Some(true)
    {
        connection.give_back(&rig.intake, port).await;
        return relayed(connection, stream, number, wanted, memory).await;
    }
    let intakes = std::slice::from_ref(&rig.intake);
    if let Err(error) = Box::pin(ssh::check_doors(connection, intakes, &[port], &memory.doors, person)).await {
        return Step::failed(Name::Forward, &error);
    }
    stream.port = Some(port);
    match &stream.held {
        Some(Held { collector, pid, port: theirs, .. }) => {
            Step::new(Name::Forward, Verdict::Ok, format!("port {port}, chosen by the jump host"))
                .detail(format!("port {theirs} belongs to the collector \"{collector}\" (pid {pid}), which runs"))
        }
        None if wanted == 0 => Step::new(Name::Forward, Verdict::Ok, format!("port {port}, chosen by the jump host")),
        None => Step::new(Name::Forward, Verdict::Ok, format!("port {port} is granted")),
    }
}

/// What the listeners of `port` say about an address that was asked for as `bind`.
fn bind_address(facts: &Facts, port: u16, bind: &str, target: &str) -> Step {
    let Some(listeners) = &facts.listeners else {
        return Step::new(Name::BindAddress, Verdict::CannotTell, "the account may run no command that would tell");
    };
    let addresses: Vec<IpAddr> =
        listeners.iter().filter(|at| at.port() == port).map(|at| at.ip().to_canonical()).collect();
    if addresses.is_empty() {
        return Step::new(
            Name::BindAddress,
            Verdict::CannotTell,
            format!("{target} does not list who listens on {port}"),
        );
    }
    let shown = addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" and ");
    let loopback = addresses.iter().all(IpAddr::is_loopback);
    if loopback && !is_loopback(bind) {
        return Step::new(Name::BindAddress, Verdict::Warning, format!("{shown} alone, and {bind} was asked for"))
            .hint("GatewayPorts in the sshd_config there says no, which is its default: see the step reach");
    }
    Step::new(Name::BindAddress, Verdict::Ok, format!("{shown}, port {port}"))
}

/// The port by a relay. Datagrams are not examined: they would be records of nobody.
async fn relayed(connection: &mut Connection, stream: &mut Examined, number: u16, port: u16, memory: &Memory) -> Step {
    let Some(rig) = &stream.rig else {
        return Step::new(Name::Forward, Verdict::Skipped, "nothing can stand in for the output");
    };
    let place = RelayPlace { stream: number, intake: &rig.intake, transport: &Transport::Tcp, port, held: false };
    match connection.relay(place, &memory.relays).await {
        Ok(Relayed::At { port, note }) => {
            (stream.port, stream.relayed) = (Some(port), true);
            let step =
                Step::new(Name::Forward, Verdict::Ok, format!("port {port} is open, by a relay on the jump host"));
            note.iter().fold(step, Step::detail)
        }
        Ok(Relayed::Unavailable(error)) | Err(error) => Step::failed(Name::Forward, &error),
    }
}

async fn reach(prober: &ssh::Prober, chart: &mut Chart<'_>, stream: &mut Examined, here: Option<IpAddr>) {
    let (Some(rig), Some(port)) = (&stream.rig, stream.port) else {
        for name in [Name::Reach, Name::SenderAddress] {
            chart.done_for(&stream.plan, Step::new(name, Verdict::Skipped, "it has no port"));
        }
        return;
    };
    if let Some(held) = &stream.held {
        let step = told_by(held);
        chart.done_for(&stream.plan, step);
        let why = format!("senders of this port are the collector's: reclog audit {}", held.collector);
        chart.done_for(&stream.plan, Step::new(Name::SenderAddress, Verdict::Skipped, why));
        return;
    }
    chart.begin(Name::Reach);
    let began = Instant::now();
    let finding = prober.probe(&rig.intake, port).await;
    chart.done_for(&stream.plan, reached(&finding, &stream.plan.bind, port).took(began.elapsed()));
    chart.done_for(&stream.plan, sender_address(finding.seen_as.as_deref(), here));
    stream.finding = Some(finding);
}

/// What the port that is examined beside that of a collector tells about the latter: the collector may have a relay.
fn beside(step: Step, held: &Held) -> Step {
    let Held { collector, port, .. } = held;
    if step.verdict != Verdict::Warning || held.reach == Reach::LoopbackOnly {
        return step;
    }
    let (verdict, of) = match held.reach {
        Reach::Proven => (Verdict::Ok, "is reached from outside all the same: a relay?"),
        _ => (Verdict::CannotTell, "may be bound otherwise, by a relay"),
    };
    Step::new(Name::BindAddress, verdict, format!("{}, for the port that is examined", step.message))
        .detail(format!("port {port} of the collector \"{collector}\" {of}"))
}

/// What the collector that has the port knows.
fn told_by(held: &Held) -> Step {
    let Held { collector, port, bind, reach, finding, looked, .. } = held;
    let none = Finding::default();
    let finding = finding.as_ref().unwrap_or(&none);
    let why = if finding.why.is_empty() { String::new() } else { format!(": {}", finding.why) };
    let ago = looked.map_or(String::new(), |looked| format!(", as of {} s ago", looked.as_secs()));
    let says = |what: &str| format!("port {port}: the collector \"{collector}\" says {what}{ago}");
    let (verdict, text) = match reach {
        Reach::Proven if finding.why.is_empty() => (Verdict::Ok, says("proven")),
        Reach::Proven => (Verdict::Warning, says("proven") + &why),
        Reach::LoopbackOnly | Reach::Unproven if is_loopback(bind) => {
            (Verdict::Ok, format!("{}, as asked for ({bind})", says("loopback-only")))
        }
        Reach::LoopbackOnly => (Verdict::Warning, says("loopback-only") + &why),
        Reach::Unproven if finding.has_failed() => (Verdict::Warning, says("unproven") + &why),
        Reach::Unproven => (Verdict::CannotTell, says("unproven") + &why),
    };
    beneath(Step::new(Name::Reach, verdict, text), finding)
}

/// `step` with the rest of `finding` below it.
fn beneath(step: Step, finding: &Finding) -> Step {
    let step = finding.notes.iter().fold(step, Step::detail);
    let step = finding.untold.iter().fold(step, |step, what| step.detail(format!("not told: {what}")));
    if step.verdict == Verdict::Ok { step } else { finding.remedies.iter().fold(step, Step::hint) }
}

fn reached(finding: &Finding, bind: &str, port: u16) -> Step {
    let why = if finding.why.is_empty() { "nobody knows why" } else { &finding.why };
    let step = match finding.reach {
        Reach::Proven if finding.why.is_empty() => {
            Step::new(Name::Reach, Verdict::Ok, format!("proven from here: port {port} leads to the file"))
        }
        // A family that another program takes, or that is lost on the way.
        Reach::Proven => Step::new(Name::Reach, Verdict::Warning, why).detail("proven over the other one"),
        Reach::LoopbackOnly | Reach::Unproven if is_loopback(bind) => {
            Step::new(Name::Reach, Verdict::Ok, format!("from the jump host alone, as asked for ({bind})"))
        }
        Reach::LoopbackOnly => Step::new(Name::Reach, Verdict::Warning, why),
        // Somebody looked, and knows what is in the way.
        Reach::Unproven if !finding.remedies.is_empty() => Step::new(Name::Reach, Verdict::Warning, why),
        Reach::Unproven => Step::new(Name::Reach, Verdict::CannotTell, why),
    };
    beneath(step, finding)
}

/// `seen`: whence the jump host saw our probe come; `here`: our own address of the connection.
fn sender_address(seen: Option<&str>, here: Option<IpAddr>) -> Step {
    let Some(seen) = seen else {
        return Step::new(Name::SenderAddress, Verdict::CannotTell, "no sender from outside was seen");
    };
    let step = |verdict, text: String| Step::new(Name::SenderAddress, verdict, text);
    let ip = seen.parse::<SocketAddr>().map(|at| at.ip()).or_else(|_| seen.parse::<IpAddr>());
    match ip.map(|ip| ip.to_canonical()) {
        Ok(ip) if Some(ip) == here => step(Verdict::Ok, format!("kept: {seen} is this machine")),
        Ok(ip) if ip.is_loopback() => {
            step(Verdict::Warning, format!("lost: this machine came in as {seen}, as all senders will"))
                .hint("something on the jump host hands connections on: a relay without the PROXY protocol?")
        }
        Ok(_) => step(Verdict::Ok, format!("the jump host saw this machine as {seen}"))
            .detail("a NAT stands between: that of this machine, or one in front of the jump host"),
        Err(_) => step(Verdict::CannotTell, format!("the jump host says {seen}")),
    }
}

/// The error of a profile that has no jump host.
#[must_use]
pub fn no_jump_host(name: &str) -> Error {
    Error::new(Kind::Usage, format!("{name} listens on this machine: there is no jump host to examine"))
        .hint("reclog up and reclog status say all about a port of this machine")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_a_warning_unless_it_was_asked_for() {
        let facts = |all: &[&str]| Facts {
            listeners: Some(all.iter().map(|a| a.parse().unwrap()).collect()),
            ..Facts::default()
        };
        let verdict = |facts: &Facts, bind| bind_address(facts, 7, bind, "t").verdict;
        let inside = facts(&["127.0.0.1:7", "[::1]:7", "0.0.0.0:8"]);
        assert_eq!(verdict(&inside, "*"), Verdict::Warning);
        assert_eq!(verdict(&inside, "localhost"), Verdict::Ok);
        assert_eq!(verdict(&facts(&["0.0.0.0:7", "[::]:7"]), "*"), Verdict::Ok);
        assert_eq!(verdict(&facts(&["0.0.0.0:8"]), "*"), Verdict::CannotTell);
        assert_eq!(verdict(&Facts::default(), "*"), Verdict::CannotTell);
    }

    #[test]
    fn what_a_probe_found_is_told_with_its_remedies() {
        let finding = |reach, remedies: &[&str]| Finding {
            reach,
            why: "w".into(),
            remedies: remedies.iter().map(|&r| r.to_owned()).collect(),
            ..Finding::default()
        };
        let step = reached(&finding(Reach::LoopbackOnly, &["r"]), "*", 7);
        assert_eq!((step.verdict, &step.hints[..]), (Verdict::Warning, &["r".to_owned()][..]));
        assert_eq!(reached(&finding(Reach::LoopbackOnly, &["r"]), "127.0.0.1", 7).verdict, Verdict::Ok);
        assert_eq!(reached(&finding(Reach::Unproven, &[]), "*", 7).verdict, Verdict::CannotTell);
        assert_eq!(reached(&finding(Reach::Unproven, &["r"]), "*", 7).verdict, Verdict::Warning);
        let half = reached(&finding(Reach::Proven, &["r"]), "*", 7);
        assert_eq!((half.verdict, &half.hints[..]), (Verdict::Warning, &["r".to_owned()][..]));
        let whole = Finding { reach: Reach::Proven, ..Finding::default() };
        assert_eq!(reached(&whole, "*", 7).verdict, Verdict::Ok);
    }

    #[test]
    fn what_could_not_be_told_is_told_as_such() {
        let finding = Finding { notes: vec!["n".into()], untold: vec!["u".into()], ..Finding::default() };
        assert_eq!(reached(&finding, "*", 7).details, ["n", "not told: u"]);
    }

    #[test]
    fn a_sender_that_looks_like_the_jump_host_has_lost_its_address() {
        let here = Some("192.0.2.7".parse().unwrap());
        assert_eq!(sender_address(Some("192.0.2.7:5"), here).verdict, Verdict::Ok);
        assert_eq!(sender_address(Some("203.0.113.1:5"), here).details.len(), 1);
        assert_eq!(sender_address(Some("127.0.0.1:5"), here).verdict, Verdict::Warning);
        assert_eq!(sender_address(None, here).verdict, Verdict::CannotTell);
        // Where the jump host is this very machine.
        assert_eq!(sender_address(Some("127.0.0.1:5"), Some("127.0.0.1".parse().unwrap())).verdict, Verdict::Ok);
    }
}

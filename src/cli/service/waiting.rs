//! Waits until a service that was started is up, or tells why it is not.

use std::time::Duration;

use super::super::printer::Printer;
use super::super::spinner::Spinner;
use super::super::up;
use super::kind_of;
use crate::collector::events::{Up, UpStream};
use crate::collector::live;
use crate::control::client::{self, Client};
use crate::error::{Error, Kind, Result};
use crate::ledger::{CollectorSnapshot, State};
use crate::paths::Paths;
use crate::plan::Framing;
use crate::service::{Active, Manager, Service};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(100);

/// Looks after which one that runs ought to answer, and one that is to be started ought to be.
const PATIENCE: u32 = 100;

/// Waits for `service`, whose sockets are in `paths`, and prints the block of `up`. `old`: the start before the one that was asked
/// for, of which nothing is told any more; empty where there was none.
///
/// # Errors
/// What a person would have heard of `up`.
pub async fn until_up(
    service: &Service,
    manager: &Manager,
    old: Option<&str>,
    paths: &Paths,
    printer: Printer,
) -> Result<()> {
    let unit = service.unit_name();
    let spinner = Spinner::new(Some(printer));
    spinner.say(format!("waiting for {unit}"));
    let waiting = async {
        let (mut silent, mut idle) = (0, 0);
        loop {
            let active = manager.show(&unit)?;
            // A unit that systemd had forgotten has no start at all.
            let begun = old.is_none_or(|old| ![old, ""].contains(&active.invocation.as_str()));
            if begun {
                if active.has_ended() || (active.state == "inactive" && active.result != "success") {
                    return Err(ended(service, manager, &active));
                }
                if active.state == "inactive" {
                    return Err(Error::failed(format!("{unit} was stopped before it was up")));
                }
                let snapshot = snapshot(&service.name, active.pid, paths).await;
                match snapshot {
                    Some(snapshot) if active.is_up() => return Ok(snapshot),
                    Some(snapshot) if snapshot.state == State::Waiting => {
                        return Err(not_yet(service, &snapshot));
                    }
                    None if active.is_up() => {
                        silent += 1;
                        if silent > PATIENCE {
                            return Err(Error::failed(format!(
                                "{unit} runs, and its control socket is not to be found"
                            ))
                            .hint(format!("looked for in {}", places(paths))));
                        }
                    }
                    _ => {}
                }
            } else if !active.runs() && !active.queued {
                idle += 1;
                if idle > PATIENCE {
                    return Err(Error::failed(format!("systemd did not start {unit}"))
                        .hint(format!("`systemctl {}status {unit}` may tell why", manager.flag())));
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let up = tokio::select! {
        up = waiting => up,
        () = up::interrupt() => Err(Error::interrupted()),
    };
    spinner.finish();
    let snapshot = up?;
    let up = of_snapshot(&snapshot);
    up::announce(&up, false, printer)
}

fn places(paths: &Paths) -> String {
    paths.runtimes().iter().map(|folder| super::super::words::path(folder)).collect::<Vec<_>>().join(", ")
}

async fn snapshot(name: &str, pid: u32, paths: &Paths) -> Option<CollectorSnapshot> {
    for found in client::find(paths).into_iter().filter(|found| found.name == name) {
        if let Ok(mut client) = Client::connect(&found.socket).await
            && client.hello.pid == pid
        {
            return client.snapshot().await.ok();
        }
    }
    None
}

/// The jump host is away; the service stays and keeps trying.
fn not_yet(service: &Service, snapshot: &CollectorSnapshot) -> Error {
    let why = snapshot.last_error.clone().unwrap_or_else(|| "the jump host cannot be reached".to_owned());
    Error::new(snapshot.last_error_kind.unwrap_or(Kind::Failed), why).hint(format!(
        "{} is installed and keeps trying; `reclog status {}` shows how it goes",
        service.unit_name(),
        service.name
    ))
}

/// The process ended: what it said, as far as it can be found.
fn ended(service: &Service, manager: &Manager, active: &Active) -> Error {
    let unit = service.unit_name();
    let journal = manager.journal(&unit, &active.invocation);
    let mut error = match last_words(&journal) {
        Some((message, hints)) => hints.into_iter().fold(Error::new(kind_of(active.status), message), Error::hint),
        None => Error::new(
            kind_of(active.status),
            format!("{unit} ended ({} {}); {}", active.result, active.status, or_text(active)),
        ),
    };
    let user = manager.flag();
    error = error.hint(format!("{unit} is installed; `journalctl {user}-u {unit}` shows what it said"));
    error
}

fn or_text(active: &Active) -> String {
    if active.text.is_empty() { "the journal does not say why".to_owned() } else { active.text.clone() }
}

/// The last error that the journal has, and its hints.
fn last_words(journal: &str) -> Option<(String, Vec<String>)> {
    let lines: Vec<&str> = journal.lines().collect();
    let at = lines.iter().rposition(|line| line.starts_with("error: "))?;
    let mut rest = lines[at..]
        .iter()
        .take_while(|line| line.starts_with("error: ") || line.starts_with("hint: ") || line.starts_with("  "));
    let mut message = rest.next()?.trim_start_matches("error: ").to_owned();
    let mut hints: Vec<String> = Vec::new();
    for line in rest {
        match (line.strip_prefix("hint: "), hints.last_mut()) {
            (Some(hint), _) => hints.push(hint.to_owned()),
            (None, Some(hint)) => hint.push_str(&format!("\n{}", line.trim_start())),
            (None, None) => message.push_str(&format!("\n{}", line.trim_start())),
        }
    }
    Some((message, hints))
}

/// What `up` would have told.
fn of_snapshot(snapshot: &CollectorSnapshot) -> Up {
    let host = snapshot.target.as_deref().map(super::super::place::host_of);
    let streams = snapshot.streams.iter().map(|stream| UpStream {
        name: stream.name.clone(),
        host: live::sender_host(host, &stream.bind),
        remote_port: stream.remote_port,
        socket: stream.socket.clone(),
        udp: stream.datagrams_lost.is_some(),
        bind: stream.bind.clone(),
        framing: [Framing::Raw, Framing::Syslog, Framing::Relp]
            .into_iter()
            .find(|framing| framing.as_str() == stream.framing)
            .unwrap_or_default(),
        keyword: !stream.keywords.is_empty(),
        reach: stream.reach,
        finding: stream.finding.clone(),
        out: stream.outputs.first().map(|output| output.path.clone()).unwrap_or_default(),
    });
    Up { name: snapshot.name.clone(), pid: snapshot.pid, target: snapshot.target.clone(), streams: streams.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_of_the_journal_is_told_with_its_hints() {
        let journal = "not yet: x\nerror: first\nhint: old\nStarted\nerror: cannot log in\n  at all\nhint: do\n  this\nhint: or that\nbye\n";
        let (message, hints) = last_words(journal).unwrap();
        assert_eq!(message, "cannot log in\nat all");
        assert_eq!(hints, ["do\nthis", "or that"]);
        assert_eq!(last_words("nothing\n"), None);
    }
}

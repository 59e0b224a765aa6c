//! Which collector a verb means.

use super::printer::Printer;
use crate::control::client::{self, Client, Found, Silence};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::ledger::{CollectorSnapshot, StreamSnapshot};
use crate::paths::Paths;
use crate::profile::did_you_mean;

/// A collector that answers.
pub struct Running {
    /// Name and socket.
    pub found: Found,
    /// The conversation.
    pub client: Client,
}

/// Everything that runs. What was killed or hangs is told on stderr.
pub async fn running(paths: &Paths, printer: Printer) -> Vec<Running> {
    let mut all = Vec::new();
    for found in client::find(paths) {
        match Client::connect(&found.socket).await {
            Ok(client) => {
                note_age(&client, printer);
                all.push(Running { found, client });
            }
            Err(Silence::Ending) => {}
            Err(Silence::Dead) => printer.warning(&killed(&found.name)),
            Err(Silence::Hung(error)) => printer.error(&error),
        }
    }
    all
}

/// Says that a collector is of an older release, which is no trouble.
pub fn note_age(client: &Client, printer: Printer) {
    if let Some(age) = client.hello.age() {
        printer.note(&format!("note: {}", escape_str(&age)));
    }
}

/// The error of a verb that needs something that runs.
pub fn nothing_runs() -> Error {
    Error::not_running("nothing is running").hint("start a collector with `reclog up`")
}

/// The one that is meant: by its name, or the only one.
pub async fn one(name: Option<&str>, paths: &Paths, printer: Printer) -> Result<Running> {
    if let Some(name) = name {
        let all = client::find(paths);
        let Some(found) = all.iter().find(|f| f.name == name) else { return Err(unknown(name, &all)) };
        return match Client::connect(&found.socket).await {
            Ok(client) => {
                note_age(&client, printer);
                Ok(Running { found: found.clone(), client })
            }
            Err(Silence::Hung(error)) => Err(error),
            Err(Silence::Ending) => Err(unknown(name, &[])),
            Err(Silence::Dead) => Err(unknown(name, &[]).hint(killed(name))),
        };
    }
    let mut all = running(paths, printer).await;
    match all.len() {
        0 => Err(nothing_runs()),
        1 => Ok(all.swap_remove(0)),
        _ => Err(several(&all, "name one")),
    }
}

/// The error for a name that does not run.
pub fn unknown(name: &str, all: &[Found]) -> Error {
    let names = all.iter().map(|f| f.name.as_str());
    let error = Error::not_running(format!("no collector \"{name}\" is running"));
    match did_you_mean(name, names.clone()) {
        Some(hint) => error.hint(hint),
        None if all.is_empty() => error,
        None => error.hint(format!("running: {}", names.collect::<Vec<_>>().join(", "))),
    }
}

/// What became of a collector that left its socket.
pub fn killed(name: &str) -> String {
    format!(
        "\"{name}\" was killed and left its socket; `reclog up` starts it again, `reclog down {name}` clears it away"
    )
}

/// The error for a missing name when several run.
pub fn several(all: &[Running], what: &str) -> Error {
    let names: Vec<&str> = all.iter().map(|r| r.found.name.as_str()).collect();
    Error::usage(format!("several collectors are running: {}", names.join(", "))).hint(what)
}

/// Collector and streams that `NAME` or `NAME/STREAM` means.
pub async fn streams(
    name: Option<&str>,
    paths: &Paths,
    printer: Printer,
) -> Result<(CollectorSnapshot, Vec<StreamSnapshot>)> {
    let (collector, stream) = match name.and_then(|n| n.split_once('/')) {
        Some((collector, stream)) => (Some(collector), Some(stream)),
        None => (name, None),
    };
    let snapshot = one(collector, paths, printer).await?.client.snapshot().await?;
    let mut streams = snapshot.streams.clone();
    if let Some(wanted) = stream {
        streams.retain(|s| s.name == wanted);
        if streams.is_empty() {
            let names: Vec<&str> = snapshot.streams.iter().map(|s| s.name.as_str()).collect();
            return Err(Error::not_running(format!("the collector \"{}\" has no stream \"{wanted}\"", snapshot.name))
                .hint(format!("its streams: {}", names.join(", "))));
        }
    }
    Ok((snapshot, streams))
}

//! What the demo sends, and whether what came of it is what was promised. Pure, but for a look into a folder.

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::ledger::StreamSnapshot;

/// The variables that make reclog live in the demo's folder, and the folders in there. Short ones: a socket path has
/// about a hundred bytes.
pub(super) const FOLDERS: [(&str, &str); 3] =
    [("RECLOG_CONFIG_DIR", "config"), ("RECLOG_STATE_DIR", "state"), ("RECLOG_RUNTIME_DIR", "run")];

/// A sentence that holds, or one that says what does not.
pub(super) type Finding = Result<String, String>;

/// What the demo needs of the event `up`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Up {
    /// The port that the jump host chose.
    pub port: u16,
}

/// What the demo needs of the event `down`.
#[derive(Debug, Deserialize)]
pub(super) struct Down {
    /// The final snapshots.
    pub streams: Vec<StreamSnapshot>,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event {
    Up {
        streams: Vec<Port>,
    },
    Down(Down),
    Failed {
        kind: Kind,
        message: String,
        hint: Option<String>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Port {
    remote_port: u16,
}

/// The last line of what `up --json` printed.
pub(super) fn up_event(said: &[u8]) -> Result<Up> {
    match last_event(said, "reclog up")? {
        Event::Up { streams } => match streams.first() {
            Some(stream) if stream.remote_port > 0 => Ok(Up { port: stream.remote_port }),
            _ => Err(Error::failed("reclog up did not tell the port it opened")),
        },
        _ => Err(Error::failed("reclog up ended without saying that it is up")),
    }
}

/// The last line of what `down --json` printed.
pub(super) fn down_event(said: &[u8]) -> Result<Down> {
    match last_event(said, "reclog down")? {
        Event::Down(down) => Ok(down),
        _ => Err(Error::failed("reclog down ended without saying that it is down")),
    }
}

fn last_event(said: &[u8], who: &str) -> Result<Event> {
    let last = said.trim_ascii_end().rsplit(|b| *b == b'\n').next().unwrap_or_default();
    match serde_json::from_slice(last) {
        Ok(Event::Failed { kind, message, hint }) => {
            let error = Error::new(kind, message);
            Err(hint.iter().flat_map(|hint| hint.lines()).fold(error, Error::hint))
        }
        Ok(event) => Ok(event),
        Err(e) => Err(Error::failed(format!("cannot understand what {who} --json printed: {e}"))),
    }
}

/// What each sender sends, line by line; the very last line has no end.
pub(super) fn scripts() -> Vec<Vec<String>> {
    let names = ["router", "printer", "toaster"];
    let mut all: Vec<Vec<String>> =
        names.iter().map(|name| (1..=4).map(|n| format!("{name}: line {n} of 4\n")).collect()).collect();
    if let Some(line) = all.last_mut().and_then(|script| script.last_mut()) {
        line.pop();
    }
    all
}

/// Bytes that `scripts` send.
pub(super) fn bytes_of(scripts: &[Vec<String>]) -> u64 {
    scripts.iter().flatten().map(|line| line.len() as u64).sum()
}

/// Whether `file` holds every line once, whole, and those of one sender in their order.
pub(super) fn lines(file: &[u8], scripts: &[Vec<String>]) -> Finding {
    let Some(body) = file.strip_suffix(b"\n") else { return Err("the file does not end with a line end.".into()) };
    let mut rest: Vec<_> = scripts.iter().map(|script| script.iter().map(|line| line.trim_end().as_bytes())).collect();
    for line in body.split(|b| *b == b'\n') {
        // A line has its sender's name in it: at most one of them can be waiting for it.
        let mut waiting = rest.iter_mut().filter_map(|script| script.clone().next().map(|next| (script, next)));
        match waiting.find(|(_, next)| *next == line) {
            Some((script, _)) => drop(script.next()),
            None => return Err(format!("a line is torn, doubled or out of order: {}", crate::escape::escape(line))),
        }
    }
    match rest.into_iter().map(Iterator::count).sum() {
        0 => Ok(format!(
            "all {} lines are there, once, whole, in each sender's order.",
            scripts.iter().flatten().count()
        )),
        missing => Err(format!("{missing} lines are missing.")),
    }
}

/// Whether `down` accounts for the `sent` bytes, and for each of the `size` bytes of the file.
pub(super) fn ledger(down: &Down, sent: u64, size: u64) -> Finding {
    let [stream] = &down.streams[..] else { return Err(format!("{} streams instead of one.", down.streams.len())) };
    let l = &stream.ledger;
    let dropped: u64 = l.discarded.values().sum();
    if l.received == sent && l.stored == sent && l.pending == 0 && dropped == 0 && l.received + l.added == size {
        return Ok(format!("{sent} bytes sent, received and stored + {} added = {size} in the file.", l.added));
    }
    let (received, stored, pending) = (l.received, l.stored, l.pending);
    Err(format!(
        "the sums are wrong: {sent} bytes sent, {received} received, {stored} stored, {pending} pending, \
         {dropped} dropped, {} added; the file has {size}.",
        l.added
    ))
}

/// Sockets and locks below `folder`.
pub(super) fn left_behind(folder: &Path) -> Vec<String> {
    let places = ["run", "state/run"].map(|place| folder.join(place));
    let files = places.iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten().flatten();
    files
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .filter(|name| [".sock", ".lock"].iter().any(|end| name.ends_with(end)))
        .collect()
}

#[cfg(test)]
#[path = "demo_checks_tests.rs"]
mod tests;

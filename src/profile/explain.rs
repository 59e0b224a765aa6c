//! What a plan means, said to a person.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::error::Result;
use crate::escape::escape_str;
use crate::paths::Paths;
use crate::plan::{
    DEFAULT_DRAIN_TIMEOUT, DEFAULT_KEEPALIVE, DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_LINE, DEFAULT_MIN_FREE,
    DEFAULT_PROBE_EVERY, Framing, Output, Plan, Relay, Rotate, SshPlan, StreamPlan, Sync, Transport,
};
use crate::profile::address::Address;
use crate::profile::resolve::resolve_profile;
use crate::profile::review::review;
use crate::profile::store::find;
use crate::profile::target::Target;
use crate::profile::units::{show_duration, show_size, sync_name};
use crate::profile::{keywords, limits, rotate, shape};

/// A profile that was found sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Where it lies.
    pub path: PathBuf,
    /// What it means.
    pub plan: Plan,
    /// The same for a person: several lines, the last one ended, safe for a terminal.
    pub text: String,
    /// What is allowed but probably not meant, one sentence each.
    pub warnings: Vec<String>,
}

/// Checks a saved profile, or a file when `reference` looks like a path, without connecting anywhere.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) with what is wrong and where.
pub fn check(reference: &str, paths: &Paths) -> Result<Checked> {
    let profile = find(reference, paths)?;
    let plan = resolve_profile(&profile)?;
    let text = explain(&plan);
    let warnings = review(&plan);
    Ok(Checked { path: profile.path, plan, text, warnings })
}

/// Target and ports in one line, safe for a terminal.
pub(super) fn summary(plan: &Plan) -> String {
    let ports: Vec<String> = plan.streams.iter().map(|stream| format!("{} {}", stream.name, port(stream))).collect();
    let place = plan.ssh.as_ref().map_or_else(|| "this machine".to_owned(), target);
    escape_str(&format!("{place}: {}", ports.join(", ")))
}

fn target(ssh: &SshPlan) -> String {
    Target { user: ssh.user.clone(), host: ssh.host.clone(), port: ssh.port }.to_string()
}

fn port(stream: &StreamPlan) -> String {
    if let Some(path) = stream.transport.socket() {
        return path.display().to_string();
    }
    if stream.port == 0 { "any port".to_owned() } else { stream.port.to_string() }
}

fn explain(plan: &Plan) -> String {
    let mut rows: Vec<(&str, String)> = vec![("collector", plan.name.clone())];
    match &plan.ssh {
        Some(ssh) => ssh_rows(ssh, &mut rows),
        None => rows.push(("target", "none; it listens on this machine, without SSH".to_owned())),
    }
    let drain = show_duration(plan.drain_timeout);
    rows.push(("drain_timeout", default(drain, plan.drain_timeout == DEFAULT_DRAIN_TIMEOUT)));
    if plan.keep_trying {
        rows.push(("keep_trying", "yes".to_owned()));
    }
    if plan.ssh.is_some() {
        let every = plan.probe_every.map_or_else(|| "never".to_owned(), show_duration);
        rows.push(("probe_every", default(every, plan.probe_every == Some(DEFAULT_PROBE_EVERY))));
    }
    if let Some(place) = &plan.metrics {
        rows.push(("metrics", place.to_string()));
    }
    let mut text = String::new();
    write_rows(&mut text, "", &rows);
    for stream in &plan.streams {
        let _ = writeln!(text, "stream {}", stream.name);
        write_rows(&mut text, "  ", &stream_rows(stream, plan.ssh.is_some()));
    }
    text
}

fn ssh_rows(ssh: &SshPlan, rows: &mut Vec<(&'static str, String)>) {
    rows.push(("target", target(ssh)));
    for file in &ssh.identities {
        rows.push(("identity", file.display().to_string()));
    }
    if let Some(file) = &ssh.config_file {
        rows.push(("ssh config", file.display().to_string()));
    }
    rows.push((
        "keepalive",
        match ssh.keepalive {
            Some(interval) if interval.is_zero() => "off".to_owned(),
            Some(interval) => show_duration(interval),
            None => format!("ServerAliveInterval of ssh_config, else {} (default)", show_duration(DEFAULT_KEEPALIVE)),
        },
    ));
    for (keyword, value) in &ssh.options {
        rows.push(("option", format!("{keyword} {value}")));
    }
}

fn stream_rows(stream: &StreamPlan, remote: bool) -> Vec<(&'static str, String)> {
    let side = if remote { "the jump host" } else { "this machine" };
    let place = match (stream.bind.as_str(), stream.port) {
        _ if stream.transport.socket().is_some() => format!("{} of {side}", Address::of(stream)),
        ("*", 0) => format!("a port that {side} chooses, on all its interfaces"),
        ("*", port) => format!("port {port} on all interfaces of {side}"),
        (bind, 0) => format!("a port that {side} chooses, on {bind}"),
        _ => format!("{} of {side}", Address::of(stream)),
    };
    let place = match stream.transport {
        Transport::Udp => format!("{place}, UDP"),
        Transport::TcpAndUdp => format!("{place}, TCP and UDP"),
        Transport::Tcp | Transport::Unix(_) => place,
    };
    let mut rows = vec![("senders", place), ("out", stream.out.to_string())];
    rows.extend(stream.also.iter().map(|out| ("also", out.to_string())));
    rows.push(("format", shape::explain(&stream.format)));
    rows.extend(stream.keywords.iter().map(|keyword| ("keyword", keywords::explain(keyword))));
    rows.extend([
        ("framing", default(stream.framing.as_str().to_owned(), stream.framing == Framing::default())),
        ("max_line", default(show_size(stream.max_line as u64), stream.max_line == DEFAULT_MAX_LINE)),
        (
            "max_connections",
            default(stream.max_connections.to_string(), stream.max_connections == DEFAULT_MAX_CONNECTIONS),
        ),
    ]);
    rows.extend(limits::explain(&stream.limits, stream.transport.socket().is_none()));
    if [&stream.out].into_iter().chain(&stream.also).any(Output::is_on_disk) {
        rows.push(("sync", default(sync_name(stream.sync).to_owned(), stream.sync == Sync::default())));
        rows.push(("min_free", default(show_size(stream.min_free), stream.min_free == DEFAULT_MIN_FREE)));
    }
    for (key, set) in [("strip_cr", stream.ends.strip_cr), ("nul", stream.ends.nul)] {
        if set {
            rows.push((key, "yes".to_owned()));
        }
    }
    if stream.relay != Relay::default() {
        rows.push(("relay", stream.relay.as_str().to_owned()));
    }
    if stream.rotate != Rotate::default() {
        rows.push(("rotate", rotate::explain(&stream.rotate)));
    }
    rows
}

fn default(value: String, is_default: bool) -> String {
    if is_default { value + " (default)" } else { value }
}

fn write_rows(text: &mut String, indent: &str, rows: &[(&str, String)]) {
    for (label, value) in rows {
        let _ = writeln!(text, "{indent}{label:<16}{}", escape_str(value));
    }
}

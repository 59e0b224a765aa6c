//! A plan written as a profile.

use std::path::Path;

use serde_yaml::{Mapping, Value};

use crate::error::{Error, Result};
use crate::plan::{
    DEFAULT_DRAIN_TIMEOUT, DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_LINE, DEFAULT_MIN_FREE, DEFAULT_PROBE_EVERY, Framing,
    Plan, Relay, SshPlan, StreamPlan, Sync,
};
use crate::profile::address::Address;
use crate::profile::problem::quote;
use crate::profile::target::Target;
use crate::profile::units::{show_duration, show_size, sync_name};
use crate::profile::{keywords, limits, outputs, rotate, shape};

/// `plan` as YAML that resolves to it again, but for its name. Defaults are left out: whoever reads it sees what was
/// chosen.
pub(super) fn to_yaml(plan: &Plan) -> Result<String> {
    let mut top = Mapping::new();
    if let Some(ssh) = &plan.ssh {
        let target = Target { user: ssh.user.clone(), host: ssh.host.clone(), port: None };
        put(&mut top, "target", target.to_string());
        put_map(&mut top, "ssh", ssh_map(ssh)?);
    }
    if plan.drain_timeout != DEFAULT_DRAIN_TIMEOUT {
        put(&mut top, "drain_timeout", show_duration(plan.drain_timeout));
    }
    if plan.keep_trying {
        put(&mut top, "keep_trying", true);
    }
    match plan.probe_every {
        None if plan.ssh.is_some() => put(&mut top, "no_probe", true),
        Some(every) if every != DEFAULT_PROBE_EVERY => put(&mut top, "probe_every", show_duration(every)),
        _ => {}
    }
    if let Some(place) = &plan.metrics {
        put(&mut top, "metrics", place.to_string());
    }
    let mut streams = Mapping::new();
    for stream in &plan.streams {
        put(&mut streams, &stream.name, stream_map(stream, plan.ssh.is_some())?);
    }
    put(&mut top, "streams", streams);
    let yaml = serde_yaml::to_string(&top).map_err(|e| Error::failed(format!("cannot write the plan as YAML: {e}")))?;
    Ok(format!("# Written by `reclog up --save`; `reclog profile check` says what it means.\n{yaml}"))
}

fn ssh_map(ssh: &SshPlan) -> Result<Mapping> {
    let mut map = Mapping::new();
    let files: Vec<Value> = ssh.identities.iter().map(|file| text_of(file)).collect::<Result<_>>()?;
    if !files.is_empty() {
        put(&mut map, "identity", one_or_many(files));
    }
    if let Some(port) = ssh.port {
        put(&mut map, "port", port);
    }
    if let Some(config) = &ssh.config_file {
        put(&mut map, "config", text_of(config)?);
    }
    if !ssh.jump.is_empty() {
        put(&mut map, "jump", one_or_many(ssh.jump.iter().map(|hop| Value::from(hop.as_str())).collect()));
    }
    if let Some(keepalive) = ssh.keepalive {
        put(&mut map, "keepalive", show_duration(keepalive));
    }
    let mut options = Mapping::new();
    for (keyword, _) in &ssh.options {
        let values = ssh.options.iter().filter(|(k, _)| k == keyword).map(|(_, value)| Value::from(value.as_str()));
        put(&mut options, keyword, one_or_many(values.collect()));
    }
    put_map(&mut map, "options", options);
    Ok(map)
}

fn stream_map(stream: &StreamPlan, remote: bool) -> Result<Mapping> {
    let mut map = Mapping::new();
    if let (true, Some(socket)) = (remote, stream.transport.socket()) {
        put(&mut map, "remote_socket", text_of(socket)?);
    } else if remote {
        put(&mut map, "remote_port", stream.port);
        if stream.bind != "*" {
            put(&mut map, "bind", stream.bind.as_str());
        }
        if stream.transport.has_udp() {
            put(&mut map, "udp", true);
        }
        if stream.relay != Relay::default() {
            put(&mut map, "relay", stream.relay.as_str());
        }
    } else {
        put(&mut map, "listen", Address::of(stream).to_string());
    }
    put(&mut map, "out", outputs::write(stream)?);
    shape::write(&stream.format, &mut map);
    keywords::write(&stream.keywords, &mut map)?;
    if stream.framing != Framing::default() {
        put(&mut map, "framing", stream.framing.as_str());
    }
    for (key, set) in [("strip_cr", stream.ends.strip_cr), ("nul", stream.ends.nul)] {
        if set {
            put(&mut map, key, true);
        }
    }
    if stream.max_line != DEFAULT_MAX_LINE {
        put(&mut map, "max_line", show_size(stream.max_line as u64));
    }
    if stream.max_connections != DEFAULT_MAX_CONNECTIONS {
        put(&mut map, "max_connections", stream.max_connections as u64);
    }
    limits::write(&stream.limits, &mut map);
    if stream.sync != Sync::default() {
        put(&mut map, "sync", sync_name(stream.sync));
    }
    if stream.min_free != DEFAULT_MIN_FREE {
        put(&mut map, "min_free", show_size(stream.min_free));
    }
    put_map(&mut map, "rotate", rotate::to_map(&stream.rotate));
    Ok(map)
}

fn put(map: &mut Mapping, key: &str, value: impl Into<Value>) {
    map.insert(Value::from(key), value.into());
}

fn put_map(map: &mut Mapping, key: &str, value: Mapping) {
    if !value.is_empty() {
        put(map, key, value);
    }
}

/// A list, or its only element.
pub(super) fn one_or_many(mut values: Vec<Value>) -> Value {
    if values.len() == 1 { values.remove(0) } else { Value::Sequence(values) }
}

/// A path as text.
pub(super) fn text_of(path: &Path) -> Result<Value> {
    path.to_str().map(Value::from).ok_or_else(|| {
        let shown = quote(&crate::escape::escape(path.as_os_str().as_encoded_bytes()));
        Error::usage(format!("cannot save the path {shown}: it is not UTF-8"))
    })
}

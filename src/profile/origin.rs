//! How a running collector was started: what it tells the one that takes its place.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::flags::Overrides;
use super::resolve::{Resolved, again};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::paths::Paths;
use crate::plan::Plan;

/// See the module. It crosses releases in both directions: fields are only added, each with a default that means what was
/// before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Origin {
    /// The address of `listen`, as typed; `None`: `up`.
    pub listen: Option<String>,
    /// The profile, absolute: it is read anew. `None`: the command line says everything.
    pub profile: Option<PathBuf>,
    /// The options.
    pub flags: Overrides,
    /// The working directory, that paths of options are relative to.
    pub folder: PathBuf,
    /// `-v` so many times.
    pub verbose: u8,
    /// It runs in the foreground of whoever started it.
    pub foreground: bool,
}

impl Origin {
    /// From the wire of a collector of the release `reclog`.
    ///
    /// # Errors
    /// When it was started with options that this release does not know.
    pub fn read(value: Value, name: &str, reclog: &str) -> Result<Self> {
        if value.is_null() {
            return Err(unknown(name));
        }
        serde_json::from_value(telling(value)).map_err(|e| {
            let why = escape_str(&e.to_string());
            Error::failed(format!(
                "\"{name}\" was started by reclog {reclog}, with options that this one does not know ({why})"
            ))
            .hint(format!("use the newer reclog, or start it anew: `reclog down {name}`, then `reclog up …`"))
        })
    }

    /// The plan that it means today.
    ///
    /// # Errors
    /// As [`resolve_up`](super::resolve_up); a profile that is gone is one of them. Usage.
    pub fn resolve(&self, paths: &Paths) -> Result<Plan> {
        again(self, paths).map(|Resolved { plan, .. }| plan)
    }
}

/// `value` without what says nothing: an option that was not given is none that could be lost.
fn telling(value: Value) -> Value {
    let says = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        _ => true,
    };
    match value {
        Value::Object(all) => {
            Value::Object(all.into_iter().map(|(key, value)| (key, telling(value))).filter(|(_, v)| says(v)).collect())
        }
        other => other,
    }
}

/// The error for a collector of which nobody knows how it was started.
#[must_use]
pub fn unknown(name: &str) -> Error {
    Error::failed(format!("nobody knows any more with which options \"{name}\" was started"))
        .hint(format!("start it anew: `reclog down {name}`, then `reclog up …` as before"))
}

/// Ports that were chosen by the other side, by the name of their stream, are asked for again.
pub fn keep_ports(plan: &mut Plan, chosen: &BTreeMap<String, u16>) {
    for stream in plan.streams.iter_mut().filter(|stream| stream.port == 0 && stream.transport.socket().is_none()) {
        if let Some(port) = chosen.get(&stream.name) {
            stream.port = *port;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::StreamPlan;
    use serde_json::json;

    #[test]
    fn an_older_release_says_less_and_a_newer_one_nothing_that_would_be_lost() {
        let older =
            Origin::read(json!({"folder": "/w", "flags": {"out": ["f"], "strip_cr": true}}), "x", "0.0.9").unwrap();
        assert!(older.flags.strip_cr && !older.foreground && older.flags.is_relative());
        for newer in
            [json!({"colour": 1}), json!({"flags": {"colour": 1}}), json!({"flags": {"limits": {"colour": 1}}})]
        {
            let error = Origin::read(newer, "x", "9.0.0").unwrap_err();
            assert!(error.message.contains("reclog 9.0.0") && error.message.contains("colour"), "{error}");
        }
        let not_given = json!({"colour": null, "flags": {"bold": false, "colours": [], "limits": {"colour": null}}});
        assert_eq!(Origin::read(not_given, "x", "9.0.0").unwrap(), Origin::default());
        assert!(Origin::read(Value::Null, "x", "0.1.0").is_err());
    }

    #[test]
    fn what_is_written_down_is_what_is_read() {
        let origin = Origin {
            listen: Some("udp:514".into()),
            flags: Overrides { out: vec!["exec:cat".into()], keep: Some(3), ..Overrides::default() },
            folder: "/w".into(),
            verbose: 2,
            ..Origin::default()
        };
        assert_eq!(Origin::read(serde_json::to_value(&origin).unwrap(), "x", "0.1.0").unwrap(), origin);
        assert!(!origin.flags.is_relative(), "a command is no path");
    }

    #[test]
    fn a_host_stays_a_host_though_a_profile_has_got_its_name_since() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let paths = Paths { config: root.join("c"), state: root.join("s"), runtime: root.join("r") };
        let flags = Overrides {
            target: Some("jump".into()),
            remote_port: Some(7),
            out: vec!["/o".into()],
            ..Overrides::default()
        };
        let origin = Origin { flags, ..Origin::default() };
        let plan = origin.resolve(&paths).unwrap();
        std::fs::create_dir_all(paths.profiles()).unwrap();
        std::fs::write(paths.profile("jump"), "target: elsewhere\nstreams: {main: {remote_port: 8, out: /p}}\n")
            .unwrap();
        assert_eq!(origin.resolve(&paths).unwrap(), plan);
        let origin = Origin { profile: Some(paths.profile("jump")), ..origin };
        assert_eq!(origin.resolve(&paths).unwrap().ssh.unwrap().host, "elsewhere");
        std::fs::remove_file(paths.profile("jump")).unwrap();
        assert_eq!(origin.resolve(&paths).unwrap_err().kind.exit_code(), 2);
    }

    #[test]
    fn only_ports_that_were_chosen_are_kept() {
        let stream = |name: &str, port| StreamPlan { name: name.into(), port, ..StreamPlan::example() };
        let mut plan = Plan {
            name: "c".into(),
            ssh: None,
            streams: vec![stream("a", 0), stream("b", 7), stream("c", 0)],
            drain_timeout: std::time::Duration::ZERO,
            keep_trying: false,
            probe_every: None,
            metrics: None,
        };
        keep_ports(&mut plan, &[("a".into(), 40_001), ("b".into(), 40_002)].into());
        assert_eq!(plan.streams.iter().map(|stream| stream.port).collect::<Vec<_>>(), [40_001, 7, 0]);
    }
}

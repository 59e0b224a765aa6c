//! Keys of a stream that exclude each other, whatever they say by themselves.

use crate::error::{Error, Result};
use crate::plan::{
    DEFAULT_MAX_NEW, DEFAULT_MAX_PER_ADDRESS, DEFAULT_MIN_FREE, Format, Framing, Output, Rotate, StreamPlan, Sync, To,
    Transport,
};
use crate::profile::flags::StreamFlags;
use crate::profile::problem::{Problem, quote};
use crate::profile::store::Profile;

/// A key that makes no sense beside another one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clash {
    /// It is one of these.
    keys: &'static [&'static str],
    why: String,
    hint: &'static str,
}

impl Clash {
    /// The first one in `stream`.
    pub fn of(stream: &StreamPlan) -> Option<Self> {
        Self::of_lines(stream).or_else(|| Self::of_senders(stream)).or_else(|| Self::of_outputs(stream))
    }

    fn of_lines(stream: &StreamPlan) -> Option<Self> {
        let (framing, ends) = (stream.framing, stream.ends);
        let about_lines = |keys| {
            let why = format!("is about the ends of lines, and the framing is {}", framing.as_str());
            Some(Self { keys, why, hint: "leave it out, or take the framing lines" })
        };
        if ends.nul && framing != Framing::Lines {
            return about_lines(&["nul"]);
        }
        if ends.strip_cr && !matches!(framing, Framing::Lines | Framing::Syslog) {
            return about_lines(&["strip_cr"]);
        }
        if framing == Framing::Raw && matches!(stream.format, Format::Prefix(_)) {
            let why = "puts text before records, and in the framing raw nobody knows where they begin".to_owned();
            return Some(Self { keys: &["prefix", "format"], why, hint: "take another framing, or the format json" });
        }
        None
    }

    fn of_senders(stream: &StreamPlan) -> Option<Self> {
        let framing = stream.framing;
        if framing.answers() && stream.transport.has_udp() {
            let why = format!("{} answers senders, and UDP has no way back", framing.as_str());
            return Some(Self { keys: &["framing"], why, hint: "take the framing syslog, or TCP" });
        }
        if !stream.keywords.is_empty() && stream.transport.has_udp() {
            let why = "is said at the beginning of a connection, and UDP has none".to_owned();
            return Some(Self {
                keys: &["keyword_file", "keywords"],
                why,
                hint: "`allow` tells senders of datagrams apart, by their addresses; or take TCP",
            });
        }
        let limits = &stream.limits;
        if stream.transport == Transport::Udp && (limits.max_bytes.is_some() || limits.idle_timeout.is_some()) {
            let why = "is about connections, and UDP has none".to_owned();
            let key: &[_] = if limits.max_bytes.is_some() { &["max_bytes"] } else { &["idle_timeout"] };
            let hint = "leave it out; `max_rate` bounds what an address sends";
            return Some(Self { keys: key, why, hint });
        }
        if stream.transport.socket().is_some() {
            let all: [(&'static [&'static str], bool); 5] = [
                (&["allow"], !limits.allow.is_empty()),
                (&["deny"], !limits.deny.is_empty()),
                (&["max_per_address"], limits.max_per_address != DEFAULT_MAX_PER_ADDRESS),
                (&["max_new"], limits.max_new != DEFAULT_MAX_NEW),
                (&["max_rate"], limits.max_rate.is_some()),
            ];
            let (keys, _) = all.into_iter().find(|(_, given)| *given)?;
            let why = "is about addresses, and senders of a Unix socket have none".to_owned();
            return Some(Self { keys, why, hint: "leave it out; the socket's folder says who reaches it" });
        }
        None
    }

    fn of_outputs(stream: &StreamPlan) -> Option<Self> {
        let (framing, out) = (stream.framing, quote(&stream.out.to_string()));
        let mut all = [&stream.out].into_iter().chain(&stream.also);
        if framing == Framing::Raw && all.clone().any(|out| matches!(out.to(), To::Syslog(_))) {
            let why = "names a syslog daemon, which takes records, and the framing raw has none".to_owned();
            return Some(Self { keys: &["out"], why, hint: "take the framing lines or syslog" });
        }
        let first_is_file = stream.out.is_on_disk();
        if framing.answers() && !first_is_file {
            let why = format!("{} acknowledges what is stored, and {out} stores nothing", framing.as_str());
            return Some(Self { keys: &["framing"], why, hint: "let a file stand first in `out`, and this behind it" });
        }
        if !first_is_file && stream.rotate != Rotate::default() {
            let why = format!("is about files, and the output {out} is none");
            return Some(Self { keys: &["rotate"], why, hint: "leave it out, or let a file stand first in `out`" });
        }
        if !all.any(Output::is_on_disk) {
            let given = [
                (&["sync"][..], stream.sync != Sync::default()),
                (&["min_free"][..], stream.min_free != DEFAULT_MIN_FREE),
            ];
            let (keys, _) = given.into_iter().find(|(_, given)| *given)?;
            let why = format!("is about files, and the output {out} is none");
            return Some(Self { keys, why, hint: "leave it out" });
        }
        None
    }

    /// Refuses `stream` by the name of the flag, or with the place of the key in `profile`.
    pub fn check(stream: &StreamPlan, flags: &StreamFlags, profile: Option<&Profile>) -> Result<()> {
        let Some(Self { keys, why, hint }) = Self::of(stream) else { return Ok(()) };
        let given = flags.given();
        let flag = given.into_iter().find(|flag| keys.iter().any(|key| is_about(flag, key)));
        let key = keys.iter().find(|key| profile.is_some_and(|profile| profile.has(&["streams", &stream.name, key])));
        Err(match (flag, profile, key.or(keys.first())) {
            (None, Some(profile), Some(key)) => {
                let problem = Problem::key(&["streams", &stream.name, key], format!("`{key}` {why}"));
                profile.error(problem.hint(hint))
            }
            (flag, _, _) => Error::usage(format!("{} {why}", flag.unwrap_or("the command line"))).hint(hint),
        })
    }
}

/// Whether `flag` says what `key` does.
fn is_about(flag: &str, key: &str) -> bool {
    match (flag, key) {
        ("--keep" | "--compress", "rotate") | ("RECLOG_KEYWORD", "keyword_file") => true,
        (flag, "rotate") => flag.starts_with("--rotate-"),
        (flag, key) => flag.strip_prefix("--").is_some_and(|flag| flag.replace('-', "_") == key),
    }
}

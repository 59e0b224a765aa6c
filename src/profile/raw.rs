//! The profile as written: one field a key, nothing filled in.
//!
//! A new key is a new field here, with the rule that reads it; `keys` tells people of it, `resolve` gives it its meaning.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::plan::{Framing, MetricsPlace, Relay, Sync, Template, is_name};
use crate::profile::address::Address;
use crate::profile::keys::place_of;
use crate::profile::keywords::RawKeywords;
use crate::profile::position::{check_form, misfit};
use crate::profile::problem::{Problem, quote};
use crate::profile::rotate::RawRotate;
use crate::profile::scalar::{self, OptionValues};
use crate::profile::shape::Shape;
use crate::profile::target::Target;

/// A profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a profile: keys such as `target` and `streams`")]
pub(super) struct RawProfile {
    /// The jump host; none in a profile whose streams `listen`.
    #[serde(deserialize_with = "scalar::target")]
    pub target: Option<Target>,
    /// How to reach it. `None` when the key is left out.
    pub ssh: Option<RawSsh>,
    /// How long `down` waits for open senders.
    #[serde(deserialize_with = "scalar::drain_timeout")]
    pub drain_timeout: Option<Duration>,
    /// Try again when the first connection fails.
    #[serde(deserialize_with = "scalar::truth")]
    pub keep_trying: Option<bool>,
    /// How often it is proven that senders get through.
    #[serde(deserialize_with = "scalar::probe_every")]
    pub probe_every: Option<Duration>,
    /// Never prove it.
    #[serde(deserialize_with = "scalar::truth")]
    pub no_probe: Option<bool>,
    /// Where figures are served.
    #[serde(deserialize_with = "scalar::metrics")]
    pub metrics: Option<MetricsPlace>,
    /// In the order of the file.
    pub streams: Streams,
}

/// The key `ssh`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of keys such as `identity` and `keepalive`")]
pub(super) struct RawSsh {
    /// Private key files.
    #[serde(deserialize_with = "scalar::paths")]
    pub identity: Vec<String>,
    /// Port of the SSH server.
    #[serde(deserialize_with = "scalar::port")]
    pub port: Option<u16>,
    /// Login name.
    #[serde(deserialize_with = "scalar::user")]
    pub user: Option<String>,
    /// Configuration file to read alone, as `ssh -F`.
    #[serde(deserialize_with = "scalar::path")]
    pub config: Option<String>,
    /// Hosts on the way.
    #[serde(deserialize_with = "scalar::hops")]
    pub jump: Vec<String>,
    /// Keepalive interval.
    #[serde(deserialize_with = "scalar::keepalive")]
    pub keepalive: Option<Duration>,
    /// Keywords of ssh_config, as `ssh -o`.
    pub options: SshOptions,
}

/// The key of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a stream: keys such as `remote_port` and `out`")]
pub(super) struct RawStream {
    /// Port on the jump host.
    #[serde(deserialize_with = "scalar::remote_port")]
    pub remote_port: Option<u16>,
    /// Address to bind on the jump host.
    #[serde(deserialize_with = "scalar::bind")]
    pub bind: Option<String>,
    /// UDP, too.
    #[serde(deserialize_with = "scalar::truth")]
    pub udp: Option<bool>,
    /// Whether a helper on the jump host opens the port.
    #[serde(deserialize_with = "scalar::relay")]
    pub relay: Option<Relay>,
    /// Instead of a port: a Unix socket of the jump host.
    #[serde(deserialize_with = "scalar::remote_socket")]
    pub remote_socket: Option<String>,
    /// Instead of all of these: a place of this machine.
    #[serde(deserialize_with = "scalar::listen")]
    pub listen: Option<Address>,
    /// Outputs, the first is the stream's; paths are relative to the profile's folder.
    #[serde(deserialize_with = "scalar::outputs")]
    pub out: Vec<String>,
    /// What records look like.
    #[serde(deserialize_with = "scalar::format")]
    pub format: Option<Shape>,
    /// The text in front of them.
    #[serde(deserialize_with = "scalar::prefix")]
    pub prefix: Option<Template>,
    /// The file of the word that is to be said first.
    #[serde(deserialize_with = "scalar::keyword_file")]
    pub keyword_file: Option<String>,
    /// Several of them, with names.
    pub keywords: RawKeywords,
    /// Networks that may send.
    #[serde(deserialize_with = "scalar::nets")]
    pub allow: Vec<IpNet>,
    /// Networks that may not.
    #[serde(deserialize_with = "scalar::nets")]
    pub deny: Vec<IpNet>,
    /// How bytes become records.
    #[serde(deserialize_with = "scalar::framing")]
    pub framing: Option<Framing>,
    /// Whether a CR before the end of a line is taken away.
    #[serde(deserialize_with = "scalar::truth")]
    pub strip_cr: Option<bool>,
    /// Whether NUL ends a line.
    #[serde(deserialize_with = "scalar::truth")]
    pub nul: Option<bool>,
    /// Longest record in bytes.
    #[serde(deserialize_with = "scalar::max_line")]
    pub max_line: Option<usize>,
    /// Senders at once.
    #[serde(deserialize_with = "scalar::max_connections")]
    pub max_connections: Option<usize>,
    /// Senders of one address at once.
    #[serde(deserialize_with = "scalar::max_per_address")]
    pub max_per_address: Option<usize>,
    /// New connections a second and address.
    #[serde(deserialize_with = "scalar::max_new")]
    pub max_new: Option<u32>,
    /// Bytes a second and address; 0: no bound.
    #[serde(deserialize_with = "scalar::max_rate")]
    pub max_rate: Option<u64>,
    /// Bytes of one connection; 0: no bound.
    #[serde(deserialize_with = "scalar::max_bytes")]
    pub max_bytes: Option<u64>,
    /// How long a sender may say nothing; 0: for ever.
    #[serde(deserialize_with = "scalar::idle_timeout")]
    pub idle_timeout: Option<Duration>,
    /// When to force bytes to the disk.
    #[serde(deserialize_with = "scalar::sync")]
    pub sync: Option<Sync>,
    /// Free bytes that are left alone.
    #[serde(deserialize_with = "scalar::min_free")]
    pub min_free: Option<u64>,
    /// When the file is put away. `None` when the key is left out.
    pub rotate: Option<RawRotate>,
}

impl RawProfile {
    /// Reads a profile.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.lines().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')) {
            return Err(Problem::file("it is empty").hint("`reclog profile init NAME` writes one to start from"));
        }
        check_form(text)?;
        serde_yaml::from_str(text).map_err(|error| misfit(&error, belongs))
    }
}

fn belongs(key: &str) -> Option<String> {
    let key = key.replace('-', "_");
    place_of(&key).map(|level| format!("`{key}` belongs {level}"))
}

/// `streams:`, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Streams(pub Vec<(String, RawStream)>);

impl<'de> Deserialize<'de> for Streams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Streams;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map of streams, each under its name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Streams, A::Error> {
                let mut all = Vec::new();
                while let Some(name) = map.next_key_seed(Key { wrong: wrong_stream })? {
                    all.push((name, map.next_value()?));
                }
                Ok(Streams(all))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// `ssh.options`: keyword and value, in the order of the file; a list gives a keyword several values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SshOptions(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for SshOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = SshOptions;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map of ssh_config keywords and their values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SshOptions, A::Error> {
                let mut all = Vec::new();
                while let Some(keyword) = map.next_key_seed(Key { wrong: wrong_keyword })? {
                    let OptionValues(values) = map.next_value()?;
                    all.extend(values.into_iter().map(|value| (keyword.clone(), value)));
                }
                Ok(SshOptions(all))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// A key that a person chose, refused at its own place when `wrong` says why.
pub(super) struct Key {
    /// Why it cannot be one, if so.
    pub wrong: fn(&str) -> Option<String>,
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        match (self.wrong)(text) {
            Some(why) => Err(E::custom(why)),
            None => Ok(text.to_owned()),
        }
    }
}

fn wrong_stream(name: &str) -> Option<String> {
    (!is_name(name)).then(|| format!("{} cannot name a stream: 1 to 64 letters, digits, `.`, `_`, `-`", quote(name)))
}

/// Keywords of ssh_config are letters and digits; which of them exist, the ssh room knows.
pub(super) fn wrong_keyword(keyword: &str) -> Option<String> {
    let fits = !keyword.is_empty() && keyword.bytes().all(|b| b.is_ascii_alphanumeric());
    (!fits).then(|| format!("{} is no keyword of ssh_config", quote(keyword)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn error(text: &str) -> String {
        crate::profile::schema::tests::agree(text);
        let error = RawProfile::parse(text).expect_err(text).into_error(Path::new("/p/x.yaml"), text);
        assert_eq!(error.kind.exit_code(), 2);
        error.hints.iter().fold(error.message.clone(), |text, hint| text + "\nhint: " + hint)
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_own_position_and_the_nearest_key() {
        insta::assert_snapshot!(error("target: jump\nstreams:\n  main:\n    out: x\n    remote-port: 5\n"), @r"
        cannot use the profile /p/x.yaml: line 5, column 5: unknown key `remote-port`
        hint: did you mean `remote_port`?
        ");
        insta::assert_snapshot!(error("target: jump\nssh: {keepalive: 15s, identty: x}\n"), @r"
        cannot use the profile /p/x.yaml: line 2, column 23: unknown key `identty`
        hint: did you mean `identity`?
        ");
        insta::assert_snapshot!(error("zebra: 1\n"), @r"
        cannot use the profile /p/x.yaml: line 1, column 1: unknown key `zebra`
        hint: valid keys here: target, ssh, drain_timeout, keep_trying, probe_every, no_probe, metrics, streams
        ");
    }

    #[test]
    fn a_key_on_the_wrong_level_is_told_where_it_belongs() {
        insta::assert_snapshot!(error("target: jump\nremote_port: 5\n"), @r"
        cannot use the profile /p/x.yaml: line 2, column 1: unknown key `remote_port`
        hint: `remote_port` belongs in a stream, under `streams:` and its name
        ");
    }

    #[test]
    fn wrong_values_are_refused_where_they_stand_with_the_offending_text() {
        let stream = |line: &str| error(&format!("streams:\n  main:\n    {line}\n"));
        let all = [
            stream("remote_port: high"),
            stream("remote_port: \"55514\""),
            stream("remote_port: 70000"),
            stream("remote_port: -1"),
            stream("out: [a, 5]"),
            stream("out: 5"),
            stream("out: [a, logs/]"),
            stream("max_line: 10x"),
            stream("max_line: 3"),
            stream("max_connections: 0"),
            stream("keyword_file: \"-\""),
            stream("keywords: word"),
            stream("keywords: { a b: word }"),
            stream("keywords: { a: }"),
            stream("allow: [10.0.0.0/8, 10.0.0.1/8]"),
            stream("deny: jump.example.org"),
            stream("allow: 10"),
            stream("format: jsn"),
            stream("prefix: \"{tiem} \""),
            stream("max_per_address: 0"),
            stream("max_new: many"),
            stream("max_rate: 1MB/h"),
            stream("max_bytes: some"),
            stream("idle_timeout: 1ms"),
            stream("sync: alwyas"),
            stream("framing: true"),
            stream("bind: \"a:b\""),
            stream("listen: here"),
            error("streams: [a]"),
            error("streams:\n  a b: {}\n"),
            error("- target"),
            error("target: [x]"),
            error("target: -oProxyCommand=x"),
            error("drain_timeout: 3 parsecs"),
            error("metrics: 9184"),
            error("metrics: here"),
            error("ssh:\n  identity: [a, 5]"),
            error("ssh:\n  options:\n    Bad Key: 1"),
            error("ssh:\n  options: {Port: {a: b}}"),
            error("# nothing\n"),
        ]
        .map(|text| text.replace("cannot use the profile /p/x.yaml: ", ""))
        .join("\n");
        insta::assert_snapshot!(all, @r##"
        line 3, column 18: expected a port (1 to 65535, or 0 to let one be chosen), not string "high"
        line 3, column 18: expected a port (1 to 65535, or 0 to let one be chosen), not string "55514"
        hint: write the number without quotes
        line 3, column 18: `70000` is not a port (1 to 65535, or 0 to let one be chosen)
        line 3, column 18: expected a port (1 to 65535, or 0 to let one be chosen), not integer `-1`
        line 3, column 14: expected a path as text, or a list of outputs, not integer `5`
        hint: put it in quotes, if that is what you mean
        line 3, column 10: expected a path as text, or a list of outputs, not integer `5`
        hint: put it in quotes, if that is what you mean
        line 3, column 14: `logs/` is a folder; name the file in it
        line 3, column 15: `10x` is not a size; write a number of bytes, or `100MB`, `256KiB`
        line 3, column 15: `3` is not between 64 bytes and 16MiB
        line 3, column 22: `0` is not between 1 and 100000
        line 3, column 19: a profile names a file; `--keyword-file -` on the command line asks
        line 3, column 15: expected a map of names and the files of their keywords, not string "word"
        line 3, column 17: `a b` cannot name a keyword: 1 to 64 letters, digits, `.`, `_`, `-`
        line 3, column 20: no file is named; leave the key out
        line 3, column 25: `10.0.0.1/8` has bits behind its mask; `10.0.0.0/8` is the network, `10.0.0.1` the machine
        line 3, column 11: `jump.example.org` is no network; write an address or CIDR such as 192.0.2.7, 10.0.0.0/8, 2001:db8::/32
        line 3, column 12: expected an address or network as text, or a list of them, not integer `10`
        hint: put it in quotes, if that is what you mean
        line 3, column 13: `format` is one of raw, prefix, json, not `jsn`; did you mean `json`?
        line 3, column 13: {tiem} is no placeholder here; there are {time}, {peer}, {keyword}, {stream}, {n}
        line 3, column 22: `0` is not between 1 and 100000
        line 3, column 14: expected a number, not string "many"
        line 3, column 15: `1MB/h` is no size a second; write `1MB/s`, `500KiB/s`, or a number of bytes
        line 3, column 16: `some` is not a size; write a number of bytes, or `100MB`, `256KiB`
        line 3, column 19: `1ms` is not between 100ms and a year
        line 3, column 11: `sync` is one of never, interval, always, not `alwyas`; did you mean `always`?
        line 3, column 14: expected `lines`, `raw`, `syslog` or `relp`, not boolean `true`
        line 3, column 11: `a:b` is no address to bind; the port stands elsewhere
        line 3, column 13: `here` is no place to listen: it has no port; write PORT, HOST:PORT, udp:PORT or unix:/PATH
        line 1, column 10: expected a map of streams, each under its name, not a list
        line 2, column 3: `a b` cannot name a stream: 1 to 64 letters, digits, `.`, `_`, `-`
        line 1, column 1: expected a profile: keys such as `target` and `streams`, not a list
        line 1, column 9: expected a target such as user@jump.example.org, as text, not a list
        line 1, column 9: `-oProxyCommand=x` is not a target: a host cannot begin with `-`
        line 1, column 16: `3 parsecs` is not a duration; write a number of seconds, or `15s`, `500ms`, `1h30m`
        line 1, column 10: an address is missing; write 127.0.0.1:9184 for this machine alone, or *:9184 for every interface
        line 1, column 10: `here` is no place to listen: it has no port; write HOST:PORT or unix:/PATH
        line 2, column 17: expected a path as text, or a list of paths, not integer `5`
        hint: put it in quotes, if that is what you mean
        line 3, column 5: `Bad Key` is no keyword of ssh_config
        line 2, column 19: expected a value as ssh_config takes it, or a list of them, not a map of keys
        it is empty
        hint: `reclog profile init NAME` writes one to start from
        "##);
    }

    #[test]
    fn empty_values_are_keys_left_out() {
        let text = "target: jump\nssh:\nstreams:\n  main:\n    out: ~\n    bind:\n    remote_port:\n  web:\n";
        let raw = RawProfile::parse(text).unwrap();
        let names: Vec<_> = raw.streams.0.iter().map(|(name, stream)| (name.as_str(), stream)).collect();
        assert_eq!(names, [("main", &RawStream::default()), ("web", &RawStream::default())]);
    }

    #[test]
    fn options_take_scalars_and_lists() {
        let text = "ssh:\n  options: {Port: 22, SendEnv: [A, B], Compression: yes, TCPKeepAlive: true}\n";
        let options = RawProfile::parse(text).unwrap().ssh.unwrap().options.0;
        let pairs: Vec<_> = options.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let expected =
            [("Port", "22"), ("SendEnv", "A"), ("SendEnv", "B"), ("Compression", "yes"), ("TCPKeepAlive", "yes")];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn strangers_text_is_escaped() {
        for text in ["\"\\e[31m\": 1", "target: \"a\\e[31mb\"", "streams: {\"\\e[31m\": 1}", "target: [\"\\e[31m\"]"] {
            assert!(!error(text).contains('\x1b'), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_text_makes_it_panic(text in prop_oneof!["\\PC{0,60}", "([a-z_]{1,6}|[-\\[\\]{}:,&*!?|>#'\"%@`~<]|\n|  |: |- |target|streams|main|out|ssh|options|&a |\\*a |\t|\\\\x1b){0,30}"]) {
            if let Err(problem) = RawProfile::parse(&text) {
                let error = problem.into_error(Path::new("/p/x.yaml"), &text);
                prop_assert!(!error.message.chars().any(char::is_control), "{:?}", error.message);
            }
        }
    }
}

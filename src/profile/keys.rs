//! Every key of a profile, as it is told to people and programs: the table of README, reclog-profile(5), the JSON Schema and the
//! hints about keys on the wrong level are made of it. `raw` is what reads them, and tests hold the two together.

use std::time::Duration;

use crate::profile::form::{Form, Text};

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// As written before the colon.
    pub name: &'static str,
    /// What stands behind it.
    pub form: Form,
    /// What holds when it is left out; a value of the key stands between backticks. Empty: nothing, or there must be one.
    pub default: &'static str,
    /// What it is for; code stands between backticks.
    pub meaning: &'static str,
}

/// Keys that stand beside each other.
#[derive(Debug, PartialEq, Eq)]
pub struct Level {
    /// Where that is, for hints.
    pub place: &'static str,
    /// What stands before them where they are named alone: `ssh.`
    pub prefix: &'static str,
    /// In the order of the parser.
    pub keys: &'static [Key],
}

const fn key(name: &'static str, form: Form, default: &'static str, meaning: &'static str) -> Key {
    Key { name, form, default, meaning }
}

/// All of them, the outermost first.
pub const LEVELS: [&Level; 4] = [&TOP, &SSH, &STREAM, &ROTATE];

const TOP: Level = Level {
    place: "at the top of the profile",
    prefix: "",
    keys: &[
        key("target", Form::Text(Text::Target), "", "the jump host, or a Host of ssh_config"),
        key("ssh", Form::Level(&SSH), "", "how to reach it"),
        key("drain_timeout", Form::time(Duration::ZERO, false), "`10s`", "how long `down` waits for open senders"),
        key("keep_trying", Form::Truth, "`false`", "whether a first connection that fails is tried again"),
        key(
            "probe_every",
            Form::time(Duration::from_secs(1), false),
            "`5m`",
            "how often it is proven from outside that senders get through",
        ),
        key("no_probe", Form::Truth, "`false`", "whether that is never done"),
        key("metrics", Form::Text(Text::Metrics), "nowhere", "where figures are served for Prometheus"),
        key("streams", Form::Streams, "", "name: keys of the stream, below"),
    ],
};

const SSH: Level = Level {
    place: "under `ssh:`",
    prefix: "ssh.",
    keys: &[
        key("identity", Form::List(Text::Secret), "ssh_config's, the agent's", "private keys, tried in this order"),
        key("port", Form::Whole(1, 65_535), "ssh_config's, else 22", "port of the SSH server, when `target` has none"),
        key("user", Form::Text(Text::User), "ssh_config's, else yours", "login name, when `target` has none"),
        key(
            "config",
            Form::Text(Text::Path),
            "yours and the system's",
            "the only ssh_config to read; `none` reads none",
        ),
        key("jump", Form::List(Text::Hop), "`ProxyJump` of ssh_config", "hosts to go through, in this order"),
        key(
            "keepalive",
            Form::time(Duration::from_millis(100), true),
            "`ServerAliveInterval` of ssh_config, else `15s`",
            "how often a quiet connection is asked whether it lives; 0 turns it off",
        ),
        key("options", Form::Options, "", "keywords of ssh_config and their values, as `ssh -o` takes them"),
    ],
};

/// The keys of one stream.
pub const STREAM: Level = Level {
    place: "in a stream, under `streams:` and its name",
    prefix: "",
    keys: &[
        key("remote_port", Form::Whole(0, 65_535), "", "port to open on the jump host; 0 lets the jump host choose"),
        key("bind", Form::Text(Text::Address), "`*` (all interfaces)", "address to bind on the jump host"),
        key("udp", Form::Truth, "`false`", "whether datagrams to the port are taken, too; needs a relay"),
        key(
            "relay",
            Form::OneOf(&["never", "auto", "always"]),
            "`never`",
            "whether a helper on the jump host opens the port; `auto`: when sshd binds loopback alone",
        ),
        key("remote_socket", Form::Text(Text::Socket), "", "a Unix socket on the jump host instead of a port"),
        key(
            "listen",
            Form::Text(Text::Listen),
            "",
            "a place of this machine instead; a port alone is on all interfaces",
        ),
        key(
            "out",
            Form::List(Text::Output),
            "",
            "where records go, the first of them is what senders wait for; paths are relative to the folder of the profile",
        ),
        key("format", Form::OneOf(&["raw", "prefix", "json"]), "`raw`", "what records look like"),
        key(
            "prefix",
            Form::Text(Text::Prefix),
            "`{time} {peer} `",
            "text in front of every record: `{time}`, `{peer}`, `{keyword}`, `{stream}`, `{n}`; means `format: prefix`",
        ),
        key(
            "keyword_file",
            Form::Text(Text::KeywordFile),
            "nobody is asked",
            "the file with the word that senders say first",
        ),
        key("keywords", Form::Keywords, "", "several of them: name and file"),
        key("allow", Form::List(Text::Network), "all", "only these senders come in"),
        key("deny", Form::List(Text::Network), "none", "these never do, whatever is allowed"),
        key("framing", Form::OneOf(&["lines", "raw", "syslog", "relp"]), "`lines`", "how bytes become records"),
        key("strip_cr", Form::Truth, "`false`", "whether the CR of a line that ends with CRLF is taken away"),
        key("nul", Form::Truth, "`false`", "whether NUL ends a line instead of LF; LF is written for it"),
        key(
            "max_line",
            Form::Size(64, 16 << 20),
            "`256KiB`",
            "longest record, line end included; longer ones are split",
        ),
        key(
            "max_connections",
            Form::Whole(1, 100_000),
            "`4096`",
            "senders of the stream that may be connected at once",
        ),
        key("max_per_address", Form::Whole(1, 100_000), "`2048`", "those of one address"),
        key("max_new", Form::Whole(1, 1_000_000), "`10000`", "new connections a second and address"),
        key("max_rate", Form::Rate, "`0` (no limit)", "bytes a second and address; who sends more is closed"),
        key(
            "max_bytes",
            Form::Size(0, u64::MAX),
            "`0` (no limit)",
            "bytes of one connection; who sends more is closed",
        ),
        key("idle_timeout", Form::SILENCE, "`0` (for ever)", "who says nothing for so long is closed"),
        key(
            "sync",
            Form::OneOf(&["never", "interval", "always"]),
            "`interval` (every second)",
            "when written bytes are forced to the disk",
        ),
        key(
            "min_free",
            Form::Size(0, u64::MAX),
            "`64MiB`",
            "free space of the file's disk below which senders wait; 0 turns it off",
        ),
        key("rotate", Form::Level(&ROTATE), "", "when the file is put away, and what is kept"),
    ],
};

const ROTATE: Level = Level {
    place: "under `rotate:` of a stream",
    prefix: "rotate.",
    keys: &[
        key("size", Form::Size(1000, u64::MAX), "", "the file is put away at this size, at the end of a record"),
        key("every", Form::TimeOfDay, "", "and at these times, in local time"),
        key("total", Form::Size(1000, u64::MAX), "any", "bytes of all archives; the oldest go"),
        key(
            "age",
            Form::Time { least: Duration::from_secs(1), zero: false, most: Duration::MAX },
            "any",
            "archives that are older go",
        ),
        key("keep", Form::Whole(1, 1_000_000), "all", "archives that are kept, the newest"),
        key("compress", Form::OneOf(&["none", "gzip", "zstd"]), "`none`", "what becomes of archives"),
    ],
};

impl Key {
    /// The value of it that is the same as leaving it out.
    #[must_use]
    pub fn default_value(&self) -> Option<&'static str> {
        self.default.strip_prefix('`')?.split_once('`').map(|(value, _)| value).filter(|_| self.has_fixed_default())
    }

    /// `jump` says which keyword decides, not what it says.
    fn has_fixed_default(&self) -> bool {
        !self.default.contains("ssh_config")
    }
}

/// `belongs` on another level than the one it stands on.
pub(super) fn place_of(name: &str) -> Option<&'static str> {
    LEVELS.iter().find(|level| level.keys.iter().any(|key| key.name == name)).map(|level| level.place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::raw::RawProfile;

    /// What the parser takes on each level, as it says itself.
    fn taken() -> Vec<Vec<String>> {
        let documents =
            ["{zebra: 1}", "ssh: {zebra: 1}", "streams: {a: {zebra: 1}}", "streams: {a: {rotate: {zebra: 1}}}"];
        let said = documents.map(|document| RawProfile::parse(document).unwrap_err().hints.concat());
        let keys = said.iter().map(|hint| hint.strip_prefix("valid keys here: ").expect("a list of keys"));
        keys.map(|keys| keys.split(", ").map(str::to_owned).collect()).collect()
    }

    #[test]
    fn every_key_of_the_parser_is_told_about_and_no_other() {
        for (level, taken) in LEVELS.iter().zip(taken()) {
            let told: Vec<&str> = level.keys.iter().map(|key| key.name).collect();
            let place = level.place;
            for key in &taken {
                assert!(told.contains(&key.as_str()), "say what `{key}` {place} is for: add it to src/profile/keys.rs");
            }
            assert_eq!(
                told, taken,
                "src/profile/keys.rs tells of keys {place} that the parser does not take, or in another order"
            );
        }
    }

    #[test]
    fn a_key_says_something() {
        for key in LEVELS.iter().flat_map(|level| level.keys) {
            assert!(key.meaning.len() > 8 && !key.meaning.ends_with('.'), "{}: {:?}", key.name, key.meaning);
            for text in [key.meaning, key.default, &key.form.words()] {
                assert!(!text.contains('|') && text.matches('`').count() % 2 == 0, "{}: {text:?}", key.name);
            }
        }
    }
}

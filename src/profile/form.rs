//! What the value of a key looks like: said to a person, and the bounds of it. `schema` says the same to programs.

use std::time::Duration;

use crate::profile::units::{show_duration, show_size};

const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `true` or `false`.
    Truth,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number between these, both included.
    Whole(u64, u64),
    /// Bytes, between these; as a number, or as text with a unit.
    Size(u64, u64),
    /// The same, a second.
    Rate,
    /// A time, between these; as a number of seconds, or as text with a unit.
    Time {
        /// The shortest.
        least: Duration,
        /// Whether 0 is one, too.
        zero: bool,
        /// The longest.
        most: Duration,
    },
    /// Text.
    Text(Text),
    /// Text, or a list of such texts.
    List(Text),
    /// `hourly`, `daily`, or a time of day.
    TimeOfDay,
    /// A map of keywords of ssh_config and their values.
    Options,
    /// A map of names and the files of their keywords.
    Keywords,
    /// A map of names and the keys of [a stream](super::keys::STREAM).
    Streams,
    /// The keys of a level of its own.
    Level(&'static super::keys::Level),
}

/// What a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// Where to connect to.
    Target,
    /// A host on the way, or several with commas between.
    Hop,
    /// A login name.
    User,
    /// A path of this machine.
    Path,
    /// The same, of a private key; in a service a credential, too.
    Secret,
    /// The same, of a file that holds a keyword.
    KeywordFile,
    /// Where records go.
    Output,
    /// An address to bind.
    Address,
    /// Where to listen; a number will do, too.
    Listen,
    /// Where figures are served; never a port alone.
    Metrics,
    /// The absolute path of a socket.
    Socket,
    /// Text with the placeholders of `prefix`.
    Prefix,
    /// An address or CIDR.
    Network,
}

impl Form {
    /// A time of a day at most.
    pub(super) const fn time(least: Duration, zero: bool) -> Self {
        Self::Time { least, zero, most: DAY }
    }

    /// A time of a year at most, 100 ms at least, or 0.
    pub(super) const SILENCE: Self = Self::Time { least: Duration::from_millis(100), zero: true, most: YEAR };

    /// The form in a few words; code stands between backticks.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Truth => "`true`, `false`".to_owned(),
            Self::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Self::Whole(least, most) => format!("{least} to {most}"),
            Self::Size(0, u64::MAX) => "size".to_owned(),
            Self::Size(least, u64::MAX) => format!("size, {} at least", size(least)),
            Self::Size(least, most) => format!("size, {} to {}", size(least), size(most)),
            Self::Rate => "size, `/s` may follow".to_owned(),
            Self::Time { least, zero, most } => {
                let zero = if zero && !least.is_zero() { ", or 0" } else { "" };
                match most {
                    Duration::MAX => format!("duration, {} at least{zero}", time(least)),
                    most => format!("duration, {} to {}{zero}", time(least), time(most)),
                }
            }
            Self::Text(text) => text.words().to_owned(),
            Self::List(text) => format!("{}, or a list", text.words()),
            Self::TimeOfDay => "`hourly`, `daily`, `HH:MM`".to_owned(),
            Self::Options | Self::Keywords | Self::Streams | Self::Level(_) => "map".to_owned(),
        }
    }
}

impl Text {
    fn words(self) -> &'static str {
        match self {
            Self::Target | Self::Hop => "`[user@]host[:port]`",
            Self::User => "name",
            Self::Path => "path",
            Self::Secret | Self::KeywordFile => "path or `credential:NAME`",
            Self::Output => "path or other output",
            Self::Address => "address",
            Self::Listen => "port, `HOST:PORT`, `udp:PORT`, `udp:HOST:PORT`, `unix:/PATH`",
            Self::Metrics => "`HOST:PORT`, `unix:/PATH`",
            Self::Socket => "absolute path",
            Self::Prefix => "template",
            Self::Network => "address or CIDR",
        }
    }
}

fn size(bytes: u64) -> String {
    let shown = show_size(bytes);
    if shown.bytes().all(|b| b.is_ascii_digit()) { format!("{shown} bytes") } else { shown }
}

fn time(time: Duration) -> String {
    match time {
        Duration::ZERO => "0".to_owned(),
        DAY => "a day".to_owned(),
        YEAR => "a year".to_owned(),
        _ => show_duration(time),
    }
}

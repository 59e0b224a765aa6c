//! How single values are read: by a rule that says what is expected, and with an error that has the value's place.
//!
//! YAML guesses types; a rule says which guesses it takes. A value left empty is a key left out.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Unexpected, Visitor};

use crate::paths::credential;
use crate::plan::{Compress, Every, Framing, Relay, Sync, Template};
use crate::profile::address::{self, Address};
use crate::profile::problem::quote;
use crate::profile::shape::{self, Shape};
use crate::profile::target::{self, Target, check_bind};
use crate::profile::{keywords, limits, outputs, rotate, units};

/// Reads text.
type FromText<T> = fn(&str) -> Result<T, String>;
/// Reads a number.
type FromNumber<T> = fn(u64) -> Result<T, String>;

/// What a value may be.
struct Rule<T> {
    expected: &'static str,
    text: Option<FromText<T>>,
    number: Option<FromNumber<T>>,
    /// Why it may not be left empty, where it may not: whoever wrote the key meant to keep somebody out.
    blank: Option<&'static str>,
}

impl<'de, T> Visitor<'de> for Rule<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Option<T>, E> {
        self.blank.map_or(Ok(None), |why| Err(E::custom(why)))
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Option<T>, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Option<T>, E> {
        match self.text {
            Some(read) => read(text).map(Some).map_err(E::custom),
            None => Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Option<T>, E> {
        match self.number {
            Some(read) => read(number).map(Some).map_err(E::custom),
            None => Err(E::invalid_type(Unexpected::Unsigned(number), &self)),
        }
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $expected:literal, $text:expr, $number:expr;)+) => {$(
        $(#[$doc])*
        pub(super) fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<$type>, D::Error> {
            let rule = Rule::<$type> { expected: $expected, text: $text, number: $number, blank: None };
            deserializer.deserialize_any(rule)
        }
    )+};
}

rules! {
    /// `target`
    target: Target = "a target such as user@jump.example.org, as text", Some(Target::parse), None;
    /// A path, not made absolute yet.
    path: String = "a path, as text", Some(path_text), None;
    /// `ssh.user`
    user: String = "a login name, as text", Some(user_text), None;
    /// `ssh.port`
    port: u16 = "a port (1 to 65535)", None, Some(units::port);
    /// `remote_port`
    remote_port: u16 = "a port (1 to 65535, or 0 to let one be chosen)", None, Some(units::remote_port);
    /// `listen`
    listen: Address = "a port, or HOST:PORT, udp:PORT or unix:/PATH as text", Some(Address::parse), Some(listen_number);
    /// `bind`
    bind: String = "an address to bind, as text", Some(check_bind), None;
    /// `relay`
    relay: Relay = "`never`, `auto` or `always`", Some(units::relay), None;
    /// `remote_socket`
    remote_socket: String = "the path of a socket on the jump host, as text", Some(address::remote_socket), None;
    /// `probe_every`
    probe_every: Duration = "a duration such as 5m", Some(units::probe_every), Some(probe_number);
    /// `drain_timeout`
    drain_timeout: Duration = "a duration such as 15s", Some(units::drain_timeout), Some(drain_number);
    /// `ssh.keepalive`
    keepalive: Duration = "a duration such as 15s", Some(units::keepalive), Some(keepalive_number);
    /// `max_line`
    max_line: usize = "a size such as 256KiB", Some(max_line_text), Some(units::max_line);
    /// `max_connections`
    max_connections: usize = "a number", None, Some(units::max_connections);
    /// `max_per_address`
    max_per_address: usize = "a number", None, Some(limits::max_per_address);
    /// `max_new`
    max_new: u32 = "a number", None, Some(limits::max_new);
    /// `max_rate`
    max_rate: u64 = "a size a second such as 1MB/s", Some(limits::rate), Some(Ok);
    /// `max_bytes`
    max_bytes: u64 = "a size such as 1GB", Some(units::parse_size), Some(Ok);
    /// `idle_timeout`
    idle_timeout: Duration = "a duration such as 10m", Some(limits::idle_timeout), Some(limits::idle_number);
    /// `format`
    format: Shape = "`raw`, `prefix` or `json`", Some(shape::shape), None;
    /// `prefix`
    prefix: Template = "text with placeholders such as {time}", Some(shape::template), None;
    /// `framing`
    framing: Framing = "`lines`, `raw`, `syslog` or `relp`", Some(units::framing), None;
    /// `sync`
    sync: Sync = "`never`, `interval` or `always`", Some(units::sync), None;
    /// `min_free`
    min_free: u64 = "a size such as 64MiB", Some(rotate::min_free), Some(Ok);
    /// `rotate.size`
    rotate_size: u64 = "a size such as 100MB", Some(rotate::size), Some(rotate::size_number);
    /// `rotate.total`
    rotate_total: u64 = "a size such as 1GB", Some(rotate::size), Some(rotate::size_number);
    /// `rotate.every`
    rotate_every: Every = "`hourly`, `daily` or a time of day such as 03:30, as text", Some(rotate::every), None;
    /// `rotate.age`
    rotate_age: Duration = "a duration such as 30d", Some(rotate::age), Some(rotate::age_number);
    /// `rotate.keep`
    keep: u32 = "a number", None, Some(rotate::keep);
    /// `rotate.compress`
    compress: Compress = "`none`, `gzip` or `zstd`", Some(rotate::compress), None;
}

/// `keyword_file`
pub(super) fn keyword_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let (expected, text, blank) = ("the path of a file, as text", Some(keywords::file_text as _), keywords::BLANK);
    deserializer.deserialize_any(Rule { expected, text, number: None, blank: Some(blank) })
}

/// `keep_trying`
pub(super) fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Option::<bool>::deserialize(deserializer)
}

fn listen_number(number: u64) -> Result<Address, String> {
    Ok(Address::port(units::remote_port(number)?))
}

fn drain_number(seconds: u64) -> Result<Duration, String> {
    units::drain_timeout(&seconds.to_string())
}

fn probe_number(seconds: u64) -> Result<Duration, String> {
    units::probe_every(&seconds.to_string())
}

fn keepalive_number(seconds: u64) -> Result<Duration, String> {
    units::keepalive(&seconds.to_string())
}

/// `--max-line` and `max_line` as text.
pub(super) fn max_line_text(text: &str) -> Result<usize, String> {
    units::parse_size(text).and_then(units::max_line)
}

pub(super) fn path_text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("the path is empty".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err(format!("the path {} holds a control character", quote(text)));
    }
    if text.starts_with('~') && text != "~" && !text.starts_with("~/") {
        return Err(format!("only your own `~/` is known here; write {} in full", quote(text)));
    }
    Ok(text.to_owned())
}

/// A path, or the name of a credential.
pub(super) fn secret_text(text: &str) -> Result<String, String> {
    match credential(text) {
        Some(name) => name.map(|_| text.to_owned()),
        None => path_text(text),
    }
}

fn user_text(text: &str) -> Result<String, String> {
    Target::parse(&format!("{text}@host")).map_err(|_| format!("{} is not a login name", quote(text)))?;
    Ok(text.to_owned())
}

/// `identity`: one path or a list of them.
pub(super) fn paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_any(OneOrMany::<PathItem>(PhantomData)).map(|all| all.into_iter().map(|p| p.0).collect())
}

/// `jump`: one host or a list of them; each may be several with commas between.
pub(super) fn hops<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let all = deserializer.deserialize_any(OneOrMany::<HopItem>(PhantomData))?;
    target::hops(&all.into_iter().map(|hop| hop.0).collect::<Vec<_>>()).map_err(D::Error::custom)
}

/// `out`: one output or a list of them.
pub(super) fn outputs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let all = deserializer.deserialize_any(OneOrMany::<OutputItem>(PhantomData))?;
    Ok(all.into_iter().map(|item| item.0).collect())
}

/// `allow` and `deny`: one network or a list of them.
pub(super) fn nets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let all = deserializer.deserialize_any(OneOrMany::<NetItem>(PhantomData))?;
    Ok(all.into_iter().map(|item| item.0).collect())
}

/// The value of an `options` key: text, number or truth value, or a list of them; never empty.
pub(super) struct OptionValues(pub Vec<String>);

impl<'de> Deserialize<'de> for OptionValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = deserializer.deserialize_any(OneOrMany::<OptionItem>(PhantomData))?;
        Ok(Self(all.into_iter().map(|item| item.0).collect()))
    }
}

/// A value that may stand in a list of [`OneOrMany`].
trait Item: Sized {
    const EXPECTED: &'static str;
    /// As that of a [`Rule`].
    const BLANK: Option<&'static str> = None;
    fn from_text(text: &str) -> Result<Self, String>;
    /// A number or truth value; `None` when only text will do.
    fn from_other(text: String) -> Option<Self>;
}

struct PathItem(String);

impl Item for PathItem {
    const EXPECTED: &'static str = "a path as text, or a list of paths";

    fn from_text(text: &str) -> Result<Self, String> {
        secret_text(text).map(Self)
    }

    fn from_other(_: String) -> Option<Self> {
        None
    }
}

struct OutputItem(String);

impl Item for OutputItem {
    const EXPECTED: &'static str = "a path as text, or a list of outputs";

    fn from_text(text: &str) -> Result<Self, String> {
        outputs::text(text).map(Self)
    }

    fn from_other(_: String) -> Option<Self> {
        None
    }
}

struct NetItem(IpNet);

impl Item for NetItem {
    const EXPECTED: &'static str = "an address or network as text, or a list of them";
    const BLANK: Option<&'static str> = Some("no network is named; leave the key out");

    fn from_text(text: &str) -> Result<Self, String> {
        limits::net(text).map(Self)
    }

    fn from_other(_: String) -> Option<Self> {
        None
    }
}

struct HopItem(String);

impl Item for HopItem {
    const EXPECTED: &'static str = "a host to go through as text, or a list of them";

    fn from_text(text: &str) -> Result<Self, String> {
        target::hops(&[text.to_owned()]).map(|_| Self(text.to_owned()))
    }

    fn from_other(_: String) -> Option<Self> {
        None
    }
}

struct OptionItem(String);

impl Item for OptionItem {
    const EXPECTED: &'static str = "a value as ssh_config takes it, or a list of them";

    fn from_text(text: &str) -> Result<Self, String> {
        option_value(text).map(Self)
    }

    fn from_other(text: String) -> Option<Self> {
        Some(Self(text))
    }
}

/// The value of an ssh option, blanks around it taken off.
pub(super) fn option_value(text: &str) -> Result<String, String> {
    let value = text.trim();
    if value.is_empty() {
        return Err("the value is empty".to_owned());
    }
    if value.chars().any(char::is_control) {
        return Err(format!("the value {} holds a control character", quote(text)));
    }
    Ok(value.to_owned())
}

struct OneOrMany<T>(PhantomData<T>);

impl<T: Item> OneOrMany<T> {
    fn other<E: serde::de::Error>(self, text: String, unexpected: Unexpected) -> Result<Vec<T>, E> {
        T::from_other(text).map(|item| vec![item]).ok_or_else(|| E::invalid_type(unexpected, &self))
    }
}

impl<'de, T: Item> Visitor<'de> for OneOrMany<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Vec<T>, E> {
        T::BLANK.map_or_else(|| Ok(Vec::new()), |why| Err(E::custom(why)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
        T::from_text(text).map(|item| vec![item]).map_err(E::custom)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Vec<T>, E> {
        self.other(if value { "yes" } else { "no" }.to_owned(), Unexpected::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Vec<T>, E> {
        self.other(number.to_string(), Unexpected::Unsigned(number))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Vec<T>, E> {
        self.other(number.to_string(), Unexpected::Signed(number))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = seq.next_element_seed(OneItem::<T>(PhantomData))? {
            all.push(item);
        }
        if all.is_empty() { Err(A::Error::custom("the list is empty")) } else { Ok(all) }
    }
}

/// One element of the list: [`OneOrMany`] without lists.
struct OneItem<T>(PhantomData<T>);

impl<'de, T: Item> serde::de::DeserializeSeed<'de> for OneItem<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<T: Item> Visitor<'_> for OneItem<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
        T::from_other(number.to_string()).ok_or_else(|| E::invalid_type(Unexpected::Unsigned(number), &self))
    }
}

//! `rotate:` as written in a profile, as flags, and as meant.

use std::time::Duration;

use serde_yaml::{Mapping, Value};

use crate::error::{Error, Result};
use crate::plan::{Compress, Every, Rotate};
use crate::profile::flags::{Overrides, listed};
use crate::profile::nearest::did_you_mean;
use crate::profile::problem::quote;
use crate::profile::units::{named, parse_duration, parse_size, show_duration, show_size};
use crate::profile::{scalar, units};

/// The smallest file that is put away, in bytes: below it the names would take more room than what they name.
const LEAST_SIZE: u64 = 1000;

/// The key `rotate` of a stream; also what the flags say.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of keys such as `size` and `keep`")]
pub(super) struct RawRotate {
    /// Bytes.
    #[serde(deserialize_with = "scalar::rotate_size")]
    pub size: Option<u64>,
    /// Times.
    #[serde(deserialize_with = "scalar::rotate_every")]
    pub every: Option<Every>,
    /// Bytes of all archives.
    #[serde(deserialize_with = "scalar::rotate_total")]
    pub total: Option<u64>,
    /// The oldest archive.
    #[serde(deserialize_with = "scalar::rotate_age")]
    pub age: Option<Duration>,
    /// Archives.
    #[serde(deserialize_with = "scalar::keep")]
    pub keep: Option<u32>,
    /// What becomes of archives.
    #[serde(deserialize_with = "scalar::compress")]
    pub compress: Option<Compress>,
}

impl RawRotate {
    /// What the command line says, checked.
    pub fn from_flags(flags: &Overrides) -> Result<Self> {
        fn read<T>(flag: &str, text: Option<&str>, rule: fn(&str) -> Result<T, String>) -> Result<Option<T>> {
            text.map(rule).transpose().map_err(|why| Error::usage(format!("{flag}: {why}")))
        }
        let keep = flags.keep.map(|count| keep(count.into())).transpose();
        Ok(Self {
            size: read("--rotate-size", flags.rotate_size.as_deref(), size)?,
            every: read("--rotate-every", flags.rotate_every.as_deref(), every)?,
            total: read("--rotate-total", flags.rotate_total.as_deref(), size)?,
            age: read("--rotate-age", flags.rotate_age.as_deref(), age)?,
            keep: keep.map_err(|why| Error::usage(format!("--keep: {why}")))?,
            compress: flags.compress,
        })
    }

    /// The flags that are set.
    pub fn given(&self) -> Vec<&'static str> {
        listed(&[
            ("--rotate-size", self.size.is_some()),
            ("--rotate-every", self.every.is_some()),
            ("--rotate-total", self.total.is_some()),
            ("--rotate-age", self.age.is_some()),
            ("--keep", self.keep.is_some()),
            ("--compress", self.compress.is_some()),
        ])
    }

    /// These, and below them those of `other`.
    pub fn over(&self, other: &Self) -> Rotate {
        Rotate {
            size: self.size.or(other.size),
            every: self.every.or(other.every),
            keep: self.keep.or(other.keep),
            age: self.age.or(other.age),
            total: self.total.or(other.total),
            compress: self.compress.or(other.compress).unwrap_or_default(),
        }
    }
}

/// `rotate` as a map of a profile; empty when there is nothing to say.
pub(super) fn to_map(rotate: &Rotate) -> Mapping {
    let all = [
        ("size", rotate.size.map(|n| Value::from(show_size(n)))),
        ("every", rotate.every.map(|every| Value::from(show_every(every)))),
        ("keep", rotate.keep.map(Value::from)),
        ("age", rotate.age.map(|age| Value::from(show_duration(age)))),
        ("total", rotate.total.map(|n| Value::from(show_size(n)))),
        ("compress", (rotate.compress != Compress::None).then(|| Value::from(compress_name(rotate.compress)))),
    ];
    all.into_iter().filter_map(|(key, value)| value.map(|value| (Value::from(key), value))).collect()
}

/// `rotate` for a person.
pub(super) fn explain(rotate: &Rotate) -> String {
    let mut when = Vec::new();
    if let Some(size) = rotate.size {
        when.push(format!("at {}", show_size(size)));
    }
    match rotate.every {
        Some(Every::Hour) => when.push("every hour".to_owned()),
        Some(Every::Day { hour, minute }) => when.push(format!("every day at {hour:02}:{minute:02}")),
        None => {}
    }
    if when.is_empty() {
        when.push("by `reclog rotate` alone".to_owned());
    }
    let mut text = when.join(" and ");
    match rotate.compress {
        Compress::None => {}
        other => text.push_str(&format!(", then {}", compress_name(other))),
    }
    let mut bounds = Vec::new();
    if let Some(keep) = rotate.keep {
        bounds.push(format!("{keep} archives"));
    }
    if let Some(total) = rotate.total {
        bounds.push(show_size(total));
    }
    if let Some(age) = rotate.age {
        bounds.push(format!("the last {}", show_duration(age)));
    }
    if bounds.is_empty() {
        text.push_str("; all archives are kept");
    } else {
        text.push_str(&format!("; kept: {} at most", bounds.join(", ")));
    }
    text
}

/// A size that is worth a file.
pub(super) fn size(text: &str) -> Result<u64, String> {
    parse_size(text).and_then(size_number)
}

pub(super) fn size_number(bytes: u64) -> Result<u64, String> {
    if bytes < LEAST_SIZE {
        return Err(format!("`{}` is less than {}", show_size(bytes), show_size(LEAST_SIZE)));
    }
    Ok(bytes)
}

/// `hourly`, `daily`, or a time of day such as `03:30`.
pub(super) fn every(text: &str) -> Result<Every, String> {
    match text {
        "hourly" => return Ok(Every::Hour),
        "daily" => return Ok(Every::Day { hour: 0, minute: 0 }),
        _ => {}
    }
    let digits = |part: &str, most: u8| {
        let fits = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|n: &u8| fits && *n <= most)
    };
    if let Some((hour, minute)) = text.split_once(':')
        && let (Some(hour), Some(minute)) = (digits(hour, 23), digits(minute, 59))
    {
        return Ok(Every::Day { hour, minute });
    }
    let meant = did_you_mean(text, ["hourly", "daily"]).map_or_else(String::new, |meant| format!("; {meant}"));
    Err(format!("{} is no time to rotate: `hourly`, `daily`, or a time of day such as `03:30`{meant}", quote(text)))
}

/// The text that [`every`] reads.
fn show_every(every: Every) -> String {
    match every {
        Every::Hour => "hourly".to_owned(),
        Every::Day { hour: 0, minute: 0 } => "daily".to_owned(),
        Every::Day { hour, minute } => format!("{hour:02}:{minute:02}"),
    }
}

/// The age of the oldest archive: at least a second.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let age = parse_duration(text)?;
    if age < Duration::from_secs(1) {
        return Err(format!("{} is less than 1s", quote(text)));
    }
    Ok(age)
}

pub(super) fn age_number(seconds: u64) -> Result<Duration, String> {
    age(&seconds.to_string())
}

/// How many archives: at least one, for nobody means by it that nothing is to be kept.
pub(super) fn keep(count: u64) -> Result<u32, String> {
    u32::try_from(count)
        .ok()
        .filter(|count| (1..=1_000_000).contains(count))
        .ok_or_else(|| format!("`{count}` is not between 1 and 1000000"))
}

/// The compression of that name.
pub(super) fn compress(text: &str) -> Result<Compress, String> {
    named("compress", text, &[("none", Compress::None), ("gzip", Compress::Gzip), ("zstd", Compress::Zstd)])
}

fn compress_name(compress: Compress) -> &'static str {
    match compress {
        Compress::None => "none",
        Compress::Gzip => "gzip",
        Compress::Zstd => "zstd",
    }
}

/// `min_free`: any size; 0 turns it off.
pub(super) fn min_free(text: &str) -> Result<u64, String> {
    units::parse_size(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_to_rotate_are_names_or_times_of_day() {
        for (text, expected) in [
            ("hourly", Every::Hour),
            ("daily", Every::Day { hour: 0, minute: 0 }),
            ("03:30", Every::Day { hour: 3, minute: 30 }),
            ("3:05", Every::Day { hour: 3, minute: 5 }),
            ("23:59", Every::Day { hour: 23, minute: 59 }),
        ] {
            assert_eq!(every(text), Ok(expected), "{text}");
        }
        for bad in ["", "24:00", "12:60", "1:2:3", "+1:30", "12", "weekly", "012:30", ":", "é:é"] {
            assert!(every(bad).is_err(), "{bad}");
        }
        assert!(every("dayly").unwrap_err().ends_with("did you mean `daily`?"));
    }

    #[test]
    fn bounds_that_would_keep_nothing_are_refused() {
        assert!(keep(0).is_err() && keep(1).is_ok() && keep(1_000_001).is_err());
        assert!(size("999").is_err() && size("1kB").is_ok());
        assert!(age("999ms").is_err() && age("30d").is_ok());
        assert_eq!(min_free("0"), Ok(0));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_the_same(hour in 0_u8..24, minute in 0_u8..60) {
            let time = Every::Day { hour, minute };
            prop_assert_eq!(every(&show_every(time)), Ok(time));
        }
    }
}

//! Keys about framing that exclude each other.

use crate::error::Error;
use crate::plan::{Framing, StreamPlan};
use crate::profile::problem::Problem;
use crate::profile::store::Profile;

/// A key that makes no sense beside another one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clash {
    key: &'static str,
    why: String,
    hint: &'static str,
}

impl Clash {
    /// The first one in `stream`.
    pub fn of(stream: &StreamPlan) -> Option<Self> {
        let (framing, ends) = (stream.framing, stream.ends);
        let about_lines = |key| {
            let why = format!("is about the ends of lines, and the framing is {}", framing.as_str());
            Some(Self { key, why, hint: "leave it out, or take the framing lines" })
        };
        if ends.nul && framing != Framing::Lines {
            return about_lines("nul");
        }
        if ends.strip_cr && !matches!(framing, Framing::Lines | Framing::Syslog) {
            return about_lines("strip_cr");
        }
        if framing.answers() && stream.transport.has_udp() {
            let why = format!("{} answers senders, and UDP has no way back", framing.as_str());
            return Some(Self { key: "framing", why, hint: "take the framing syslog, or TCP" });
        }
        None
    }

    /// As the error of a command line.
    pub fn of_flags(stream: &StreamPlan) -> Result<(), Error> {
        Self::of(stream).map_or(Ok(()), |clash| {
            let flag = clash.key.replace('_', "-");
            Err(Error::usage(format!("--{flag} {}", clash.why)).hint(clash.hint))
        })
    }

    /// As the error of `profile`.
    pub fn of_profile(stream: &StreamPlan, profile: &Profile) -> Result<(), Error> {
        Self::of(stream).map_or(Ok(()), |clash| {
            let problem = Problem::key(&["streams", &stream.name, clash.key], format!("`{}` {}", clash.key, clash.why));
            Err(profile.error(problem.hint(clash.hint)))
        })
    }
}

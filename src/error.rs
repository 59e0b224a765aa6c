//! What can go wrong, as a person meets it: what was being done, to what, why it failed, and what to do.
//!
//! Every error that leaves a room is an [`Error`]. Its [`Kind`] decides the exit code (see [`Kind::exit_code`]) and is
//! the `kind` of the JSON event `failed`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The classes of failure; each has one exit code and one stable name in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Something failed here or on the way: a file, a name, the network. Exit code 1.
    Failed,
    /// The command line, a profile or an `ssh_config` is wrong. Exit code 2.
    Usage,
    /// The verb needs a running collector and there is none. Exit code 3.
    NotRunning,
    /// The jump host refused: authentication, forward denied, port taken. Exit code 4.
    Refused,
    /// The host key is unknown, changed or could not be checked. Exit code 5.
    HostKey,
    /// A person pressed Ctrl-C before the work was done. Exit code 130.
    Interrupted,
}

impl Kind {
    /// The process exit code of this class.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::Refused => 4,
            Self::HostKey => 5,
            Self::Interrupted => 130,
        }
    }

    /// Whether trying again by itself can help. Authentication and host-key failures are never hammered.
    #[must_use]
    pub fn is_worth_retrying(self) -> bool {
        matches!(self, Self::Failed)
    }
}

/// One failure: a sentence, its class, and hints that say what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The class, hence the exit code.
    pub kind: Kind,
    /// What was being done, to what, and why it failed: one sentence without a full stop.
    pub message: String,
    /// What to do about it, most useful first; each is printed as a line `hint: …`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// The result of everything that can fail in front of a person.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the given class.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new() }
    }

    /// Exit code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// Exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Exit code 3.
    pub fn not_running(message: impl Into<String>) -> Self {
        Self::new(Kind::NotRunning, message)
    }

    /// Exit code 4.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// Exit code 5.
    pub fn host_key(message: impl Into<String>) -> Self {
        Self::new(Kind::HostKey, message)
    }

    /// Exit code 130.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "interrupted")
    }

    /// The same error with one more thing to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// All hints as one string, for the `hint` field of JSON; `None` when there are none.
    #[must_use]
    pub fn hint_text(&self) -> Option<String> {
        (!self.hints.is_empty()).then(|| self.hints.join("\n"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The reason in an [`std::io::Error`] without Rust's `(os error 2)`, which tells a person nothing.
#[must_use]
pub fn io_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) if error.raw_os_error().is_some() => text[..end].to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        let codes = [Kind::Failed, Kind::Usage, Kind::NotRunning, Kind::Refused, Kind::HostKey, Kind::Interrupted]
            .map(Kind::exit_code);
        assert_eq!(codes, [1, 2, 3, 4, 5, 130]);
    }

    #[test]
    fn an_io_reason_carries_no_error_number() {
        assert_eq!(io_reason(&std::io::Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(io_reason(&std::io::Error::other("odd (os error 2)")), "odd (os error 2)");
    }
}

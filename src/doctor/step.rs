//! Steps as data: what was looked at, what came of it, and what the whole comes to. Pure.

use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, Kind};

/// What is looked at, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// The addresses of the first host on the way.
    Resolve,
    /// TCP to each of them.
    Tcp,
    /// What the server calls itself.
    Banner,
    /// What was agreed on.
    Algorithms,
    /// Whether it is the right server.
    HostKey,
    /// Logging in.
    Authentication,
    /// The folder of an output: permission and space.
    Output,
    /// Whether the port is granted.
    Forward,
    /// Where the jump host listens.
    BindAddress,
    /// Whether senders get through from outside.
    Reach,
    /// Whether a sender's address is told.
    SenderAddress,
    /// The jump host's clock.
    Clock,
    /// When the server ends what is quiet.
    IdleLimits,
    /// A line that is sent to the port stands in a file.
    ByteInFile,
    /// How much gets through.
    Throughput,
}

impl Name {
    /// The name in JSON and for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Tcp => "tcp",
            Self::Banner => "banner",
            Self::Algorithms => "algorithms",
            Self::HostKey => "host-key",
            Self::Authentication => "authentication",
            Self::Output => "output",
            Self::Forward => "forward",
            Self::BindAddress => "bind-address",
            Self::Reach => "reach",
            Self::SenderAddress => "sender-address",
            Self::ByteInFile => "byte-in-file",
            Self::Throughput => "throughput",
            Self::Clock => "clock",
            Self::IdleLimits => "idle-limits",
        }
    }
}

/// What came of a step, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// There was no need to look, or a step that it needs has failed.
    Skipped,
    /// Nobody would say.
    CannotTell,
    /// It works, and will make trouble.
    Warning,
    /// It does not work.
    Failed,
}

impl Verdict {
    /// The words for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::CannotTell => "cannot tell",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One step that is done. Its texts are not yet safe for a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was looked at.
    #[serde(rename = "step")]
    pub name: Name,
    /// Of which stream; `None` where it is about all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// What came of it.
    pub verdict: Verdict,
    /// What it took, in milliseconds.
    pub ms: u64,
    /// A sentence without a full stop.
    pub message: String,
    /// What else there is to know, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// What to do about it, the best first: a sentence each, lines to paste below it. One text in JSON.
    #[serde(rename = "hint", skip_serializing_if = "Vec::is_empty", serialize_with = "joined")]
    pub hints: Vec<String>,
    /// The class of a failure.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

impl Step {
    /// A step with nothing but its verdict.
    #[must_use]
    pub fn new(name: Name, verdict: Verdict, message: impl Into<String>) -> Self {
        let kind = (verdict == Verdict::Failed).then_some(Kind::Failed);
        Self {
            name,
            stream: None,
            verdict,
            ms: 0,
            message: message.into(),
            details: Vec::new(),
            hints: Vec::new(),
            kind,
        }
    }

    /// One that failed with `error`.
    #[must_use]
    pub fn failed(name: Name, error: &Error) -> Self {
        let kind = Some(error.kind);
        Self { hints: error.hints.clone(), kind, ..Self::new(name, Verdict::Failed, error.message.clone()) }
    }

    /// The same about `stream`.
    #[must_use]
    pub fn of(self, stream: Option<&str>) -> Self {
        Self { stream: stream.map(str::to_owned), ..self }
    }

    /// The same with what it took.
    #[must_use]
    pub fn took(self, time: Duration) -> Self {
        Self { ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX), ..self }
    }

    /// The same with one more thing to know.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.details.push(text.into());
        self
    }

    /// The same with one more thing to do.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }
}

fn joined<S: serde::Serializer>(hints: &[String], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&hints.join("\n"))
}

/// The class of the first step that failed, in the order of the steps; `None`: none did.
#[must_use]
pub fn failure(steps: &[Step]) -> Option<&Step> {
    steps.iter().filter(|step| step.verdict == Verdict::Failed).min_by_key(|step| step.name)
}

/// The worst of all; what was skipped or not told weighs nothing where something else went well.
#[must_use]
pub fn whole(steps: &[Step]) -> Verdict {
    let counts = |v: &Verdict| !matches!(v, Verdict::Skipped | Verdict::CannotTell);
    steps.iter().map(|step| step.verdict).filter(counts).max().unwrap_or(Verdict::CannotTell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_counts_and_nothing_less_does() {
        let steps = [
            Step::new(Name::Resolve, Verdict::Ok, ""),
            Step::new(Name::Clock, Verdict::CannotTell, ""),
            Step::new(Name::Reach, Verdict::Warning, ""),
        ];
        assert_eq!((failure(&steps), whole(&steps)), (None, Verdict::Warning));
        assert_eq!(whole(&steps[..2]), Verdict::Ok);
        assert_eq!(whole(&steps[1..2]), Verdict::CannotTell);
        // Told in another order than that of the way.
        let failed =
            [Step::new(Name::Output, Verdict::Failed, ""), Step::failed(Name::HostKey, &Error::host_key("another"))];
        assert_eq!(failure(&failed).and_then(|step| step.kind), Some(Kind::HostKey));
        assert_eq!(whole(&failed), Verdict::Failed);
    }

    #[test]
    fn json_has_the_names_of_the_contract() {
        let step = Step::new(Name::HostKey, Verdict::CannotTell, "m").took(Duration::from_millis(7)).hint("h");
        assert_eq!(
            serde_json::to_string(&step).unwrap(),
            r#"{"step":"host-key","verdict":"cannot-tell","ms":7,"message":"m","hint":"h"}"#
        );
        for name in [Name::ByteInFile, Name::IdleLimits, Name::SenderAddress, Name::BindAddress, Name::Tcp] {
            assert_eq!(serde_json::to_value(name).unwrap(), name.as_str());
        }
    }
}

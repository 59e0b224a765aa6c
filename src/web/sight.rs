//! What somebody may see. Pure.

use core::fmt;
use std::sync::Arc;

use crate::plan::is_name;

/// A collector, or one stream of it: `COLLECTOR[/STREAM]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    collector: String,
    stream: Option<String>,
}

impl Grant {
    /// Reads `text`.
    ///
    /// # Errors
    /// One sentence, where it is not of that form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (collector, stream) = match text.split_once('/') {
            Some((collector, stream)) => (collector, Some(stream)),
            None => (text, None),
        };
        if is_name(collector) && stream.is_none_or(is_name) {
            return Ok(Self { collector: collector.into(), stream: stream.map(Into::into) });
        }
        Err(format!("{} is no collector and no stream of one", crate::escape::escape_str(text)))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stream {
            Some(stream) => write!(f, "{}/{stream}", self.collector),
            None => f.write_str(&self.collector),
        }
    }
}

/// Somebody who looks. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// The name; `None` for whoever needs none.
    pub user: Option<Arc<str>>,
    /// `None`: all of it.
    grants: Option<Arc<[Grant]>>,
}

impl Sight {
    /// Of somebody without a name, who sees all of it.
    #[must_use]
    pub const fn whole() -> Self {
        Self { user: None, grants: None }
    }

    /// Of `user`, who sees what `grants` name, or all of it where they name nothing.
    #[must_use]
    pub fn of(user: &str, grants: &[Grant]) -> Self {
        Self { user: Some(user.into()), grants: (!grants.is_empty()).then(|| grants.into()) }
    }

    /// Whether this stream may be seen.
    #[must_use]
    pub fn sees(&self, collector: &str, stream: &str) -> bool {
        let is_it = |g: &Grant| g.collector == collector && g.stream.as_ref().is_none_or(|name| name == stream);
        self.grants.as_ref().is_none_or(|grants| grants.iter().any(is_it))
    }

    /// Whether a collector may be seen as a whole, with what is not about one stream.
    #[must_use]
    pub fn sees_all_of(&self, collector: &str) -> bool {
        let is_it = |g: &Grant| g.collector == collector && g.stream.is_none();
        self.grants.as_ref().is_none_or(|grants| grants.iter().any(is_it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sees_what_was_granted_and_without_a_grant_all() {
        let grants: Vec<_> = ["shop", "home/main"].iter().map(|text| Grant::parse(text).unwrap()).collect();
        let sight = Sight::of("ann", &grants);
        assert!(sight.sees("shop", "main") && sight.sees("shop", "web") && sight.sees("home", "main"));
        assert!(!sight.sees("home", "web") && !sight.sees("other", "main") && !sight.sees("sho", "main"));
        assert!(sight.sees_all_of("shop") && !sight.sees_all_of("home") && !sight.sees_all_of("other"));
        for all in [Sight::of("bob", &[]), Sight::whole()] {
            assert!(all.sees("any", "thing") && all.sees_all_of("any"));
        }
    }

    #[test]
    fn a_grant_is_written_as_streams_are_named_everywhere() {
        for text in ["shop", "home/main"] {
            assert_eq!(Grant::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "/", "a/", "/b", "a/b/c", "a b", "../x"] {
            assert!(Grant::parse(text).is_err(), "{text}");
        }
    }
}

//! The values in force: the first one of a keyword wins, but for those of which all count.

use std::collections::HashMap;

use super::keywords::{Keyword, Kind, Use};
use super::{pattern, value};

/// What [`Values`] hold for one keyword: each time it was taken, its arguments and whether the user said it.
type Taken = Vec<(Vec<String>, bool)>;

/// How many keys or certificates ssh takes.
const MOST_FILES: usize = 100;

/// The values in force: arguments as written, quotes removed, nothing expanded.
#[derive(Debug, Clone, Default)]
pub struct Values(HashMap<&'static str, Taken>);

impl Values {
    /// Takes `arguments` for `keyword` unless an earlier value holds. They have been checked.
    ///
    /// # Errors
    /// When there are too many.
    pub fn offer(&mut self, keyword: &Keyword, arguments: Vec<String>, by_user: bool) -> Result<(), String> {
        let blocked = match keyword.kind {
            // `none` is no time at all: a later one still counts.
            Kind::Time => arguments.first().is_some_and(|a| a == "none"),
            Kind::Jump => self.0.contains_key("proxycommand"),
            Kind::Command if keyword.slot == "proxycommand" => {
                self.arguments("proxyjump").is_some_and(|a| a != ["none"])
            }
            _ => false,
        };
        if blocked {
            return Ok(());
        }
        let taken = self.0.entry(keyword.slot).or_default();
        match keyword.kind {
            Kind::Several if taken.iter().any(|(known, _)| *known == arguments) => {}
            Kind::Several if taken.len() >= MOST_FILES => {
                return Err(format!("more than {MOST_FILES} files for `{}`", keyword.name));
            }
            Kind::Several => taken.push((arguments, by_user)),
            _ if taken.is_empty() => taken.push((arguments, by_user)),
            _ => {}
        }
        Ok(())
    }

    /// Sets what comes before every file.
    pub fn set(&mut self, slot: &'static str, text: String) {
        self.0.insert(slot, vec![(vec![text], true)]);
    }

    /// All arguments.
    #[must_use]
    pub fn arguments(&self, slot: &str) -> Option<&[String]> {
        self.0.get(slot)?.first().map(|(arguments, _)| arguments.as_slice())
    }

    /// The first argument.
    #[must_use]
    pub fn text(&self, slot: &str) -> Option<&str> {
        self.arguments(slot)?.first().map(String::as_str)
    }

    /// The first argument, `none` left out.
    #[must_use]
    pub fn unless_none(&self, slot: &str) -> Option<&str> {
        self.text(slot).filter(|text| !text.eq_ignore_ascii_case("none"))
    }

    /// First arguments of every time, and whether the user said it.
    pub fn all(&self, slot: &str) -> impl Iterator<Item = (&str, bool)> {
        let taken = self.0.get(slot).into_iter().flatten();
        taken.filter_map(|(arguments, by_user)| arguments.first().map(|first| (first.as_str(), *by_user)))
    }

    /// `yes` or `no`.
    #[must_use]
    pub fn flag(&self, slot: &str) -> Option<bool> {
        self.text(slot).and_then(value::flag)
    }

    /// A number.
    #[must_use]
    pub fn number(&self, slot: &str) -> Option<u64> {
        self.text(slot).and_then(|text| value::number(text, u64::MAX))
    }

    /// Seconds.
    #[must_use]
    pub fn seconds(&self, slot: &str) -> Option<u64> {
        self.text(slot).and_then(value::time)
    }

    /// Whether `IgnoreUnknown` covers `keyword`, in lower case.
    #[must_use]
    pub fn ignores(&self, keyword: &str) -> bool {
        self.text("ignoreunknown").is_some_and(|list| pattern::list_matches(&list.to_ascii_lowercase(), keyword))
    }

    /// Says at level debug what has no effect here, and gives back what somebody may wait for in vain, a sentence each.
    #[must_use]
    pub fn tell_what_is_idle(&self) -> Vec<String> {
        let mut slots: Vec<_> = self.0.keys().filter_map(|slot| super::keywords::find(slot)).collect();
        slots.sort_by_key(|keyword| keyword.name);
        for keyword in slots.iter().filter(|keyword| keyword.used != Use::Taken) {
            tracing::debug!("{} of the ssh configuration has no effect in reclog", keyword.name);
        }
        let mut notes = Vec::new();
        if self.0.contains_key("remoteforward") {
            notes.push("RemoteForward of the ssh configuration is not taken: reclog opens only its own ports".into());
        }
        if self.unless_none("knownhostscommand").is_some() {
            notes.push("KnownHostsCommand of the ssh configuration is not run: only files are looked at".into());
        }
        if self.flag("proxyusefdpass") == Some(true) && self.unless_none("proxycommand").is_some() {
            notes
                .push("ProxyUseFdpass of the ssh configuration is not followed: ProxyCommand has to pass bytes".into());
        }
        if self.text("canonicalizehostname").is_some_and(|value| value::flag(value) != Some(false)) {
            tracing::debug!("CanonicalizeHostname: host names are not looked up, only the configuration is read again");
        }
        notes
    }
}

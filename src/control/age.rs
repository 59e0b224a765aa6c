//! Whether the other end is of an older release.

use semver::Version;

use super::{Hello, MINOR};

/// This release.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

impl Hello {
    /// Whether this program is newer than the collector, by its release or by what it knows of the protocol. A release that
    /// cannot be read is taken for no other.
    #[must_use]
    pub fn is_older(&self) -> bool {
        self.is_older_than(RELEASE, MINOR)
    }

    fn is_older_than(&self, release: &str, minor: u32) -> bool {
        match (Version::parse(&self.reclog), Version::parse(release)) {
            (Ok(theirs), Ok(ours)) if theirs != ours => theirs < ours,
            _ => self.minor < minor,
        }
    }

    /// The sentence that says so, with what to do; `None` when it is not older.
    #[must_use]
    pub fn age(&self) -> Option<String> {
        let Self { name, reclog, .. } = self;
        self.is_older().then(|| {
            let than = if reclog == RELEASE { "this build of it".to_owned() } else { format!("this reclog {RELEASE}") };
            format!("the collector \"{name}\" is reclog {reclog}, older than {than}; `{}` renews it", self.renewal())
        })
    }

    /// The command that brings the collector to this release.
    #[must_use]
    pub fn renewal(&self) -> String {
        let name = &self.name;
        // Nobody but whoever started it knows with which options.
        if self.minor >= 1 {
            format!("reclog restart {name}")
        } else {
            format!("reclog down {name}, then reclog up …")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_release_is_one_whatever_its_digits() {
        let of = |reclog: &str, minor| Hello { protocol: 1, minor, reclog: reclog.into(), name: "x".into(), pid: 1 };
        let older = |theirs: &str, ours: &str| of(theirs, 1).is_older_than(ours, 1);
        assert!(older("0.9.0", "0.10.0") && older("0.1.0", "0.1.1") && older("0.2.0-rc.1", "0.2.0"));
        assert!(!older("0.10.0", "0.9.0") && !older("1.0.0", "1.0.0") && !older("1.0.0", "1.0.0-rc.1"));
        assert!(of("1.0.0", 0).is_older_than("1.0.0", 1), "the same release, built before");
        assert!(!of("1.0.1", 0).is_older_than("1.0.0", 1));
        assert!(!older("yesterday", "1.0.0") && of("yesterday", 0).is_older_than("1.0.0", 1));
    }

    #[test]
    fn the_sentence_names_a_way_that_the_collector_knows() {
        let of = |minor| Hello { protocol: 1, minor, reclog: "0.0.9".into(), name: "x".into(), pid: 1 }.age().unwrap();
        assert!(of(1).ends_with("; `reclog restart x` renews it"), "{}", of(1));
        assert!(of(0).contains("reclog down x, then reclog up"), "{}", of(0));
    }
}

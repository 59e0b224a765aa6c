//! A service that fails early waits before its next start, longer each time: what it remembers of the starts before.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::gap::Starts;
use crate::error::Result;
use crate::paths::{self, Paths};

/// Of the starts before, in the collector's folder.
const FILE: &str = "starts.json";

/// One start.
#[derive(Debug)]
pub struct Start {
    file: PathBuf,
    /// How long it has to wait.
    pub wait: Duration,
    /// So many starts before it came to nothing.
    pub failed: u32,
}

impl Start {
    /// The start of the service `name` that comes now. It counts as one that failed until it is [over](Self::over).
    ///
    /// # Errors
    /// When the collector's folder cannot be made.
    pub fn count(paths: &Paths, name: &str) -> Result<Self> {
        let folder = paths.collector_state(name);
        paths::ensure_private_dir(&folder)?;
        let file = folder.join(FILE);
        // What cannot be read tells nothing; what cannot be written is not remembered.
        let before: Option<Starts> = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let (wait, next) = Starts::next(before.as_ref(), Timestamp::now());
        let text = serde_json::to_vec(&next).expect("plain data");
        if let Err(e) = std::fs::write(&file, text) {
            tracing::warn!("cannot remember this start in {}: {e}", file.display());
        }
        Ok(Self { file, wait, failed: next.failed - 1 })
    }

    /// It came to an end that is in order, or one after which nobody starts it by himself.
    pub fn over(self) {
        let _ = std::fs::remove_file(&self.file);
        // Where nothing else was ever in it.
        let _ = self.file.parent().map(std::fs::remove_dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_remembered_until_one_is_over_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name| dir.path().join(name);
        let paths = Paths { config: at("c"), state: at("s"), runtime: at("r") };
        let first = Start::count(&paths, "x").unwrap();
        assert_eq!((first.wait, first.failed), (Duration::ZERO, 0));
        let second = Start::count(&paths, "x").unwrap();
        assert!(second.wait > Duration::ZERO && second.failed == 1, "{second:?}");
        assert_eq!(Start::count(&paths, "other").unwrap().failed, 0);
        second.over();
        assert!(!at("s").join("x").exists());
        std::fs::create_dir(at("s").join("x")).unwrap();
        std::fs::write(at("s").join("x").join(FILE), "odd").unwrap();
        assert_eq!(Start::count(&paths, "x").unwrap().failed, 0);
    }
}

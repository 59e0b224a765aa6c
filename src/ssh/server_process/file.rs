//! The past on disk: a collector that was killed, or went down while its connection was cut, leaves it to the next one.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::identity::Identity;
use crate::error::io_reason;

/// A file that nobody else writes: the collector holds the lock of its name.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    target: String,
    /// One writes at a time, so that the last one writes what is true.
    writing: Mutex<()>,
}

/// What stands in it.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    /// `user@host:port`
    target: String,
    /// A line each, as [`Identity::to_line`] makes it.
    processes: Vec<String>,
}

impl File {
    /// The file at `path`, about the jump host `target`.
    #[must_use]
    pub fn new(path: PathBuf, target: String) -> Self {
        Self { path, target, writing: Mutex::default() }
    }

    /// Processes that were known; none when there is no such file, or it is about another jump host.
    #[must_use]
    pub fn read(&self) -> Vec<Identity> {
        let Ok(text) = std::fs::read_to_string(&self.path) else { return Vec::new() };
        let Ok(content) = serde_json::from_str::<Content>(&text) else { return Vec::new() };
        if content.target != self.target {
            return Vec::new();
        }
        content.processes.iter().filter_map(|line| Identity::from_line(line)).collect()
    }

    /// Writes what `processes` are now; without any the file goes.
    pub fn write(&self, processes: impl FnOnce() -> Vec<Identity>) {
        let _guard = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let processes: Vec<String> = processes().iter().map(Identity::to_line).collect();
        let written = if processes.is_empty() { self.remove() } else { self.replace(processes) };
        if let Err(e) = written {
            tracing::debug!(file = %self.path.display(), "cannot keep what is known of the jump host: {}", io_reason(&e));
        }
    }

    fn remove(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn replace(&self, processes: Vec<String>) -> io::Result<()> {
        use io::Write;
        let early = self.path.with_extension("new");
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&early)?;
        file.write_all(&serde_json::to_vec(&Content { target: self.target.clone(), processes })?)?;
        std::fs::rename(&early, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "01234567-89ab-cdef-0123-456789abcdef 4026531836 4711 123456 sshd 0 6291456";

    #[test]
    fn what_is_kept_is_read_for_the_same_jump_host_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connection.json");
        let file = |target: &str| File::new(path.clone(), target.to_owned());
        assert_eq!(file("u@h:22").read(), []);
        let who = Identity::from_line(LINE).unwrap();
        file("u@h:22").write(|| vec![who.clone()]);
        assert_eq!(file("u@h:22").read(), [who]);
        assert_eq!(file("u@other:22").read(), []);
        std::fs::write(&path, r#"{"target":"u@h:22","processes":["; rm -rf / 0","x"]}"#).unwrap();
        assert_eq!(file("u@h:22").read(), []);
        file("u@h:22").write(Vec::new);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        for line in [LINE, &LINE.replace("6291456", "-"), &LINE.replace("4026531836", "-")] {
            assert_eq!(Identity::from_line(line).unwrap().to_line(), line);
        }
    }
}

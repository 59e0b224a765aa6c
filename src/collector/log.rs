//! The collector's own log: a file that never grows beyond twice its bound.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;

/// Bytes after which the log moves to `collector.log.1`, replacing the one before.
const BOUND: u64 = 1024 * 1024;

/// See the module.
#[derive(Debug)]
struct BoundedFile {
    path: PathBuf,
    file: File,
    size: u64,
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

impl Write for BoundedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size >= BOUND {
            std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
            self.file = open(&self.path)?;
            self.size = 0;
        }
        let n = self.file.write(bytes)?;
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends what rooms say about their work to the log file `path`. `verbose` as on the command line.
///
/// # Errors
/// When the file cannot be opened.
pub fn to_file(path: &Path, verbose: u8) -> io::Result<()> {
    let file = open(path)?;
    let size = file.metadata()?.len();
    let writer = Mutex::new(BoundedFile { path: path.to_owned(), file, size });
    // A second start in one process (tests) keeps the first log.
    let _ = tracing_subscriber::fmt().with_ansi(false).with_max_level(level(verbose)).with_writer(writer).try_init();
    Ok(())
}

/// Sends it to stderr instead, for a person who watches.
pub fn to_stderr(verbose: u8) {
    let _ = tracing_subscriber::fmt().with_max_level(level(verbose)).with_writer(io::stderr).try_init();
}

fn level(verbose: u8) -> LevelFilter {
    match verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_never_grows_beyond_twice_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("collector.log");
        let mut log = BoundedFile { path: path.clone(), file: open(&path).unwrap(), size: 0 };
        for _ in 0..40 {
            log.write_all(&vec![b'x'; 100 * 1024]).unwrap();
        }
        let sum: u64 = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(sum <= 2 * (BOUND + 100 * 1024), "{sum}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}

//! A new host key is remembered: in the user's first file, as ssh does, and for the life of this process.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rand::RngCore;
use russh::keys::PublicKey;

use super::entry::{HASH, hide};

/// Host keys that were accepted since this process runs: a reconnect, when nobody can be asked, takes the same keys and no
/// other, whether they could be written down or not.
#[derive(Debug, Default)]
pub struct Accepted(Mutex<Vec<(String, PublicKey)>>);

impl Accepted {
    /// Adds a key of `name`, written as in known_hosts.
    pub fn add(&self, name: &str, key: &PublicKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), key.clone()));
    }

    /// The keys of `name`.
    #[must_use]
    pub fn keys(&self, name: &str) -> Vec<PublicKey> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(other, _)| other == name).map(|(_, key)| key.clone()).collect()
    }
}

/// Whether `name` can stand in known_hosts for itself alone. ssh, too, writes down nothing that would be read as a
/// pattern, a marker or another line.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    let name = name.strip_prefix('[').and_then(|n| n.rsplit_once("]:")).map_or(name, |(host, _)| host);
    let odd = |c: char| c.is_whitespace() || c.is_control() || "@?*#[]|'\"\\!,".contains(c);
    !name.is_empty() && !name.contains(odd)
}

/// Appends the key of `name` to `file`, on a line of its own; the folder is made as ssh makes it. `hidden` as
/// `HashKnownHosts` has it.
///
/// # Errors
/// When the file cannot be written.
pub fn append(file: &Path, name: &str, hidden: bool, key: &PublicKey) -> io::Result<()> {
    let mut salt = [0; HASH];
    rand::rng().fill_bytes(&mut salt);
    let name = if hidden { hide(salt, name).ok_or(io::ErrorKind::InvalidInput)? } else { name.to_owned() };
    // Without the comment.
    let key = PublicKey::from(key.key_data().clone()).to_openssh().map_err(io::Error::other)?;
    if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
    let begin = if ends_in_a_line(&mut file)? { "" } else { "\n" };
    // One write at the end of the file: others who append at the same time stand before or after it, never in it.
    let line = format!("{begin}{name} {key}\n");
    let written = file.write(line.as_bytes())?;
    if written == line.len() { Ok(()) } else { Err(io::Error::other("only a part of the line could be written")) }
}

/// Whether the next byte begins a line.
fn ends_in_a_line(file: &mut File) -> io::Result<bool> {
    // /dev/null and the like have no end to look at.
    if !file.metadata()?.is_file() || file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn key() -> PublicKey {
        PublicKey::from_openssh(&format!("{ED} its comment")).unwrap()
    }

    #[test]
    fn a_new_key_is_added_on_a_line_of_its_own() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/known_hosts");
        append(&file, "a", false, &key()).unwrap();
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap().trim_end()).unwrap();
        append(&file, "[b]:7", false, &key()).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("a {ED}\n[b]:7 {ED}\n"));
        assert_eq!(std::fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_hidden_name_has_a_salt_of_its_own_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known_hosts");
        append(&file, "jump", true, &key()).unwrap();
        append(&file, "jump", true, &key()).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() == 2 && lines[0] != lines[1] && !text.contains("jump"), "{text}");
        for line in lines {
            assert!(super::super::entry::Line::split(line.as_bytes()).unwrap().is_about("jump"));
        }
    }

    #[test]
    fn names_that_would_mean_something_else_are_not_written() {
        for name in ["jump", "[jump]:2222", "10.0.0.1", "fe80::1%eth0", "[::1]:7", "my_host-1.example.org"] {
            assert!(is_plain(name), "{name}");
        }
        for name in
            ["", "*", "a,b", "!a", "a b", "a\n@cert-authority", "|1|x", "@revoked", "#a", "[a*]:7", "[]:7", "[x"]
        {
            assert!(!is_plain(name), "{name}");
        }
    }

    #[test]
    fn appends_side_by_side_tear_no_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known_hosts");
        std::fs::write(&file, "unfinished").unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    for i in 0..50 {
                        append(file, &format!("h{thread}-{i}"), i % 2 == 0, &key()).unwrap();
                    }
                });
            }
        });
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().filter(|l| !l.is_empty()).collect();
        assert_eq!(lines.len(), 401);
        assert!(lines[1..].iter().all(|line| line.ends_with(ED) && line.split(' ').count() == 3));
    }
}

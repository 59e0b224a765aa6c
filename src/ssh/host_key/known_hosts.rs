//! Whether a host key is the one that we know: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
//!
//! Three answers that must not be mixed up: known, changed, unknown. A host of which any key is known is never
//! "unknown": that another algorithm was offered is no reason to ask whether to trust it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::{Algorithm, PublicKey};
use sha1::Sha1;

use crate::error::{Error, Result, io_reason};
use crate::ssh::config::host_matches;
use crate::ssh::settings::Settings;

/// The port that stands for itself in known_hosts.
const DEFAULT_PORT: u16 = 22;
/// Longer lines are no host keys: the largest RSA key has about 3 KiB.
const MAX_LINE: usize = 64 * 1024;

/// All entries of the files that were read, in their order.
#[derive(Debug, Default)]
pub struct KnownHosts {
    entries: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    entry: Entry,
    place: Place,
}

/// A line of a known_hosts file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

/// What the files say about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is this host's key.
    Known,
    /// No key of this host is known.
    Unknown,
    /// Other keys of this host are known, the first of them there.
    Changed(Place),
    /// The key must not be used any more.
    Revoked(Place),
}

impl KnownHosts {
    /// Reads the files that `settings` name; one that does not exist is empty.
    ///
    /// # Errors
    /// A file that is there and cannot be read is a refusal: it may hold the very line that matters.
    pub fn read(settings: &Settings) -> Result<Self> {
        let mut all = Self::default();
        for file in settings.user_known_hosts.iter().chain(&settings.global_known_hosts) {
            match std::fs::read(file) {
                Ok(bytes) => all.parse(&String::from_utf8_lossy(&bytes), file),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => {
                    return Err(Error::host_key(format!(
                        "cannot read the known hosts in {}: {}",
                        file.display(),
                        io_reason(&e)
                    ))
                    .hint("without it nobody can tell whether the jump host is the right one"));
                }
            }
        }
        Ok(all)
    }

    /// Adds the lines of `text`, which stand in `file`. Lines that are no entries are passed over, as ssh does.
    pub fn parse(&mut self, text: &str, file: &Path) {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || line.len() > MAX_LINE {
                continue;
            }
            match line.parse() {
                Ok(entry) => self.entries.push(Known { entry, place: Place { file: file.into(), line: index + 1 } }),
                Err(e) => tracing::debug!("{}: line {}: {e}", file.display(), index + 1),
            }
        }
    }

    /// What is known of `key` as the key of `host` on `port`.
    #[must_use]
    pub fn check(&self, host: &str, port: Option<u16>, key: &PublicKey) -> Verdict {
        let name = name(host, port);
        let same = |known: &&Known| known.entry.public_key().key_data() == key.key_data();
        if let Some(revoked) = self.of(&name, Some(&Marker::Revoked)).find(same) {
            return Verdict::Revoked(revoked.place.clone());
        }
        let mut known = self.of(&name, None).peekable();
        match known.peek().map(|first| first.place.clone()) {
            Some(first) => {
                if known.any(|k| same(&k)) {
                    Verdict::Known
                } else {
                    Verdict::Changed(first)
                }
            }
            // ssh, too, takes the key of the host without its port; a different one there says nothing.
            None if self.of(&host.to_ascii_lowercase(), None).any(|k| same(&k)) => Verdict::Known,
            None => Verdict::Unknown,
        }
    }

    /// The algorithms of the keys that are known of `host`: those to ask the server for first.
    #[must_use]
    pub fn algorithms(&self, host: &str, port: Option<u16>) -> Vec<Algorithm> {
        let mut all: Vec<Algorithm> = Vec::new();
        for name in [name(host, port), host.to_ascii_lowercase()] {
            for known in self.of(&name, None) {
                let algorithm = known.entry.public_key().algorithm();
                if !all.contains(&algorithm) {
                    all.push(algorithm);
                }
            }
            if !all.is_empty() {
                break;
            }
        }
        all
    }

    fn of<'a>(&'a self, name: &'a str, marker: Option<&'a Marker>) -> impl Iterator<Item = &'a Known> {
        self.entries
            .iter()
            .filter(move |known| known.entry.marker() == marker && matches(known.entry.host_patterns(), name))
    }
}

/// The name under which a host stands in known_hosts: `host`, or `[host]:port` for an unusual port. `None` for a
/// `HostKeyAlias`, which is taken as it is.
#[must_use]
pub fn name(host: &str, port: Option<u16>) -> String {
    match port {
        Some(port) if port != DEFAULT_PORT => format!("[{}]:{port}", host.to_ascii_lowercase()),
        _ => host.to_ascii_lowercase(),
    }
}

fn matches(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::Patterns(patterns) => host_matches(patterns, name),
        HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt).is_ok_and(|mut mac| {
            mac.update(name.as_bytes());
            mac.verify_slice(hash).is_ok()
        }),
    }
}

/// Appends the key of `name` to `file`, on a line of its own; the folder is made like ssh makes it.
///
/// # Errors
/// When the file cannot be written.
pub fn remember(file: &Path, name: &str, key: &PublicKey) -> Result<()> {
    let failed =
        |e: io::Error| Error::host_key(format!("cannot add the host key to {}: {}", file.display(), io_reason(&e)));
    let text = key.to_openssh().map_err(|e| failed(io::Error::other(e)))?;
    if let Some(folder) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let unfinished = std::fs::read(file).is_ok_and(|bytes| bytes.last().is_some_and(|b| *b != b'\n'));
    let mut file_handle = OpenOptions::new().append(true).create(true).mode(0o600).open(file).map_err(failed)?;
    let line = format!("{}{name} {text}\n", if unfinished { "\n" } else { "" });
    file_handle.write_all(line.as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.parse(text, Path::new("kh"));
        known
    }

    fn at(line: usize) -> Place {
        Place { file: "kh".into(), line }
    }

    #[test]
    fn known_changed_and_unknown_are_three_answers() {
        let k = known(&format!("# hosts\n\nother {OTHER}\nJump,10.0.0.1 {ED}\n"));
        assert_eq!(k.check("jump", Some(22), &key(ED)), Verdict::Known);
        assert_eq!(k.check("JUMP", Some(22), &key(OTHER)), Verdict::Changed(at(4)));
        assert_eq!(k.check("elsewhere", Some(22), &key(ED)), Verdict::Unknown);
    }

    #[test]
    fn another_algorithm_of_a_known_host_is_no_new_host() {
        let k = known(&format!("jump {ED}\n"));
        assert_eq!(k.check("jump", Some(22), &key(ECDSA)), Verdict::Changed(at(1)));
        assert_eq!(k.algorithms("jump", Some(22)), [Algorithm::Ed25519]);
    }

    #[test]
    fn an_unusual_port_is_part_of_the_name() {
        let k = known(&format!("[jump]:2222 {ED}\njump {OTHER}\n"));
        assert_eq!(k.check("jump", Some(2222), &key(ED)), Verdict::Known);
        assert_eq!(k.check("jump", Some(2222), &key(OTHER)), Verdict::Changed(at(1)));
        assert_eq!(k.check("jump", Some(22), &key(ED)), Verdict::Changed(at(2)));
        assert_eq!(k.check("jump", Some(2200), &key(OTHER)), Verdict::Known, "the host's key without its port");
        assert_eq!(k.check("jump", Some(2200), &key(ED)), Verdict::Unknown);
    }

    #[test]
    fn hashed_names_are_found() {
        // Made with: ssh-keygen -H -f FILE, for "example.org".
        let salt = "SyhMYf0/sBZmz6tDpzdQMtNbJUE=";
        let mut mac = Hmac::<Sha1>::new_from_slice(&decode(salt)).unwrap();
        mac.update(b"[jump]:2222");
        let k = known(&format!("|1|{salt}|{} {ED}\n", encode(&mac.finalize().into_bytes())));
        assert_eq!(k.check("jump", Some(2222), &key(ED)), Verdict::Known);
        assert_eq!(k.check("jump", Some(22), &key(ED)), Verdict::Unknown);
    }

    #[test]
    fn patterns_negation_and_revocation_hold() {
        let k = known(&format!("*.example.org,!bad.example.org {ED}\n@revoked * {OTHER}\n"));
        assert_eq!(k.check("a.example.org", Some(22), &key(ED)), Verdict::Known);
        assert_eq!(k.check("bad.example.org", Some(22), &key(ED)), Verdict::Unknown);
        assert_eq!(k.check("a.example.org", Some(22), &key(OTHER)), Verdict::Revoked(at(2)));
    }

    #[test]
    fn a_new_key_is_added_on_a_line_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/known_hosts");
        remember(&file, "a", &key(ED)).unwrap();
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap().trim_end()).unwrap();
        remember(&file, "[b]:7", &key(OTHER)).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("a {ED}\n[b]:7 {OTHER}\n"));
    }

    fn decode(text: &str) -> Vec<u8> {
        use russh::keys::ssh_key::known_hosts::HostPatterns;
        match format!("|1|{text}|AAAAAAAAAAAAAAAAAAAAAAAAAAA=").parse().unwrap() {
            HostPatterns::HashedName { salt, .. } => salt,
            HostPatterns::Patterns(_) => panic!(),
        }
    }

    fn encode(hash: &[u8]) -> String {
        let hash: [u8; 20] = hash.try_into().unwrap();
        let text = HostPatterns::HashedName { salt: vec![], hash }.to_string();
        text.rsplit('|').next().unwrap().to_owned()
    }
}

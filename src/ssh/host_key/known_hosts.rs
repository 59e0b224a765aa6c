//! What is known of a host's keys: the files of ssh, and what was accepted before.
//!
//! Three answers that must not be mixed up: known, changed, unknown. A host of which any key is known is never
//! "unknown": that another algorithm was offered is no reason to ask whether to trust it.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, PublicKey};

use super::entry::{Line, Marker};
use super::remember::Accepted;
use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::ssh::settings::Settings;

/// The port that stands for itself in known_hosts.
const DEFAULT_PORT: u16 = 22;
/// No file with keys is larger: the largest that people have hold some 100,000 lines.
const MAX_FILE: u64 = 256 << 20;
/// How a list of revoked keys begins that only ssh-keygen can read.
const KRL: &[u8] = b"SSHKRL\n\0";
/// How many other names of a key are told.
const MAX_OTHERS: usize = 8;

/// The names of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// As it stands in known_hosts, in lower case: `host`, `[host]:port` for an unusual port, or a `HostKeyAlias`, which
    /// is taken as it is.
    pub full: String,
    /// The host without its unusual port: ssh takes keys of that, too.
    pub bare: Option<String>,
    /// What a certificate has to be for.
    pub principal: String,
    /// A `HostKeyAlias` as written: a hidden name may have been made of that.
    written: Option<String>,
}

impl Names {
    /// Of the host that `settings` mean.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let (name, port) = settings.key_name();
        let lower = name.to_ascii_lowercase();
        match port {
            None => Self {
                full: lower.clone(),
                bare: None,
                principal: name.to_owned(),
                written: (lower != name).then(|| name.to_owned()),
            },
            Some(DEFAULT_PORT) => Self { full: lower.clone(), bare: None, principal: lower, written: None },
            Some(port) => {
                Self { full: format!("[{lower}]:{port}"), bare: Some(lower.clone()), principal: lower, written: None }
            }
        }
    }
}

/// Everything that is known of one host.
#[derive(Debug)]
pub struct KnownHosts {
    /// Of which host.
    pub names: Names,
    entries: Vec<Known>,
    revoked: Vec<(KeyData, Place)>,
}

/// An entry for the host.
#[derive(Debug)]
struct Known {
    marker: Marker,
    key: PublicKey,
    place: Place,
    /// Under the name without the port.
    bare: bool,
}

/// Where a key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of a file, counted from 1.
    Line(PathBuf, usize),
    /// It was accepted when this collector connected before.
    Memory,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(file, line) => write!(f, "{} line {line}", shown(file)),
            Self::Memory => f.write_str("what was accepted when this collector connected before"),
        }
    }
}

/// What the files say about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is this host's key.
    Known,
    /// No key of this host is known.
    Unknown,
    /// Other keys of this host are known, there one that it should have been.
    Changed(Place),
    /// The key must not be used any more.
    Revoked(Place),
}

impl KnownHosts {
    /// Reads the files that `settings` name; one that does not exist is empty. A host that stands in none of them may
    /// still have been `accepted` before.
    ///
    /// # Errors
    /// A file that is there and cannot be read is a refusal: it may hold the very line that matters. So is a list of
    /// revoked keys that is not there: somebody counts on it.
    pub fn read(settings: &Settings, accepted: &Accepted) -> Result<Self> {
        let mut all = Self::new(Names::of(settings));
        for file in settings.user_known_hosts.iter().chain(&settings.global_known_hosts) {
            all.add_file(file).map_err(|e| {
                Error::host_key(format!("cannot read the known hosts in {}: {}", shown(file), io_reason(&e)))
                    .hint("without it nobody can tell whether the jump host is the right one")
            })?;
        }
        if let Some(file) = &settings.revoked_host_keys {
            all.add_revoked(file)?;
        }
        if !all.entries.iter().any(|known| known.marker == Marker::None && !known.bare) {
            let keys = accepted.keys(&all.names.full).into_iter();
            all.entries.extend(keys.map(|key| Known { marker: Marker::None, key, place: Place::Memory, bare: false }));
        }
        Ok(all)
    }

    /// Nothing is known of the host.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self { names, entries: Vec::new(), revoked: Vec::new() }
    }

    fn add_file(&mut self, file: &Path) -> io::Result<()> {
        each_line(file, |number, line| self.add(line, Place::Line(file.to_owned(), number)))
    }

    /// Adds the entry that `line` is, if it is one and is about this host.
    pub fn add(&mut self, line: &[u8], place: Place) {
        let Some(line) = Line::split(line) else { return };
        let full = line.is_about(&self.names.full) || self.names.written.as_ref().is_some_and(|n| line.is_about(n));
        if !full && !self.names.bare.as_ref().is_some_and(|bare| line.is_about(bare)) {
            return;
        }
        let Some(key) = line.key() else {
            tracing::debug!("{place}: there is no key that can be read");
            return;
        };
        self.entries.push(Known { marker: line.marker, key, place, bare: !full });
    }

    /// `RevokedHostKeys`: a public key a line.
    fn add_revoked(&mut self, file: &Path) -> Result<()> {
        let failed = |why: &str| {
            Error::host_key(format!("cannot read the revoked host keys in {}: {why}", shown(file)))
                .hint("without it nobody can tell whether the jump host's key is still good (RevokedHostKeys)")
        };
        let io_failed = |e: io::Error| failed(&io_reason(&e));
        let mut begin = Vec::new();
        File::open(file).and_then(|f| f.take(KRL.len() as u64).read_to_end(&mut begin)).map_err(io_failed)?;
        if begin == KRL {
            return Err(failed("it is a binary list (KRL), which is not supported")
                .hint("a text file with one public key a line is read"));
        }
        let mut bad = None;
        each_line(file, |number, line| {
            let place = Place::Line(file.to_owned(), number);
            // The rest of a line of known_hosts, with no name before it.
            let named = [b"@revoked * ", line.trim_ascii_start()].concat();
            match Line::split(&named).and_then(|line| line.key()) {
                Some(key) => self.revoked.push((key.key_data().clone(), place)),
                None if line.trim_ascii().first().is_none_or(|b| *b == b'#') => {}
                None => bad = Some(bad.unwrap_or(number)),
            }
        })
        .map_err(io_failed)?;
        // ssh, too, does without such a file rather than without one of its lines.
        bad.map_or(Ok(()), |line| Err(failed(&format!("line {line} is no public key"))))
    }

    /// What is known of `key` as the key of the host.
    #[must_use]
    pub fn check(&self, key: &KeyData) -> Verdict {
        if let Some(place) = self.revoked(key) {
            return Verdict::Revoked(place.clone());
        }
        let of = |bare| self.entries.iter().filter(move |k| k.marker == Marker::None && k.bare == bare);
        let same = |known: &Known| known.key.key_data() == key;
        if of(false).any(same) {
            return Verdict::Known;
        }
        // One of the same type is the one that it should have been.
        let like = of(false).find(|known| known.key.algorithm() == key.algorithm());
        match like.or_else(|| of(false).next()) {
            Some(other) => Verdict::Changed(other.place.clone()),
            // ssh, too, takes the key of the host without its port; a different one there says nothing.
            None if of(true).any(same) => Verdict::Known,
            None => Verdict::Unknown,
        }
    }

    /// Where it stands that `key` must not be used any more: as the key of this host, or of any.
    #[must_use]
    pub fn revoked(&self, key: &KeyData) -> Option<&Place> {
        let of_host = self.entries.iter().filter(|known| known.marker == Marker::Revoked);
        let mut all = of_host.map(|known| (known.key.key_data(), &known.place));
        let mut of_any = self.revoked.iter().map(|(key, place)| (key, place));
        all.find(|(revoked, _)| *revoked == key).or_else(|| of_any.find(|(revoked, _)| *revoked == key)).map(|(_, p)| p)
    }

    /// Whether certificates of the host may be signed by the authority of this one.
    #[must_use]
    pub fn trusts(&self, certificate: &Certificate) -> bool {
        let authorities = self.entries.iter().filter(|known| known.marker == Marker::Authority);
        authorities.into_iter().any(|known| known.key.key_data() == certificate.signature_key())
    }

    /// Whether a certificate is worth asking for: an authority is known for the host, or a key is revoked, which may be
    /// that of an authority. ssh always asks.
    #[must_use]
    pub fn wants_certificates(&self) -> bool {
        !self.revoked.is_empty() || self.entries.iter().any(|known| known.marker != Marker::None)
    }

    /// The algorithms of the keys that are known of the host: those to ask the server for first.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let of = |bare| {
            let known = self.entries.iter().filter(move |k| k.marker == Marker::None && k.bare == bare);
            known.map(|k| k.key.algorithm()).collect::<Vec<_>>()
        };
        let full = of(false);
        if full.is_empty() { of(true) } else { full }
    }
}

/// Under which other names `key` stands in the files of `settings`: file, line and names, safe to show.
///
/// # Errors
/// When a file cannot be read.
pub fn other_names(settings: &Settings, key: &PublicKey) -> io::Result<Vec<String>> {
    const LONGEST: usize = 200;
    let (mut all, mut more) = (Vec::new(), 0_usize);
    for file in settings.user_known_hosts.iter().chain(&settings.global_known_hosts) {
        each_line(file, |number, line| {
            let Some(line) = Line::split(line).filter(|line| line.marker == Marker::None) else { return };
            if line.key().is_none_or(|other| other.key_data() != key.key_data()) {
                return;
            }
            if all.len() == MAX_OTHERS {
                more += 1;
                return;
            }
            let hosts: String = String::from_utf8_lossy(line.hosts).chars().take(LONGEST).collect();
            let hosts = if hosts.starts_with('|') { "(a hidden name)".into() } else { escape_str(&hosts) };
            all.push(format!("{}:{number}: {hosts}", shown(file)));
        })?;
    }
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    Ok(all)
}

/// A path as it may be shown.
pub fn shown(file: &Path) -> String {
    escape_str(&file.display().to_string())
}

/// Calls `each` with the number and the bytes of every line. A file that does not exist has none.
fn each_line(file: &Path, mut each: impl FnMut(usize, &[u8])) -> io::Result<()> {
    let file = match File::open(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut reader = BufReader::new(file.take(MAX_FILE + 1));
    let (mut line, mut number, mut total) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        total += read as u64;
        if total > MAX_FILE {
            return Err(io::Error::other(format!("it is larger than {} MiB", MAX_FILE >> 20)));
        }
        if read == 0 {
            return Ok(());
        }
        number += 1;
        each(number, line.strip_suffix(b"\n").unwrap_or(&line));
    }
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;

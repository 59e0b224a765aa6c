//! One line of a known_hosts file: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
//!
//! A line is bytes: anything may stand in such a file. What is no entry is passed over, as ssh does.

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::HostPatterns;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, PublicKey};
use sha1::Sha1;

use crate::ssh::config::host_matches;

/// A longer pattern makes ssh give up the whole list.
const MAX_PATTERN: usize = 1022;
/// Longer ones are no host keys: the largest RSA key has about 3 KiB.
const MAX_KEY: usize = 64 * 1024;
/// Bytes of salt and hash of a hidden name: those of SHA-1.
pub const HASH: usize = 20;

/// What stands before the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// Nothing: it is the host's key.
    None,
    /// `@cert-authority`: certificates of the host are signed with the key.
    Authority,
    /// `@revoked`: the key must not be used any more.
    Revoked,
}

/// A line that may be an entry; the key is not looked at yet.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// What stands before the names.
    pub marker: Marker,
    /// Patterns with commas between them, or one hashed name.
    pub hosts: &'a [u8],
    /// Type, key and comment.
    key: &'a [u8],
}

impl<'a> Line<'a> {
    /// `None` for an empty line, a comment, and what cannot be an entry. Without its line feed.
    #[must_use]
    pub fn split(line: &'a [u8]) -> Option<Self> {
        // ssh's lines end at a NUL.
        let line = trimmed(line.split(|b| *b == 0).next()?);
        if line.first().is_none_or(|b| *b == b'#') {
            return None;
        }
        let (marker, rest) = match line.first() {
            Some(b'@') => {
                let (word, rest) = word(line);
                match word {
                    b"@revoked" => (Marker::Revoked, rest),
                    // ssh takes this one with a space alone, and nobody is to be trusted whom ssh does not trust.
                    b"@cert-authority" if line.get(word.len()) == Some(&b' ') => (Marker::Authority, rest),
                    _ => return None,
                }
            }
            _ => (Marker::None, line),
        };
        let (hosts, key) = word(rest);
        (!hosts.is_empty() && hosts[0] != b'@' && !key.is_empty()).then_some(Self { marker, hosts, key })
    }

    /// Whether it is about `name`, which is in lower case.
    #[must_use]
    pub fn is_about(&self, name: &str) -> bool {
        let hosts = String::from_utf8_lossy(self.hosts);
        if hosts.starts_with('|') {
            return match hosts.parse() {
                Ok(HostPatterns::HashedName { salt, hash }) if salt.len() == HASH => {
                    hashed(&salt, name).is_some_and(|mac| mac.verify_slice(&hash).is_ok())
                }
                _ => false,
            };
        }
        hosts.split(',').all(|p| p.len() <= MAX_PATTERN) && host_matches(hosts.split(','), name)
    }

    /// The key; `None` when there is none that can be read.
    #[must_use]
    pub fn key(&self) -> Option<PublicKey> {
        let (kind, rest) = word(self.key);
        let (key, _) = word(rest);
        let key = key.strip_suffix(b"\r").unwrap_or(key);
        if key.len() > MAX_KEY {
            return None;
        }
        let (kind, key) = (str::from_utf8(kind).ok()?, str::from_utf8(key).ok()?);
        if kind.ends_with("-cert-v01@openssh.com") {
            let certificate = Certificate::from_openssh(&format!("{kind} {key}")).ok()?;
            // ssh compares what is inside when it looks for revoked keys; as the key of a host it is like no other.
            return Some(match self.marker {
                Marker::Revoked => certificate.public_key().clone().into(),
                _ => KeyData::Certificate(certificate.into()).into(),
            });
        }
        // An RSA key also stands under the names of its signatures.
        let kind = if kind.starts_with("rsa-sha2-") { "ssh-rsa" } else { kind };
        PublicKey::from_openssh(&format!("{kind} {key}")).ok()
    }
}

/// The keyed hash that hides `name`.
#[must_use]
pub fn hashed(salt: &[u8], name: &str) -> Option<Hmac<Sha1>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac)
}

/// `name` hidden with `salt`: `|1|salt|hash`.
#[must_use]
pub fn hide(salt: [u8; HASH], name: &str) -> Option<String> {
    let hash = hashed(&salt, name)?.finalize().into_bytes().into();
    Some(HostPatterns::HashedName { salt: salt.into(), hash }.to_string())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trimmed(line: &[u8]) -> &[u8] {
    let begin = line.iter().position(|b| !is_blank(*b)).unwrap_or(line.len());
    &line[begin..]
}

/// The first word and what comes after it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| is_blank(*b)).unwrap_or(text.len());
    (&text[..end], trimmed(&text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn about(line: &str, name: &str) -> bool {
        Line::split(line.as_bytes()).is_some_and(|line| line.is_about(name) && line.key().is_some())
    }

    #[test]
    fn what_stands_around_an_entry_does_not_matter() {
        for line in [
            format!("jump {ED}"),
            format!("  \tjump\t{ED}\tme@here # and more"),
            format!("jump {ED}\r"),
            format!("jump {ED} \u{fffd}\r"),
            format!("jump   {}", ED.replace(' ', "  \t ")),
            format!("jump {ED}\0garbage"),
            format!("a,JUMP,b {ED}"),
            format!("j?m*,!other {ED}"),
        ] {
            assert!(about(&line, "jump"), "{line:?}");
        }
    }

    #[test]
    fn what_is_no_entry_is_passed_over() {
        for line in [
            String::new(),
            " ".into(),
            "\r".into(),
            "# jump".into(),
            format!("#jump {ED}"),
            "jump".into(),
            "jump ".into(),
            "jump ssh-ed25519".into(),
            "jump ssh-ed25519 AAAA".into(),
            format!("jump {}", ED.replace("ed25519 ", "rsa ")),
            format!("jump {}", ED.replace("ssh-ed25519", "ED25519")),
            format!("@revoked @cert-authority jump {ED}"),
            format!("@other jump {ED}"),
            format!("@cert-authority\tjump {ED}"),
            format!("jump,!jum? {ED}"),
            format!("jump,{} {ED}", "x".repeat(1023)),
            format!("|1|AAAA|AAAA {ED}"),
            format!("jump # {ED}"),
            format!("jump\0 {ED}"),
        ] {
            assert!(!about(&line, "jump"), "{line:?}");
        }
    }

    #[test]
    fn a_hidden_name_is_found_and_says_nothing_else() {
        let hidden = hide([7; HASH], "[jump]:2222").unwrap();
        assert!(hidden.starts_with("|1|BwcHBwcHBwcHBwcHBwcHBwcHBwc=|") && !hidden.contains("jump"));
        assert!(about(&format!("{hidden} {ED}"), "[jump]:2222"));
        assert!(!about(&format!("{hidden} {ED}"), "jump"));
        assert!(!about(&format!("{hidden},x {ED}"), "[jump]:2222"), "one name, nothing else");
        assert!(!about(&format!("!{hidden} {ED}"), "[jump]:2222"));
    }

    proptest! {
        #[test]
        fn no_line_is_too_odd(line in prop::collection::vec(any::<u8>(), 0..400), marked in any::<bool>()) {
            let line = [if marked { &b"@revoked "[..] } else { b"" }, &line].concat();
            if let Some(line) = Line::split(&line) {
                let _ = (line.is_about("jump"), line.key());
            }
        }
    }
}

//! What a browser keeps of a login. Pure.
//!
//! A cookie names its user and its end and is sealed with a secret of this account, so that it outlives the process. The seal
//! covers the stored password, too: with a new one, or none, all cookies of the user end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Seconds for which a login lasts: 30 days.
pub const LASTS: u64 = 30 * 24 * 3600;

/// Seals with a secret.
#[derive(Clone)]
pub struct Seal(String);

/// What a cookie claims, before its seal was looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Claimed<'a> {
    /// Whose it is.
    pub user: String,
    /// When it ends, in seconds since 1970.
    ends: u64,
    seal: &'a str,
}

impl Seal {
    /// With `secret`, which nobody else knows.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self(secret.to_owned())
    }

    fn over(&self, what: &str, parts: &[&str]) -> Hmac<Sha256> {
        // Never fails: HMAC takes keys of any length (RFC 2104).
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("a key of any length");
        for part in [what].iter().chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }

    /// A digest of what only this process has to know again.
    #[must_use]
    pub fn digest(&self, what: &str, parts: &[&str]) -> [u8; 32] {
        self.over(what, parts).finalize().into_bytes().into()
    }

    /// The cookie of a login at `now`, in seconds since 1970; `password` is the stored one.
    #[must_use]
    pub fn cookie(&self, user: &str, password: &str, now: u64) -> String {
        let ends = (now + LASTS).to_string();
        let seal = self.digest("session", &[user, &ends, password]);
        format!("{}.{ends}.{}", URL_SAFE_NO_PAD.encode(user), URL_SAFE_NO_PAD.encode(seal))
    }

    /// Whether a cookie is ours, of that stored password, and not over at `now`.
    #[must_use]
    pub fn holds(&self, claimed: &Claimed<'_>, password: &str, now: u64) -> bool {
        let Ok(seal) = URL_SAFE_NO_PAD.decode(claimed.seal) else { return false };
        let ends = claimed.ends.to_string();
        self.over("session", &[&claimed.user, &ends, password]).verify_slice(&seal).is_ok() && now < claimed.ends
    }
}

/// Reads a cookie.
#[must_use]
pub fn read(cookie: &str) -> Option<Claimed<'_>> {
    let mut parts = cookie.splitn(3, '.');
    let (user, ends, seal) = (parts.next()?, parts.next()?, parts.next()?);
    let user = String::from_utf8(URL_SAFE_NO_PAD.decode(user).ok()?).ok()?;
    Some(Claimed { user, ends: ends.parse().ok()?, seal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_lasts_until_its_end_or_the_next_password() {
        let seal = Seal::new("secret");
        let cookie = seal.cookie("ann", "$hash", 1000);
        let claimed = read(&cookie).unwrap();
        assert_eq!(claimed.user, "ann");
        assert!(seal.holds(&claimed, "$hash", 1000) && seal.holds(&claimed, "$hash", 999 + LASTS));
        assert!(!seal.holds(&claimed, "$hash", 1000 + LASTS), "it is over");
        assert!(!seal.holds(&claimed, "$other", 1000), "the password is another one");
        assert!(!Seal::new("other").holds(&claimed, "$hash", 1000), "the secret is another one");
    }

    #[test]
    fn nothing_in_it_can_be_changed() {
        let seal = Seal::new("secret");
        let cookie = seal.cookie("ann", "$hash", 1000);
        for (at, _) in cookie.char_indices() {
            let mut bytes = cookie.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let holds = read(&changed).is_some_and(|claimed| seal.holds(&claimed, "$hash", 1000));
            assert!(!holds, "{changed}");
        }
        for odd in ["", ".", "..", "a.b.c", "YW5u.99999999999999999999.x", &cookie[..cookie.len() - 1]] {
            assert!(!read(odd).is_some_and(|claimed| seal.holds(&claimed, "$hash", 1000)), "{odd}");
        }
    }
}

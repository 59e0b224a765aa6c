//! Names of algorithms: what ssh knows, what reclog can do, and what it offers by itself.

use super::keywords::List;
use super::pattern::{list_matches, wildcard};

/// Known to ssh, in one version or another, and not to reclog.
const FOREIGN_CIPHERS: &[&str] =
    &["rijndael-cbc@lysator.liu.se", "3des-cbc", "blowfish-cbc", "cast128-cbc", "arcfour", "arcfour128", "arcfour256"];
const FOREIGN_MACS: &[&str] = &[
    "hmac-sha1-96",
    "hmac-md5",
    "hmac-md5-96",
    "umac-64@openssh.com",
    "umac-128@openssh.com",
    "hmac-sha1-96-etm@openssh.com",
    "hmac-md5-etm@openssh.com",
    "hmac-md5-96-etm@openssh.com",
    "umac-64-etm@openssh.com",
    "umac-128-etm@openssh.com",
    "hmac-ripemd160",
    "hmac-ripemd160@openssh.com",
    "hmac-ripemd160-etm@openssh.com",
];
const FOREIGN_KEX: &[&str] =
    &["sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com", "sntrup4591761x25519-sha512@tinyssh.org"];
const FOREIGN_KEYS: &[&str] = &[
    "ssh-dss",
    "ssh-dss-cert-v01@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-xmss@openssh.com",
    "ssh-xmss-cert-v01@openssh.com",
];

/// What reclog can do; the first of them are what it offers by itself, best first.
const CIPHERS: &[&str] = &[
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
];
const OWN_CIPHERS: usize = 6;
const MACS: &[&str] = &[
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-sha1-etm@openssh.com",
    "hmac-sha1",
];
const OWN_MACS: usize = 4;
const KEX: &[&str] = &[
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group15-sha512",
    "diffie-hellman-group17-sha512",
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group1-sha1",
];
const OWN_KEX: usize = 10;
/// In the order in which ssh lists what a pattern stands for.
const KEYS: &[&str] = &[
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ssh-rsa",
    "ssh-rsa-cert-v01@openssh.com",
    "rsa-sha2-256",
    "rsa-sha2-256-cert-v01@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-512-cert-v01@openssh.com",
];
/// Signatures that prove a host or a user: no SHA-1.
const OWN_KEYS: &[&str] = &[
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// One kind of list: what is in it without being asked for, and what may be.
#[derive(Debug, Clone)]
pub struct Choice {
    own: Vec<&'static str>,
    able: &'static [&'static str],
    foreign: &'static [&'static str],
    patterns: bool,
}

impl Choice {
    /// For ciphers, MACs and key exchanges; signatures of hosts and users.
    #[must_use]
    pub fn of(list: List, fast_aes: bool) -> Self {
        let (own, able, foreign) = match list {
            List::Ciphers => {
                let mut own = CIPHERS[..OWN_CIPHERS].to_vec();
                if !fast_aes {
                    own[..3].rotate_right(1);
                }
                (own, CIPHERS, FOREIGN_CIPHERS)
            }
            List::Macs => (MACS[..OWN_MACS].to_vec(), MACS, FOREIGN_MACS),
            List::Kex => (KEX[..OWN_KEX].to_vec(), KEX, FOREIGN_KEX),
            List::Keys => (OWN_KEYS.to_vec(), KEYS, FOREIGN_KEYS),
        };
        Self { own, able, foreign, patterns: list == List::Keys }
    }

    /// For the signatures of certificate authorities: those of plain keys.
    #[must_use]
    pub fn of_authorities() -> Self {
        let mut choice = Self::of(List::Keys, true);
        choice.own.retain(|name| !name.contains("-cert-"));
        choice
    }

    /// What stands in it without being asked for, best first.
    #[must_use]
    pub fn own(&self) -> &[&'static str] {
        &self.own
    }

    fn known(&self) -> impl Iterator<Item = &'static str> {
        self.able.iter().chain(self.foreign).copied()
    }

    /// Whether ssh would take `spec`: every name is one that it knows; those to take away may be anything.
    ///
    /// # Errors
    /// The first name that is not known.
    pub fn check<'a>(&self, spec: &'a str) -> Result<(), &'a str> {
        if spec.starts_with('-') {
            return Ok(());
        }
        let names = spec.strip_prefix(['+', '^']).unwrap_or(spec);
        let mut any = false;
        for name in names.split(',').filter(|name| !name.is_empty()) {
            let pattern = name.strip_prefix('!').unwrap_or(name);
            let fits = |known: &str| known == name || (self.patterns && wildcard(pattern, known));
            if !self.known().any(fits) {
                return Err(name);
            }
            any = true;
        }
        if any { Ok(()) } else { Err(spec) }
    }

    /// The list that `spec` makes of our own, as far as reclog can do it, and what had to be left out.
    ///
    /// # Errors
    /// For a negated name, which ssh refuses outside of `-`.
    pub fn assemble(&self, spec: &str) -> Result<(Vec<String>, Vec<String>), String> {
        let own = self.own.iter().copied();
        if let Some(without) = spec.strip_prefix('-') {
            return Ok((own.filter(|name| !list_matches(without, name)).map(str::to_owned).collect(), Vec::new()));
        }
        let names = spec.strip_prefix(['+', '^']).unwrap_or(spec).split(',').filter(|name| !name.is_empty());
        let all: Vec<&str> = match spec.chars().next() {
            Some('+') => own.chain(names).collect(),
            Some('^') => names.chain(own).collect(),
            _ => names.collect(),
        };
        let (mut kept, mut left_out) = (Vec::<String>::new(), Vec::new());
        for pattern in all {
            if pattern.starts_with('!') {
                return Err(format!(
                    "`{}`: a name can be taken away with `-` alone",
                    crate::escape::escape_str(pattern)
                ));
            }
            for name in self.known().filter(|name| wildcard(pattern, name)) {
                let into = if self.able.contains(&name) { &mut kept } else { &mut left_out };
                if !into.iter().any(|known| known == name) {
                    into.push(name.to_owned());
                }
            }
        }
        Ok((kept, left_out))
    }

    /// What reclog can do, for messages.
    #[must_use]
    pub fn able(&self) -> String {
        self.able.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ciphers(spec: &str) -> Vec<String> {
        Choice::of(List::Ciphers, true).assemble(spec).unwrap().0
    }

    #[test]
    fn lists_are_added_to_taken_from_and_put_in_front() {
        let own = &CIPHERS[..6];
        assert_eq!(ciphers("-"), own);
        assert_eq!(ciphers("+aes128-cbc,aes128-ctr"), [own, &["aes128-cbc"]].concat());
        assert_eq!(ciphers("^aes256-ctr")[..2], ["aes256-ctr", "aes128-gcm@openssh.com"]);
        assert_eq!(ciphers("-aes*"), ["chacha20-poly1305@openssh.com"]);
        assert_eq!(ciphers("aes256-ctr,,aes128-ctr,aes256-ctr"), ["aes256-ctr", "aes128-ctr"]);
        assert_eq!(Choice::of(List::Ciphers, false).assemble("-").unwrap().0[0], "chacha20-poly1305@openssh.com");
        let (kept, left_out) = Choice::of(List::Macs, true).assemble("umac-64@openssh.com,hmac-sha1").unwrap();
        assert_eq!((kept, left_out), (vec!["hmac-sha1".into()], vec!["umac-64@openssh.com".into()]));
    }

    #[test]
    fn only_names_that_ssh_knows_may_be_asked_for() {
        let ciphers = Choice::of(List::Ciphers, true);
        assert!(ciphers.check("aes128-ctr,3des-cbc").is_ok() && ciphers.check("-nosuch*").is_ok());
        for bad in ["nosuch", "aes*", "+aes*", "+", "^", "AES128-CTR", "!aes128-ctr", "none", ","] {
            assert!(ciphers.check(bad).is_err(), "{bad}");
        }
        let keys = Choice::of(List::Keys, true);
        assert!(
            keys.check("ssh-rsa*").is_ok() && keys.check("^*").is_ok() && keys.check("ssh-ed25519,!ssh-rsa").is_ok()
        );
        assert!(keys.check("ssh-rsa,nosuch*").is_err() && keys.assemble("ssh-ed25519,!ssh-rsa").is_err());
    }
}

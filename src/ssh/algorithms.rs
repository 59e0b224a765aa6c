//! Which algorithms are offered, and how much one key may carry.

use std::borrow::Cow;
use std::time::Duration;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Limits, Preferred, cipher, compression, kex, mac};

use super::config::keywords::List;
use super::config::names::Choice;
use super::settings::Algorithms;

/// Renew the keys after this many bytes of a cipher with blocks of 16 bytes: 2^32 blocks (RFC 4344, section 3.2), what
/// OpenSSH does, and an eighth more, so that a server that counts like OpenSSH begins. A renewal that the server begins
/// disturbs nothing; see [`super::rekey`] for ours.
pub const REKEY_AES: u64 = (64 << 30) / 8 * 9;
/// The same for chacha20-poly1305, which OpenSSH renews after 1 GiB.
pub const REKEY_CHACHA: u64 = (1 << 30) / 8 * 9;

/// How the name of an algorithm ends that shows a certificate.
const CERTIFICATE: &str = "-cert-v01@openssh.com";
/// Said in every list of key exchanges, whatever the user wants: without the first a server does not tell which
/// signatures it takes, the second closes the hole of CVE-2023-48795.
const MARKERS: [kex::Name; 2] = [kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];
/// Host keys unless `HostKeyAlgorithms` says other. No ssh-rsa: its signatures are SHA-1.
const HOST_KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// What is offered to a server of which keys of the kinds `known` are known: those come first, so that the server proves
/// itself with a key that we can check. Certificates are asked for when they are `welcome`. As with ssh
/// the user's own order of host keys is kept as it is, but for certificates, which the library puts before plain keys.
#[must_use]
pub fn preferred(wanted: &Algorithms, known: &[Algorithm], welcome: bool) -> Preferred {
    let (certificates, keys) = host_keys(wanted, known, welcome);
    let mut kex = named(wanted.kex.as_deref(), List::Kex, |name| kex::Name::try_from(name).ok());
    kex.retain(|name| *name != kex::NONE && !name.as_ref().starts_with("ext-info-") && !is_strict_marker(*name));
    kex.extend(MARKERS);
    let mut ciphers = named(wanted.ciphers.as_deref(), List::Ciphers, |name| cipher::Name::try_from(name).ok());
    ciphers.retain(|name| *name != cipher::NONE && *name != cipher::CLEAR);
    let mut macs = named(wanted.macs.as_deref(), List::Macs, |name| mac::Name::try_from(name).ok());
    macs.retain(|name| *name != mac::NONE);
    Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Owned(ciphers),
        mac: Cow::Owned(macs),
        compression: if wanted.compression {
            Cow::Borrowed(&[compression::ZLIB_LEGACY, compression::ZLIB, compression::NONE])
        } else {
            Cow::Borrowed(&[compression::NONE])
        },
    }
}

/// Whether a host may show a key of this kind, whatever it announced before.
#[must_use]
pub fn permits(wanted: &Algorithms, key: &Algorithm) -> bool {
    // The name of an RSA key says nothing about the hash of its signatures.
    let same = |other: &Algorithm| other == key || (is_rsa(other) && is_rsa(key));
    match &wanted.host_keys {
        None => HOST_KEYS.iter().any(same),
        // With ssh, too, a certificate that may be shown may turn out to be no more than its key.
        Some(names) => names.iter().filter_map(|name| certified(name).or_else(|| plain(name))).any(|kind| same(&kind)),
    }
}

/// Whether packets of this cipher carry a MAC of their own.
#[must_use]
pub fn needs_mac(cipher: &str) -> bool {
    !cipher.contains("gcm") && !cipher.contains("poly1305")
}

/// Whether it is an RSA key of less than so many bits.
#[must_use]
pub fn is_short(key: &KeyData, least: u32) -> bool {
    key.rsa().is_some_and(|key| key.key_size() < least)
}

/// Certificate kinds and plain kinds, each best first.
fn host_keys(wanted: &Algorithms, known: &[Algorithm], welcome: bool) -> (Vec<Algorithm>, Vec<Algorithm>) {
    let known_first = |all: Vec<Algorithm>| {
        if wanted.host_keys.is_some() && wanted.host_keys_in_order {
            return all;
        }
        let is_known = |a: &Algorithm| known.iter().any(|k| k == a || (is_rsa(k) && is_rsa(a)));
        let (mut keys, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(is_known);
        keys.extend(rest);
        keys
    };
    if let Some(names) = &wanted.host_keys {
        let certificates = names.iter().filter_map(|name| certified(name)).collect();
        return (known_first(certificates), known_first(names.iter().filter_map(|name| plain(name)).collect()));
    }
    let keys = known_first(HOST_KEYS.to_vec());
    (if welcome { keys.clone() } else { Vec::new() }, keys)
}

/// The kind of the key in a certificate with this name, if it is one that can be checked.
fn certified(name: &str) -> Option<Algorithm> {
    name.ends_with(CERTIFICATE).then(|| Algorithm::new_certificate(name).ok())?.filter(is_usable)
}

/// The kind of a plain key with this name, if it is one that can be checked.
fn plain(name: &str) -> Option<Algorithm> {
    if name.ends_with(CERTIFICATE) {
        return None;
    }
    Algorithm::new(name).ok().filter(is_usable)
}

fn is_usable(algorithm: &Algorithm) -> bool {
    !matches!(algorithm, Algorithm::Other(_) | Algorithm::Dsa)
}

fn is_rsa(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::Rsa { .. })
}

fn is_strict_marker(name: kex::Name) -> bool {
    name.as_ref().starts_with("kex-strict-")
}

/// The library's names for those of ssh, or of our own `list` without any; what it does not know is left out.
fn named<T>(names: Option<&[String]>, list: List, known: impl Fn(&str) -> Option<T>) -> Vec<T> {
    match names {
        Some(names) => names.iter().filter_map(|name| known(name)).collect(),
        None => Choice::of(list, has_aes()).own().iter().filter_map(|name| known(name)).collect(),
    }
}

/// The library's own limits are out of reach: when keys are renewed is decided in [`super::rekey`].
#[must_use]
pub fn library_limits() -> Limits {
    Limits { rekey_write_limit: usize::MAX, rekey_read_limit: usize::MAX, rekey_time_limit: A_LIFETIME }
}

/// No renewal by the clock: OpenSSH has none either.
const A_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Bits below which an RSA key proves nothing; OpenSSH's own limit.
pub const LEAST_RSA: u32 = 1024;

/// Bytes that a key of `cipher` may carry.
#[must_use]
pub fn rekey_after(cipher: &str) -> u64 {
    if cipher.starts_with("chacha20") { REKEY_CHACHA } else { REKEY_AES }
}

/// Whether this processor has instructions for AES; without them chacha20 is faster.
#[must_use]
pub fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        std::arch::is_x86_feature_detected!("aes")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("aes")
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: Algorithm = Algorithm::Rsa { hash: None };

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|&n| n.to_owned()).collect()
    }

    fn texts<T: AsRef<str>>(names: &[T]) -> Vec<&str> {
        names.iter().map(AsRef::as_ref).collect()
    }

    #[test]
    fn keys_that_are_known_are_asked_for_first_and_sha1_never() {
        let first = |known: &[Algorithm]| preferred(&Algorithms::default(), known, false).key[0].clone();
        assert_eq!(first(&[]), Algorithm::Ed25519);
        assert_eq!(first(&[RSA]), Algorithm::Rsa { hash: Some(HashAlg::Sha512) });
        assert!(!preferred(&Algorithms::default(), &[RSA], false).key.contains(&RSA));
    }

    #[test]
    fn certificates_are_asked_for_when_an_authority_is_known_or_the_user_wants_them() {
        let none = Algorithms::default();
        assert!(preferred(&none, &[Algorithm::Ed25519], false).host_key_certificates.is_empty());
        let offered = preferred(&none, &[RSA], true).host_key_certificates;
        assert_eq!(offered[0].to_certificate_type(), "rsa-sha2-512-cert-v01@openssh.com");
        assert!(offered.iter().all(|a| a.to_certificate_type() != "ssh-rsa-cert-v01@openssh.com"));
        let wanted = Algorithms {
            host_keys: Some(list(&["ssh-ed25519-cert-v01@openssh.com", "rsa-sha2-256", "ssh-dss", "x@y"])),
            ..Algorithms::default()
        };
        let offered = preferred(&wanted, &[], false);
        assert_eq!(offered.host_key_certificates[..], [Algorithm::Ed25519]);
        assert_eq!(offered.key[..], [Algorithm::Rsa { hash: Some(HashAlg::Sha256) }]);
    }

    #[test]
    fn the_users_order_of_host_keys_is_kept_whatever_is_known() {
        let names = Some(list(&["ssh-ed25519", "rsa-sha2-512"]));
        let wanted = Algorithms { host_keys: names, host_keys_in_order: true, ..Algorithms::default() };
        let changed = Algorithms { host_keys_in_order: false, ..wanted.clone() };
        let first = preferred(&changed, &[RSA], true).key[0].clone();
        assert_eq!(first, Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, "after `+` and `-` known keys come first");
        let offered = preferred(&wanted, &[RSA], true);
        assert_eq!(offered.key[..], [Algorithm::Ed25519, Algorithm::Rsa { hash: Some(HashAlg::Sha512) }]);
        assert!(offered.host_key_certificates.is_empty(), "only what the user wants");
        assert!(permits(&wanted, &RSA) && permits(&wanted, &Algorithm::Ed25519));
        assert!(!permits(&wanted, &Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }));
        let only = Algorithms { host_keys: Some(list(&["ssh-ed25519-cert-v01@openssh.com"])), ..Algorithms::default() };
        assert!(permits(&only, &Algorithm::Ed25519) && !permits(&only, &RSA), "what is left of a certificate");
        assert!(permits(&Algorithms::default(), &RSA) && !permits(&Algorithms::default(), &Algorithm::Dsa));
    }

    #[test]
    fn lists_by_sshs_names_keep_their_order_and_the_markers_stay() {
        let wanted = Algorithms {
            ciphers: Some(list(&["aes256-ctr", "none", "clear", "chacha20-poly1305@openssh.com"])),
            macs: Some(list(&["hmac-sha2-512", "none", "hmac-sha1"])),
            kex: Some(list(&["none", "kex-strict-s-v00@openssh.com", "ecdh-sha2-nistp256", "ext-info-s"])),
            compression: true,
            ..Algorithms::default()
        };
        let offered = preferred(&wanted, &[], false);
        assert_eq!(texts(&offered.cipher), ["aes256-ctr", "chacha20-poly1305@openssh.com"]);
        assert_eq!(texts(&offered.mac), ["hmac-sha2-512", "hmac-sha1"]);
        assert_eq!(texts(&offered.kex), ["ecdh-sha2-nistp256", "ext-info-c", "kex-strict-c-v00@openssh.com"]);
        assert_eq!(texts(&offered.compression), ["zlib@openssh.com", "zlib", "none"]);
        let ours = preferred(&Algorithms::default(), &[], false);
        assert!(texts(&ours.kex).ends_with(&["ext-info-c", "kex-strict-c-v00@openssh.com"]));
        assert_eq!(texts(&ours.compression), ["none"]);
    }

    #[test]
    fn a_list_of_nothing_that_can_be_done_offers_nothing() {
        let wanted = Algorithms { ciphers: Some(list(&["none"])), macs: Some(list(&[])), ..Algorithms::default() };
        let offered = preferred(&wanted, &[], false);
        assert!(offered.cipher.is_empty() && offered.mac.is_empty());
    }

    #[test]
    fn a_key_carries_what_its_cipher_allows() {
        assert!(rekey_after("chacha20-poly1305@openssh.com") < 2 << 30);
        assert!(rekey_after("aes128-gcm@openssh.com") > 64 << 30);
    }
}

//! Which algorithms are offered, and how much one key may carry.

use std::borrow::Cow;
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Limits, Preferred, cipher, compression, kex, mac};

/// Renew the keys after this many bytes of a cipher with blocks of 16 bytes: 2^32 blocks (RFC 4344, section 3.2), what
/// OpenSSH does, and an eighth more, so that a server that counts like OpenSSH begins. A renewal that the server begins
/// disturbs nothing; see [`super::rekey`] for ours.
pub const REKEY_AES: u64 = (64 << 30) / 8 * 9;
/// The same for chacha20-poly1305, which OpenSSH renews after 1 GiB.
pub const REKEY_CHACHA: u64 = (1 << 30) / 8 * 9;

/// What is offered to a server of which the host keys `known` are known: these algorithms come first, so that the server
/// proves itself with a key that we can check.
#[must_use]
pub fn preferred(known: &[Algorithm]) -> Preferred {
    let ciphers: &'static [cipher::Name] = if has_aes() {
        &[
            cipher::AES_128_GCM,
            cipher::AES_256_GCM,
            cipher::CHACHA20_POLY1305,
            cipher::AES_128_CTR,
            cipher::AES_192_CTR,
            cipher::AES_256_CTR,
        ]
    } else {
        &[
            cipher::CHACHA20_POLY1305,
            cipher::AES_128_GCM,
            cipher::AES_256_GCM,
            cipher::AES_128_CTR,
            cipher::AES_192_CTR,
            cipher::AES_256_CTR,
        ]
    };
    // No ssh-rsa: its signatures are SHA-1.
    let all = [
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ];
    let is_known = |a: &Algorithm| known.iter().any(|k| k == a || (k.clone().is_rsa() && a.clone().is_rsa()));
    let (mut keys, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(is_known);
    keys.extend(rest);
    Preferred {
        kex: Cow::Borrowed(&[
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::ECDH_SHA2_NISTP256,
            kex::ECDH_SHA2_NISTP384,
            kex::ECDH_SHA2_NISTP521,
            kex::DH_GEX_SHA256,
            kex::DH_G16_SHA512,
            kex::DH_G18_SHA512,
            kex::DH_G14_SHA256,
            kex::EXTENSION_SUPPORT_AS_CLIENT,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
        ]),
        key: Cow::Owned(keys),
        cipher: Cow::Borrowed(ciphers),
        mac: Cow::Borrowed(&[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512]),
        compression: Cow::Borrowed(&[compression::NONE]),
        ..Preferred::DEFAULT
    }
}

/// The library's own limits are out of reach: when keys are renewed is decided in [`super::rekey`].
#[must_use]
pub fn library_limits() -> Limits {
    Limits { rekey_write_limit: usize::MAX, rekey_read_limit: usize::MAX, rekey_time_limit: A_LIFETIME }
}

/// No renewal by the clock: OpenSSH has none either.
const A_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);

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

    #[test]
    fn keys_that_are_known_are_asked_for_first_and_sha1_never() {
        let first = |known: &[Algorithm]| preferred(known).key[0].clone();
        assert_eq!(first(&[]), Algorithm::Ed25519);
        assert_eq!(first(&[Algorithm::Rsa { hash: None }]), Algorithm::Rsa { hash: Some(HashAlg::Sha512) });
        assert!(!preferred(&[Algorithm::Rsa { hash: None }]).key.contains(&Algorithm::Rsa { hash: None }));
    }

    #[test]
    fn a_key_carries_what_its_cipher_allows() {
        assert!(rekey_after("chacha20-poly1305@openssh.com") < 2 << 30);
        assert!(rekey_after("aes128-gcm@openssh.com") > 64 << 30);
    }
}

//! Whether a host certificate holds: CERTIFICATES of ssh-keygen(1), and PROTOCOL.certkeys of OpenSSH.
//!
//! That the server owns the key inside is proven by the key exchange: the library checks its signature against that key.

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg};

use crate::escape::escape_str;
use crate::ssh::algorithms::{self, LEAST_RSA};
use crate::ssh::config::names::Choice;

/// Whether the certificate is what its authority signed. Says nothing about whether that authority is to be trusted.
#[must_use]
pub fn is_genuine(certificate: &Certificate) -> bool {
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    // The library checks dates, too: one on which it is valid is asked for, as ours come later and with their own words.
    // A certificate without such a date is never taken.
    certificate.valid_after() >= certificate.valid_before()
        || certificate.validate_at(certificate.valid_after(), [&authority]).is_ok()
}

/// Whether the certificate, genuine and of a trusted authority, is good for the host `name` at the time `now`, in seconds
/// since 1970. `signatures` are the names of `CASignatureAlgorithms`.
///
/// # Errors
/// Why it is not, as the end of a sentence that begins with "it".
pub fn check(certificate: &Certificate, name: &str, signatures: Option<&[String]>, now: u64) -> Result<(), String> {
    if certificate.cert_type() != CertType::Host {
        return Err("is a user certificate, not one of a host".into());
    }
    if now < certificate.valid_after() {
        return Err("is not valid yet (or the clock here is wrong)".into());
    }
    if now >= certificate.valid_before() {
        return Err("has expired (or the clock here is wrong)".into());
    }
    let names = certificate.valid_principals();
    if !names.is_empty() && !names.iter().any(|principal| principal == name) {
        return Err(format!("is not for {}, only for {}", escape_str(name), shown(names)));
    }
    if let Some(option) = certificate.critical_options().keys().next() {
        return Err(format!("has the critical option {}, which hosts have none of", escape_str(option)));
    }
    let signature = certificate.signature().algorithm();
    let allowed = match signatures {
        None => Choice::of_authorities().own().contains(&signature.as_str()),
        Some(names) => names.iter().any(|name| name == signature.as_str()),
    };
    // SHA-1 can be forged, whoever allows it.
    if !allowed || matches!(signature, Algorithm::Rsa { hash: None }) {
        return Err(format!(
            "is signed with {}, which CASignatureAlgorithms does not allow",
            escape_str(signature.as_str())
        ));
    }
    if algorithms::is_short(certificate.signature_key(), LEAST_RSA) {
        return Err(format!("is signed with an RSA key of less than {LEAST_RSA} bits"));
    }
    Ok(())
}

/// The first few of `names`; a certificate may have hundreds.
fn shown(names: &[String]) -> String {
    const FEW: usize = 5;
    let few: Vec<String> = names.iter().take(FEW).map(|n| escape_str(n)).collect();
    format!("{}{}", few.join(", "), if names.len() > FEW { ", …" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::PrivateKey;
    use russh::keys::ssh_key::certificate::Builder;
    use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};

    const NOW: u64 = 1_700_000_000;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32])), "").unwrap()
    }

    fn made(change: impl FnOnce(&mut Builder)) -> Certificate {
        let public = key(1).public_key().key_data().clone();
        let mut builder = Builder::new(vec![0; 16], public, NOW, NOW + 10).unwrap();
        builder.cert_type(CertType::Host).unwrap();
        change(&mut builder);
        builder.sign(&key(2)).unwrap()
    }

    fn for_jump() -> Certificate {
        made(|b| {
            b.valid_principal("jump").unwrap();
        })
    }

    fn why(certificate: &Certificate, name: &str, now: u64) -> String {
        check(certificate, name, None, now).unwrap_err()
    }

    #[test]
    fn dates_count_from_the_first_second_to_the_one_before_the_last() {
        let certificate = for_jump();
        assert_eq!(check(&certificate, "jump", None, NOW), Ok(()));
        assert_eq!(check(&certificate, "jump", None, NOW + 9), Ok(()));
        assert!(why(&certificate, "jump", NOW - 1).contains("not valid yet"));
        assert!(why(&certificate, "jump", NOW + 10).contains("expired"));
    }

    #[test]
    fn a_name_is_taken_as_it_is_and_no_name_means_every_host() {
        assert!(why(&for_jump(), "jumps", NOW).contains("is not for jumps, only for jump"));
        assert!(why(&for_jump(), "JUMP", NOW).contains("not for"));
        let star = made(|b| {
            b.valid_principal("*").unwrap();
        });
        assert!(why(&star, "jump", NOW).contains("not for"), "no wildcards");
        let all = made(|b| {
            b.all_principals_valid().unwrap();
        });
        assert_eq!(check(&all, "jump", None, NOW), Ok(()));
        let odd = made(|b| {
            b.valid_principal("\u{1b}[2J").unwrap();
        });
        assert!(!why(&odd, "jump", NOW).contains('\u{1b}'));
    }

    #[test]
    fn kind_options_and_signature_are_checked() {
        let mut bytes = for_jump().to_bytes().unwrap();
        // The kind stands four bytes before the length of the key's name, which is empty, and the list of names.
        let at = bytes.windows(4).position(|w| w == b"jump").unwrap() - 16;
        assert_eq!(bytes[at..at + 4], [0, 0, 0, 2]);
        bytes[at + 3] = 1;
        let user = Certificate::from_bytes(&bytes).unwrap();
        assert!(why(&user, "jump", NOW).contains("user certificate"));
        let option = made(|b| {
            b.valid_principal("jump").unwrap().critical_option("x", "y").unwrap();
        });
        assert!(why(&option, "jump", NOW).contains("critical option x"));
        let extension = made(|b| {
            b.valid_principal("jump").unwrap().extension("x", "y").unwrap();
        });
        assert_eq!(check(&extension, "jump", None, NOW), Ok(()));
        let only = ["rsa-sha2-512".to_owned()];
        assert!(check(&for_jump(), "jump", Some(&only), NOW).unwrap_err().contains("CASignatureAlgorithms"));
    }

    #[test]
    fn a_changed_certificate_is_not_genuine() {
        let genuine = for_jump();
        assert!(is_genuine(&genuine));
        let mut bytes = genuine.to_bytes().unwrap();
        let at = bytes.windows(4).position(|w| w == b"jump").unwrap();
        bytes[at..at + 4].copy_from_slice(b"evil");
        assert!(!is_genuine(&Certificate::from_bytes(&bytes).unwrap()));
    }
}

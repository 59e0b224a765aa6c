use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;

use super::*;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    (dir, path)
}

#[test]
fn a_key_file_tells_its_public_half_or_the_file_beside_it_does() {
    let text = key(1).to_openssh(LineEnding::LF).unwrap();
    let (dir, path) = file(&text);
    let looked = KeyFile::look(&path);
    assert!(matches!(looked.private, Private::Ready(_)));
    assert_eq!(looked.public.unwrap().key_data(), key(1).public_key().key_data());
    // A public file that belongs to another key does not count.
    std::fs::write(dir.path().join("key.pub"), key(2).public_key().to_openssh().unwrap()).unwrap();
    assert_eq!(KeyFile::look(&path).public.unwrap().key_data(), key(1).public_key().key_data());
    // Exposed, or away: the public half is still good for an agent's key.
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let exposed = KeyFile::look(&path);
    assert!(matches!(exposed.private, Private::Unusable(Some(why)) if why.contains("chmod 600")));
    assert_eq!(exposed.public.unwrap().key_data(), key(2).public_key().key_data());
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(KeyFile::look(&path).private, Private::Elsewhere));
    assert!(matches!(KeyFile::look(&dir.path().join("other")).private, Private::Unusable(None)));
}

#[test]
fn an_old_cipher_can_be_written_anew() {
    let (_dir, path) = file(
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    );
    let looked = KeyFile::look(&path);
    assert!(matches!(looked.private, Private::Unusable(Some(why)) if why.contains("ssh-keygen -p")));
}

#[test]
fn certificates_lie_beside_either_half() {
    assert_eq!(certificate_beside(Path::new("/k/id")), Path::new("/k/id-cert.pub"));
    assert_eq!(certificate_beside(Path::new("/k/id.pub")), Path::new("/k/id-cert.pub"));
    assert_eq!(certificate_beside(Path::new("/k/id.old")), Path::new("/k/id.old-cert.pub"));
}

/// A key in each format whose decoder is somebody's, and random changes to it.
fn formats() -> Vec<String> {
    let mut all = vec![key(1).to_openssh(LineEnding::LF).unwrap().to_string()];
    let mut pkcs8 = Vec::new();
    russh::keys::encode_pkcs8_pem(&key(1), &mut pkcs8).unwrap();
    all.push(String::from_utf8(pkcs8).unwrap());
    let mut locked = Vec::new();
    russh::keys::encode_pkcs8_pem_encrypted(&key(1), b"x", 1, &mut locked).unwrap();
    all.push(String::from_utf8(locked).unwrap());
    all.push("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAABBBBCCCCDDDDEEEEFFFFGGGGHHHH\n-----END RSA PRIVATE KEY-----\n".into());
    all
}

proptest! {
    #[test]
    fn a_damaged_key_is_no_accident(which in 0usize..4, at in 0usize..600, to in "[A-Za-z0-9+/= \n-]{1,3}", cut in prop::option::of(0usize..600), typed in prop::option::of("x|y")) {
        let mut text = formats().swap_remove(which);
        let at = at % text.len();
        text.replace_range(at..(at + to.len()).min(text.len()), &to);
        if let Some(cut) = cut {
            text.truncate(cut);
        }
        let _ = decode(&text, typed.as_deref());
        let _ = openssh_public(&text);
    }

    #[test]
    fn a_damaged_certificate_is_no_accident(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut blob = vec![0, 0, 0, 32];
        blob.extend(b"ssh-ed25519-cert-v01@openssh.com");
        blob.extend(bytes);
        let _ = Certificate::from_bytes(&blob);
        let (_dir, path) = file(&String::from_utf8_lossy(&blob));
        prop_assert!(certificate(&path).is_err());
    }
}

//! What no honest server shows.

use std::sync::Arc;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};

use super::*;
use crate::plan::SshPlan;
use crate::ssh::host_key::known_hosts::Names;
use crate::ssh::prompt::Nobody;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32])), "").unwrap()
}

fn certificate(authority: u8) -> Certificate {
    let public = key(1).public_key().key_data().clone();
    let mut builder = Builder::new(vec![0; 16], public, 0, u64::MAX >> 1).unwrap();
    builder.cert_type(CertType::Host).unwrap().valid_principal("jump").unwrap();
    builder.sign(&key(authority)).unwrap()
}

/// The certificate with one of its names replaced, and the old signature.
fn forged() -> Certificate {
    let mut bytes = certificate(2).to_bytes().unwrap();
    let at = bytes.windows(4).position(|w| w == b"jump").unwrap();
    bytes[at..at + 4].copy_from_slice(b"evil");
    Certificate::from_bytes(&bytes).unwrap()
}

fn settings(host: &str) -> Settings {
    let mut settings = Settings::resolve(&SshPlan {
        host: host.into(),
        config_file: Some("none".into()),
        user: Some("me".into()),
        ..SshPlan::default()
    })
    .unwrap();
    settings.user_known_hosts.clear();
    settings.global_known_hosts.clear();
    settings
}

fn verified(shown: &PublicKeyOrCertificate, settings: &Settings, lines: &str) -> Result<()> {
    let mut known = KnownHosts::new(Names::of(settings));
    for (index, line) in lines.lines().enumerate() {
        known.add(line.as_bytes(), Place::Line("kh".into(), index + 1));
    }
    let desk = Desk::new(Arc::new(Nobody), Arc::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(verify(shown, &known, settings, &desk))
}

fn line(marker: &str, host: &str, key: &PrivateKey) -> String {
    format!("{marker}{host} {}\n", key.public_key().to_openssh().unwrap())
}

#[test]
fn a_forged_certificate_is_refused_even_when_its_key_is_known() {
    let settings = settings("evil");
    let lines = line("@cert-authority ", "*", &key(2)) + &line("", "evil", &key(1));
    let error = verified(&forged().into(), &settings, &lines).unwrap_err();
    assert_eq!(error.kind.exit_code(), 5);
    assert!(error.message.contains("forged or damaged"), "{error}");
    verified(&certificate(2).into(), &self::settings("jump"), &lines).unwrap();
}

#[test]
fn a_certificate_signed_by_itself_is_no_more_than_its_key() {
    let settings = settings("jump");
    assert!(verified(&certificate(1).into(), &settings, "").unwrap_err().message.contains("no @cert-authority"));
    verified(&certificate(1).into(), &settings, &line("", "jump", &key(1))).unwrap();
    verified(&certificate(2).into(), &settings, &line("@cert-authority ", "jump", &key(1))).unwrap_err();
}

#[test]
fn a_key_of_a_kind_that_is_not_allowed_is_refused_whatever_was_announced() {
    let mut settings = settings("jump");
    settings.algorithms.host_keys = Some(vec!["rsa-sha2-512".into()]);
    let shown = key(1).public_key().clone().into();
    let error = verified(&shown, &settings, &line("", "jump", &key(1))).unwrap_err();
    assert!(error.message.contains("HostKeyAlgorithms does not allow"), "{error}");
    settings.algorithms.host_keys = None;
    verified(&shown, &settings, &line("", "jump", &key(1))).unwrap();
}

#[test]
fn an_rsa_key_that_anybody_can_break_is_refused() {
    // 768 bits; ssh-keygen of long ago made such keys.
    let modulus = [&[0, 0, 0, 97, 0, 0xC1][..], &[0x35; 95]].concat();
    let bytes = [&b"\0\0\0\x07ssh-rsa\0\0\0\x03\x01\0\x01"[..], &modulus].concat();
    let small = PublicKey::from_bytes(&bytes).unwrap();
    let known = format!("jump {}\n", small.to_openssh().unwrap());
    let error = verified(&small.into(), &settings("jump"), &known).unwrap_err();
    assert!(error.message.contains("too short"), "{error}");
}

#[test]
fn names_of_strangers_are_escaped() {
    let mut settings = settings("jump");
    settings.host_key_alias = Some("a\u{1b}[2J".into());
    settings.revoked_host_keys = Some("/r\u{1b}c".into());
    let error = KnownHosts::read(&settings, &desk_memory().accepted).unwrap_err();
    assert!(!error.message.contains('\u{1b}'), "{error}");
    let error = verified(&key(1).public_key().clone().into(), &settings, "").unwrap_err();
    assert!(!error.message.contains('\u{1b}') && !error.hint_text().unwrap().contains('\u{1b}'), "{error}");
}

fn desk_memory() -> Arc<crate::ssh::Memory> {
    Arc::default()
}

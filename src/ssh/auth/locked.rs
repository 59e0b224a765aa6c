//! Keys that wait for a passphrase: whether somebody has to be asked, told before anybody logs in.

use std::path::{Path, PathBuf};

use super::keys::{KeyFile, Private};
use crate::ssh::settings::{Method, Settings};

/// A key behind a passphrase, where no other can log in: none without one, and no agent that might have it open.
#[must_use]
pub fn locked_alone(settings: &Settings) -> Option<PathBuf> {
    if settings.agent.is_some() || !settings.methods.contains(&Method::PublicKey) {
        return None;
    }
    let files: Vec<KeyFile> = settings.identities.iter().map(|path| KeyFile::look(path)).collect();
    if files.iter().any(|file| matches!(file.private, Private::Ready(_))) {
        return None;
    }
    files.into_iter().find(|file| matches!(file.private, Private::Locked)).map(|file| file.path)
}

/// Whether the file is a key behind a passphrase.
#[must_use]
pub fn is_locked(file: &Path) -> bool {
    matches!(KeyFile::look(file).private, Private::Locked)
}

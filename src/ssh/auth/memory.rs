//! What a reconnect needs and only a person could tell.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::keys::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::ssh::dial::Left;
use crate::ssh::doors::Before;
use crate::ssh::greeting::{Greeting, Guestbook};
use crate::ssh::host_key::Accepted;
use crate::ssh::relay;

/// What a reconnect needs and only a person could tell: keys taken out of their passphrases, passwords. Kept for the life
/// of the collector, overwritten with zeros at its end.
#[derive(Default)]
pub struct Memory {
    kept: Mutex<Kept>,
    /// Host keys that a person took.
    pub accepted: Accepted,
    /// What the last attempt to connect knows of the way.
    pub left: Left,
    /// The address families of ports that were ours before.
    pub doors: Before,
    /// Relays of connections that were lost.
    pub relays: relay::Before,
    /// What became known of the last server.
    pub book: Guestbook,
}

#[derive(Default)]
struct Kept {
    /// Decrypted keys by their file; they overwrite themselves.
    keys: HashMap<PathBuf, Arc<PrivateKey>>,
    /// By account and prompt; a password that was asked for by the method of that name has none.
    answers: HashMap<(Account, Option<String>), Zeroizing<String>>,
    /// Those that let us in before.
    known: HashSet<Account>,
}

/// Whose answers they are. A host behind another may have the very address of that other, in a network of its own: what
/// one was told is none of the other's business.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    pub hops_before: usize,
    /// `user@host:port`
    pub target: String,
}

/// Nothing of it is for anybody's eyes.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became known of the server that was talked to last.
    #[must_use]
    pub fn greeting(&self) -> Greeting {
        self.book.read()
    }

    /// The key of `file`, if it is still the one that the file's public part names.
    pub fn key(&self, file: &Path, public: Option<&PublicKey>) -> Option<Arc<PrivateKey>> {
        let key = self.kept().keys.get(file).cloned()?;
        public.is_none_or(|p| p.key_data() == key.public_key().key_data()).then_some(key)
    }

    /// For the next login.
    pub fn keep_key(&self, file: &Path, key: Arc<PrivateKey>) {
        self.kept().keys.insert(file.to_owned(), key);
    }

    /// What was answered to `prompt` of `account`; without a prompt the password.
    pub fn answer(&self, account: &Account, prompt: Option<&str>) -> Option<Zeroizing<String>> {
        self.kept().answers.get(&(account.clone(), prompt.map(str::to_owned))).cloned()
    }

    /// For the next login; it was accepted.
    pub fn keep_answer(&self, account: &Account, prompt: Option<&str>, answer: &Zeroizing<String>) {
        self.kept().answers.insert((account.clone(), prompt.map(str::to_owned)), answer.clone());
    }

    /// It was refused: nobody is to try it again.
    pub fn forget_answer(&self, account: &Account, prompt: Option<&str>) {
        self.kept().answers.remove(&(account.clone(), prompt.map(str::to_owned)));
    }

    /// Whether there is anything to answer prompts of `account` with.
    pub fn knows_prompts(&self, account: &Account) -> bool {
        self.kept().answers.keys().any(|(to, prompt)| to == account && prompt.is_some())
    }

    /// Whether `account` let us in before: this is a reconnect.
    pub fn was_in(&self, account: &Account) -> bool {
        self.kept().known.contains(account)
    }

    /// It lets us in.
    pub fn is_in(&self, account: &Account) {
        self.kept().known.insert(account.clone());
    }
}

//! The users: who may log in, and what each may see. A file of this account's configuration, which `reclog web user` changes
//! and a running `reclog web` reads again as soon as it has changed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::kept::Kept;
use super::sight::{Grant, Sight};
use crate::error::{Error, Result, io_reason};

/// Its name in the folder of the configuration.
const FILE: &str = "web.users";
/// Bytes of the longest name.
const LONGEST_NAME: usize = 64;

/// One user, as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The digest of the password, in the string format of the Password Hashing Competition.
    pub password: String,
    /// `COLLECTOR[/STREAM]` that may be seen; none: all.
    #[serde(default)]
    pub streams: Vec<String>,
}

/// All of them, by name.
pub type All = BTreeMap<String, User>;

/// Whether somebody can be called so: what HTTP Basic (RFC 7617) and a shell carry without ado.
#[must_use]
pub fn is_user_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-@+".contains(&b);
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.starts_with('-') && text.bytes().all(fits)
}

/// Where they are kept.
#[must_use]
pub fn file(config: &Path) -> PathBuf {
    config.join(FILE)
}

/// Reads `path`; none when it does not exist.
///
/// # Errors
/// When it cannot be read, or others may.
pub fn read(path: &Path) -> Result<All> {
    let failed =
        |why: &dyn std::fmt::Display| Error::failed(format!("cannot read the users in {}: {why}", path.display()));
    let text = match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(All::new()),
        read => read.map_err(|e| failed(&io_reason(&e)))?,
    };
    let meta = fs::metadata(path).map_err(|e| failed(&io_reason(&e)))?;
    if meta.mode() & 0o077 != 0 {
        return Err(failed(&"others may read it").hint(format!("`chmod 600 {}`", path.display())));
    }
    let all: All = serde_json::from_slice(&text).map_err(|e| failed(&e))?;
    for (name, user) in &all {
        if !is_user_name(name) {
            return Err(failed(&format!("{} is no name of a user", crate::escape::escape_str(name))));
        }
        grants(&user.streams).map_err(|why| failed(&why))?;
    }
    Ok(all)
}

/// What `texts` grant.
///
/// # Errors
/// One sentence.
pub fn grants(texts: &[String]) -> std::result::Result<Vec<Grant>, String> {
    texts.iter().map(|text| Grant::parse(text)).collect()
}

/// Lets `change` change what is kept in `config`; others who do so at the same time wait.
///
/// # Errors
/// Those of `change`, of reading and of writing: all is as it was then.
pub fn change<T>(config: &Path, change: impl FnOnce(&mut All) -> Result<T>) -> Result<T> {
    let path = file(config);
    let failed = |e: &io::Error| Error::failed(format!("cannot write {}: {}", path.display(), io_reason(e)));
    // The folder is there before and after; the file itself is replaced.
    let kept = Kept::lock(config).map_err(|e| failed(&e))?;
    let mut all = read(&path)?;
    let done = change(&mut all)?;
    let text = serde_json::to_string_pretty(&all).map_err(|e| Error::failed(format!("cannot write the users: {e}")))?;
    kept.write(FILE, &format!("{text}\n")).map_err(|e| failed(&e))?;
    Ok(done)
}

/// Somebody who was let in, for as long as nothing changes.
#[derive(Debug, Clone)]
pub struct Pass {
    /// What may be seen.
    pub sight: Sight,
    /// Ends when the user is gone, or has another password or other streams.
    pub until: CancellationToken,
}

impl Pass {
    /// Of somebody without a name, for ever.
    #[must_use]
    pub fn nameless() -> Self {
        Self { sight: Sight::whole(), until: CancellationToken::new() }
    }
}

/// The users of a running `reclog web`.
#[derive(Debug)]
pub struct Users {
    path: PathBuf,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    stamp: Option<Stamp>,
    all: All,
    passes: BTreeMap<String, Pass>,
}

/// Device, inode, length and time of the last change, in nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

impl Users {
    /// Those in `config`.
    ///
    /// # Errors
    /// As [`read`].
    pub fn open(config: &Path) -> Result<Self> {
        let path = file(config);
        let users = Self { read: Mutex::new(Read { stamp: stamp(&path), all: read(&path)?, ..Read::default() }), path };
        Ok(users)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.look().all.is_empty()
    }

    /// The stored password of `name`.
    #[must_use]
    pub fn password(&self, name: &str) -> Option<String> {
        self.look().all.get(name).map(|user| user.password.clone())
    }

    /// Lets `name` in, whose stored password was `password` a moment ago.
    #[must_use]
    pub fn pass(&self, name: &str, password: &str) -> Option<Pass> {
        let mut read = self.look();
        let user = read.all.get(name).filter(|user| user.password == password)?;
        let sight = Sight::of(name, &grants(&user.streams).ok()?);
        let pass = read.passes.entry(name.to_owned());
        Some(pass.or_insert_with(|| Pass { sight, until: CancellationToken::new() }).clone())
    }

    /// Reads them again if they have changed, which ends what is open of those that did. A file that cannot be read has no users.
    pub fn refresh(&self) {
        drop(self.look());
    }

    fn look(&self) -> MutexGuard<'_, Read> {
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.path);
        if known.stamp != stamp {
            let all = read(&self.path).unwrap_or_default();
            let Read { all: before, passes, .. } = &mut *known;
            passes.retain(|name, pass| {
                let same = all.get(name) == before.get(name);
                if !same {
                    pass.until.cancel();
                }
                same
            });
            known.all = all;
            known.stamp = stamp;
        }
        known
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn add(config: &Path, name: &str, password: &str, streams: &[&str]) {
        let streams = streams.iter().map(|text| (*text).to_owned()).collect();
        let user = User { password: password.into(), streams };
        change(config, |all| Ok(all.insert(name.into(), user))).unwrap();
    }

    #[test]
    fn a_change_acts_at_once_and_ends_what_is_open_of_that_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("new");
        add(&config, "ann", "1", &["home/main"]);
        add(&config, "bob", "2", &[]);
        let users = Users::open(&config).unwrap();
        let (ann, bob) = (users.pass("ann", "1").unwrap(), users.pass("bob", "2").unwrap());
        assert!(ann.sight.sees("home", "main") && !ann.sight.sees("home", "web") && bob.sight.sees("home", "web"));
        assert!(users.pass("ann", "2").is_none() && users.pass("eve", "").is_none());
        add(&config, "ann", "1", &["home"]);
        users.refresh();
        assert!(ann.until.is_cancelled() && !bob.until.is_cancelled());
        let ann = users.pass("ann", "1").unwrap();
        assert!(ann.sight.sees("home", "web") && !ann.until.is_cancelled());
        change(&config, |all| Ok(all.remove("ann"))).unwrap();
        assert!(users.pass("ann", "1").is_none() && ann.until.is_cancelled());
        fs::remove_file(file(&config)).unwrap();
        assert!(users.is_empty() && bob.until.is_cancelled());
    }

    #[test]
    fn what_is_kept_is_for_nobody_else_to_read_and_a_broken_file_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path();
        assert!(read(&file(config)).unwrap().is_empty());
        add(config, "ann", "1", &[]);
        assert_eq!(fs::metadata(file(config)).unwrap().mode() & 0o777, 0o600);
        let users = Users::open(config).unwrap();
        fs::set_permissions(file(config), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&file(config)).unwrap_err().message.contains("others may read it"));
        fs::set_permissions(file(config), fs::Permissions::from_mode(0o600)).unwrap();
        for text in ["{", "{\"a b\":{\"password\":\"x\"}}", "{\"ann\":{\"password\":\"1\",\"streams\":[\"a/b/c\"]}}"] {
            fs::write(file(config), text).unwrap();
            assert!(read(&file(config)).is_err() && users.pass("ann", "1").is_none(), "{text}");
            assert!(change(config, |_| Ok(())).is_err(), "nothing is written over what cannot be read");
        }
    }

    #[test]
    fn two_who_change_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let config = folder.path();
                scope.spawn(move || add(config, &format!("user{n}"), "x", &[]));
            }
        });
        assert_eq!(read(&file(folder.path())).unwrap().len(), 8);
    }

    #[test]
    fn names_are_what_a_shell_and_http_carry() {
        for name in ["ann", "ann.b@example.org", "A-1_+"] {
            assert!(is_user_name(name), "{name}");
        }
        let long = "x".repeat(65);
        for name in ["", "a b", "a:b", "-a", "ä", "a\n", long.as_str()] {
            assert!(!is_user_name(name), "{name}");
        }
    }
}

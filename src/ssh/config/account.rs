//! What the system knows about us: account, machine, services.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::User;

use crate::error::{Error, Result};

/// Who runs reclog; looked up when it is asked for.
#[derive(Debug, Default)]
pub struct Account(OnceCell<User>);

impl Account {
    /// The account of the user number.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self) -> Result<&User> {
        if let Some(user) = self.0.get() {
            return Ok(user);
        }
        let uid = nix::unistd::getuid();
        match User::from_uid(uid) {
            Ok(Some(user)) => Ok(self.0.get_or_init(|| user)),
            _ => Err(Error::failed(format!("no account has your user number {uid}")).hint("name the user: USER@HOST")),
        }
    }

    /// `~/.ssh` as ssh finds it: by the account, not by `$HOME`.
    ///
    /// # Errors
    /// When there is no account.
    pub fn ssh_home(&self) -> Result<PathBuf> {
        Ok(self.get()?.dir.join(".ssh"))
    }

    /// `~`, `~/…` and `~user/…` at the beginning of `path` replaced by the home folder of the account.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn expand_tilde(&self, path: &str) -> Result<PathBuf> {
        let Some(rest) = path.strip_prefix('~') else { return Ok(path.into()) };
        let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let home = if name.is_empty() {
            self.get()?.dir.clone()
        } else {
            let found = User::from_name(name).ok().flatten();
            let shown = crate::escape::escape_str(name);
            found
                .ok_or_else(|| Error::usage(format!("there is no user `{shown}`, whose home `~{shown}` would be")))?
                .dir
        };
        Ok(home.join(rest.trim_start_matches('/')))
    }
}

/// The name of this machine, as `gethostname` has it.
#[must_use]
pub fn machine() -> String {
    nix::unistd::gethostname().map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned())
}

/// The TCP port of a service of `/etc/services`.
#[must_use]
pub fn service(name: &str) -> Option<u16> {
    let table = std::fs::read_to_string("/etc/services").ok()?;
    table.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let (first, port) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
        (first == name || words.any(|alias| alias == name)).then(|| port.parse().ok())?
    })
}

/// An environment variable, as text.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value: OsString| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Whether nobody but `uid` and root can have written `file`: it belongs to one of them, and others may not write.
/// A group may, when the owner alone is in it.
#[must_use]
pub fn is_ours(meta: &std::fs::Metadata, uid: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let owner = meta.uid() == uid || meta.uid() == 0;
    let group = meta.mode() & 0o020 == 0 || is_private_group(meta.gid(), uid);
    owner && group && meta.mode() & 0o002 == 0
}

/// Whether the account `uid` alone is in group `gid`. Debian's ssh lets such groups write.
fn is_private_group(gid: u32, uid: u32) -> bool {
    let Ok(Some(group)) = nix::unistd::Group::from_gid(gid.into()) else { return false };
    let Ok(Some(user)) = User::from_uid(uid.into()) else { return false };
    let Ok(accounts) = std::fs::read_to_string(Path::new("/etc/passwd")) else { return false };
    let others = accounts.lines().filter(|line| {
        let mut fields = line.split(':').skip(2);
        let id = fields.next().and_then(|id| id.parse().ok());
        id != Some(uid) && fields.next().and_then(|id| id.parse().ok()) == Some(gid)
    });
    let member = user.gid.as_raw() == gid || group.mem.contains(&user.name);
    member && others.count() == 0 && group.mem.iter().all(|name| *name == user.name)
}

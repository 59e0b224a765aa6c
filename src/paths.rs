//! Where reclog keeps its things: configuration, state and runtime folders, and the files in them.
//!
//! `RECLOG_CONFIG_DIR`, `RECLOG_STATE_DIR` and `RECLOG_RUNTIME_DIR` replace the folders one by one.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use directories::BaseDirs;

use crate::error::{Error, Result, io_reason};

/// Bytes that a socket path may have, terminating NUL excluded (`sun_path`, unix(7); macOS has 104 with the NUL).
const MAX_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Services of the machine have folders of their names in these.
pub const SYSTEM_RUNTIME: &str = "/run/reclog";
/// As [`SYSTEM_RUNTIME`], for what stays.
pub const SYSTEM_STATE: &str = "/var/lib/reclog";

/// The three folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `<config>/reclog`
    pub config: PathBuf,
    /// `<state>/reclog`
    pub state: PathBuf,
    /// `<runtime>/reclog`, or `<state>/reclog/run` where there is no runtime folder.
    pub runtime: PathBuf,
}

impl Paths {
    /// The folders of this user and environment.
    ///
    /// # Errors
    /// When there is no home directory and not all three are given by the environment.
    pub fn discover() -> Result<Self> {
        let given = |key: &str| env::var_os(key).filter(|v| !v.is_empty()).map(|v| absolute(Path::new(&v)));
        let base = BaseDirs::new();
        let need = |key: &str| {
            Error::failed("cannot find your home directory")
                .hint(format!("set HOME, or {key} to a folder that reclog may use"))
        };
        let config = given("RECLOG_CONFIG_DIR")
            .or_else(|| base.as_ref().map(|b| b.config_dir().join("reclog")))
            .ok_or_else(|| need("RECLOG_CONFIG_DIR"))?;
        let state = given("RECLOG_STATE_DIR")
            .or_else(|| base.as_ref().map(|b| b.state_dir().unwrap_or_else(|| b.data_local_dir()).join("reclog")))
            .ok_or_else(|| need("RECLOG_STATE_DIR"))?;
        let runtime = given("RECLOG_RUNTIME_DIR")
            .or_else(|| base.as_ref().and_then(BaseDirs::runtime_dir).map(|dir| dir.join("reclog")))
            .unwrap_or_else(|| state.join("run"));
        Ok(Self { config, state, runtime })
    }

    /// `<config>/profiles`
    #[must_use]
    pub fn profiles(&self) -> PathBuf {
        self.config.join("profiles")
    }

    /// The profile called `name`.
    #[must_use]
    pub fn profile(&self, name: &str) -> PathBuf {
        self.profiles().join(format!("{name}.yaml"))
    }

    /// The folders in which collectors may run that are ours to talk to, this environment's first. A collector started from cron
    /// has no runtime folder and uses the one below the state; a service of the machine has one of its own. Where
    /// `RECLOG_RUNTIME_DIR` names a folder, services are no business of ours.
    #[must_use]
    pub fn runtimes(&self) -> Vec<PathBuf> {
        let mut all = vec![self.runtime.clone()];
        let mut add = |folder: PathBuf| {
            if !all.contains(&folder) {
                all.push(folder);
            }
        };
        add(self.state.join("run"));
        if is_free("RECLOG_RUNTIME_DIR") {
            Some(own_runtime().join("reclog")).filter(|folder| folder.is_dir()).map(&mut add);
            inside(SYSTEM_RUNTIME).into_iter().for_each(add);
        }
        all
    }

    /// The folders that may hold logs and trails of collectors, this environment's first; see [`runtimes`](Self::runtimes).
    #[must_use]
    pub fn states(&self) -> Vec<PathBuf> {
        let services = if is_free("RECLOG_STATE_DIR") { inside(SYSTEM_STATE) } else { Vec::new() };
        [self.state.clone()].into_iter().chain(services).collect()
    }

    /// The control socket of the collector `name`.
    ///
    /// # Errors
    /// When the path does not fit into a socket address.
    pub fn socket(&self, name: &str) -> Result<PathBuf> {
        let path = self.runtime.join(format!("{name}.sock"));
        let length = path.as_os_str().as_bytes().len();
        if length > MAX_SOCKET_PATH {
            return Err(Error::failed(format!(
                "cannot place the control socket at {}: the path has {length} bytes and a socket path at most {MAX_SOCKET_PATH}",
                path.display()
            ))
            .hint("set RECLOG_RUNTIME_DIR to a shorter folder, or give a shorter --name"));
        }
        Ok(path)
    }

    /// The lock that the running collector `name` holds.
    #[must_use]
    pub fn lock(&self, name: &str) -> PathBuf {
        self.runtime.join(format!("{name}.lock"))
    }

    /// The folder of the collector's own log and audit trail.
    #[must_use]
    pub fn collector_state(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }
}

/// Whether the environment does not say where that folder is.
fn is_free(key: &str) -> bool {
    env::var_os(key).is_none_or(|value| value.is_empty())
}

/// The folders in `folder` that we may read; those of other accounts are shut.
fn inside(folder: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    all.retain(|path| std::fs::read_dir(path).is_ok());
    all.sort();
    all
}

/// Where logind makes this user's runtime folder.
fn own_runtime() -> PathBuf {
    PathBuf::from(format!("/run/user/{}", rustix::process::getuid().as_raw()))
}

/// Makes `dir` and its parents, mode 0700, and refuses a folder of another user or that others may write to:
/// they could swap our sockets.
///
/// # Errors
/// When it cannot be made, is not a folder, or belongs to someone else.
pub fn ensure_private_dir(dir: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| Error::failed(format!("cannot create the folder {}: {}", dir.display(), io_reason(&e))))?;
    let meta = std::fs::metadata(dir)
        .map_err(|e| Error::failed(format!("cannot look at the folder {}: {}", dir.display(), io_reason(&e))))?;
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me && me != 0 {
        return Err(Error::failed(format!("the folder {} belongs to user {}, not to you", dir.display(), meta.uid()))
            .hint("set RECLOG_RUNTIME_DIR and RECLOG_STATE_DIR to folders of your own"));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(Error::failed(format!(
            "others may write to the folder {} (mode {:04o})",
            dir.display(),
            meta.mode() & 0o7777
        ))
        .hint(format!("chmod 700 {}", dir.display())));
    }
    Ok(())
}

/// What stands before the name of a credential, where else a path would.
const CREDENTIAL: &str = "credential:";
/// Where the service manager puts them: systemd.exec(5), Credentials.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// The name in `credential:NAME`; `None` for what is a path.
///
/// # Errors
/// What is wrong with the name, a sentence: no credential is called that.
#[must_use]
pub fn credential(written: &str) -> Option<std::result::Result<&str, String>> {
    let name = written.strip_prefix(CREDENTIAL)?;
    // As systemd has it: a file name that can be one of a descriptor, too.
    let wrong = match name {
        "" => "it has no name",
        "." | ".." => "that is a folder",
        _ if name.contains('/') => "a name has no slash; it is a file of $CREDENTIALS_DIRECTORY itself",
        _ if name.contains(':') || name.contains(char::is_control) => "a name has no colon and no control character",
        _ if name.len() > 255 => "the name is longer than 255 bytes",
        _ => return Some(Ok(name)),
    };
    Some(Err(format!("`{}` names no credential: {wrong}", crate::escape::escape_str(written))))
}

/// Where the secret lies that a plan names by a path or as `credential:NAME`, and whether it is a credential.
///
/// # Errors
/// Why there is no such credential, and what to do: two sentences.
pub fn secret(named: &Path) -> std::result::Result<(PathBuf, bool), (String, String)> {
    let Some(name) = named.to_str().and_then(credential) else { return Ok((named.to_owned(), false)) };
    let name = name.map_err(|why| (why, "credential:NAME, as in LoadCredential=NAME:PATH of a unit".to_owned()))?;
    let loads = format!("LoadCredential={name}:PATH in the unit brings it; or name a file");
    let Some(folder) = env::var_os(CREDENTIALS_DIRECTORY).filter(|folder| !folder.is_empty()) else {
        let why =
            format!("the credential {name} is not there: ${CREDENTIALS_DIRECTORY} is not set, as it is in a service");
        return Err((why, loads));
    };
    let file = absolute(Path::new(&folder)).join(name);
    match std::fs::symlink_metadata(&file) {
        Ok(_) => Ok((file, true)),
        Err(e) => Err((
            format!("there is no credential {name} in {}: {}", Path::new(&folder).display(), io_reason(&e)),
            loads,
        )),
    }
}

/// `path` made absolute against the working directory, without touching the disk.
#[must_use]
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// `~` and `~/…` at the beginning of `path` replaced by `$HOME`; everything else as it is.
#[must_use]
pub fn expand_tilde(path: &str) -> PathBuf {
    let home = || env::var_os("HOME").filter(|h| !h.is_empty()).map(PathBuf::from);
    match (path, path.strip_prefix("~/")) {
        ("~", _) => home().unwrap_or_else(|| path.into()),
        (_, Some(rest)) => home().map_or_else(|| path.into(), |h| h.join(rest)),
        _ => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(runtime: &str) -> Paths {
        Paths { config: "/c".into(), state: "/s".into(), runtime: runtime.into() }
    }

    #[test]
    fn a_runtime_path_too_long_for_a_socket_is_refused_with_the_way_out() {
        let error = paths(&format!("/{}", "r".repeat(120))).socket("x").unwrap_err();
        assert_eq!(error.kind.exit_code(), 1);
        assert!(error.hint_text().unwrap().contains("RECLOG_RUNTIME_DIR"), "{error:?}");
        let fits = format!("/{}", "r".repeat(MAX_SOCKET_PATH - 1 - "/x.sock".len()));
        assert!(paths(&fits).socket("x").is_ok());
        assert!(paths(&fits).socket("xy").is_err());
    }

    #[test]
    fn a_credential_has_a_name_that_stays_in_its_folder() {
        assert_eq!(credential("credential:key.1"), Some(Ok("key.1")));
        assert_eq!(credential("/a/credential:key"), None);
        let long = "x".repeat(256);
        for wrong in ["", ".", "..", "a/b", "../b", "a:b", "a\nb", long.as_str()] {
            assert!(credential(&format!("credential:{wrong}")).unwrap().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_no_credential_is_a_path() {
        assert_eq!(secret(Path::new("/a/b")), Ok(("/a/b".into(), false)));
        // Tests run in no service.
        let (why, hint) = secret(Path::new("credential:key")).unwrap_err();
        assert!(why.contains("$CREDENTIALS_DIRECTORY") && hint.contains("LoadCredential=key:"), "{why}; {hint}");
    }

    #[test]
    fn collectors_without_a_runtime_folder_are_looked_for_too() {
        // This machine may have services.
        assert_eq!(paths("/r").runtimes()[..2], [PathBuf::from("/r"), "/s/run".into()]);
        assert_eq!(paths("/s/run").runtimes()[0], PathBuf::from("/s/run"));
        assert!(!paths("/s/run").runtimes()[1..].contains(&"/s/run".into()));
    }
}

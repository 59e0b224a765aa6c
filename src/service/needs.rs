//! What a collector touches, and how much of the file system its service gets to see; pure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the service of a profile needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Folders that it writes: those of its outputs and of its sockets. Absolute.
    pub writes: Vec<PathBuf>,
    /// Files that it reads: profile, keys, known hosts, keywords. Absolute; some may not exist.
    pub reads: Vec<PathBuf>,
    /// It opens a port below 1024 on this machine.
    pub low_port: bool,
    /// It runs commands that somebody wrote: `exec:` outputs, a `ProxyCommand`.
    pub commands: bool,
    /// How long a drain may take.
    pub drain: Duration,
    /// Credentials that the manager hands over.
    pub credentials: Vec<String>,
}

/// Folders of everybody's own things: hidden from a system service but for what it needs.
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// What a system service sees of the file system.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The home folder, where it lies outside the usual places and is to be hidden, too.
    pub hide: Option<PathBuf>,
    /// Folders to write that lie where all is hidden.
    pub bound: BTreeSet<PathBuf>,
    /// Folders to write that lie elsewhere.
    pub writable: BTreeSet<PathBuf>,
    /// Folders and files to read that lie where all is hidden.
    pub shown: BTreeSet<PathBuf>,
    /// Whether the folders of temporary files are its own.
    pub private_tmp: bool,
}

/// What a service of the account with this `home` sees.
#[must_use]
pub fn view(needs: &Needs, program: &Path, home: &Path) -> View {
    let is_deep = |path: &Path| path.components().count() > 2;
    let usual = HIDDEN.iter().any(|hidden| home.starts_with(hidden));
    let hide = (!usual && is_deep(home)).then(|| home.to_owned());
    let hidden = |path: &Path| {
        HIDDEN.iter().any(|hidden| path.starts_with(hidden))
            || hide.as_deref().is_some_and(|home| path.starts_with(home))
    };
    let (bound, writable): (BTreeSet<_>, _) = needs.writes.iter().cloned().partition(|folder| hidden(folder));
    // A folder, for what is replaced by renaming is a new file: a file that is bound would stay the old one. But not a folder
    // with everybody's things.
    let exposed = |path: &PathBuf| match path.parent() {
        Some(folder) if folder != home && !HIDDEN.iter().any(|all| Path::new(all).starts_with(folder)) => {
            folder.to_owned()
        }
        _ => path.clone(),
    };
    let shown = needs.reads.iter().filter(|path| hidden(path)).map(exposed);
    let program = hidden(program).then(|| program.to_owned());
    let shown: BTreeSet<PathBuf> = shown.chain(program).filter(|path| !bound.contains(path)).collect();
    // A folder shows what lies in it.
    let inside = |path: &PathBuf| shown.iter().any(|other| other != path && path.starts_with(other));
    let shown = shown.iter().filter(|path| !inside(path)).cloned().collect();
    let private_tmp = ![Path::new("/tmp"), Path::new("/var/tmp")].iter().any(|tmp| bound.contains(*tmp));
    View { hide, bound, writable, shown, private_tmp }
}

/// The folder with which a service writes all of `home`: an output lies in it, or in one above.
#[must_use]
pub fn opens<'a>(needs: &'a Needs, home: &Path) -> Option<&'a Path> {
    // Of an account without a home there is nothing to guard.
    let home = Some(home).filter(|home| home.parent().is_some())?;
    needs.writes.iter().map(PathBuf::as_path).find(|folder| home.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(writes: &[&str], reads: &[&str], home: &str) -> View {
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect();
        let needs = Needs { writes: paths(writes), reads: paths(reads), ..Needs::default() };
        view(&needs, Path::new("/usr/bin/reclog"), Path::new(home))
    }

    fn set(all: &[&str]) -> BTreeSet<PathBuf> {
        all.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn of_a_home_only_what_is_needed_is_seen() {
        let view = seen(
            &["/home/log/logs", "/srv/logs"],
            &["/home/log/.ssh/id", "/home/log/.ssh/known_hosts", "/home/log/word", "/etc/ssh/ssh_known_hosts"],
            "/home/log",
        );
        assert_eq!(view.bound, set(&["/home/log/logs"]));
        assert_eq!(view.writable, set(&["/srv/logs"]));
        assert_eq!(view.shown, set(&["/home/log/.ssh", "/home/log/word"]));
        assert!(view.private_tmp && view.hide.is_none());
    }

    #[test]
    fn a_home_elsewhere_is_hidden_like_any_other() {
        let view = seen(&["/var/lib/log/out"], &["/var/lib/log/.ssh/id"], "/var/lib/log");
        assert_eq!(view.hide, Some("/var/lib/log".into()));
        assert_eq!((view.bound, view.shown), (set(&["/var/lib/log/out"]), set(&["/var/lib/log/.ssh"])));
        // Hiding the root, or all of /srv, would hide too much.
        assert_eq!(seen(&[], &[], "/").hide, None);
        assert_eq!(seen(&[], &[], "/nonexistent").hide, None);
    }

    #[test]
    fn an_output_that_opens_a_whole_home_is_noticed() {
        let opens = |folder: &str, home: &str| {
            let needs = Needs { writes: vec!["/srv/log".into(), folder.into()], ..Needs::default() };
            opens(&needs, Path::new(home)).map(Path::to_owned)
        };
        for folder in ["/home/log", "/home", "/"] {
            assert_eq!(opens(folder, "/home/log"), Some(folder.into()));
        }
        for (folder, home) in [("/home/log/logs", "/home/log"), ("/home/logger", "/home/log"), ("/", "/")] {
            assert_eq!(opens(folder, home), None, "{folder} and {home}");
        }
    }

    #[test]
    fn everybodys_folders_are_never_shown_whole() {
        let view = seen(&["/tmp"], &["/home/word", "/run/user/1000/agent", "/tmp/a/key", "/tmp/a/b/key"], "/home/log");
        assert_eq!(view.shown, set(&["/home/word", "/run/user/1000", "/tmp/a"]));
        assert!(!view.private_tmp);
    }
}

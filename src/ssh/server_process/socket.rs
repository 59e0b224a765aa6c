//! The script that looks at a Unix socket of the jump host, and takes a leftover away. Pure.
//!
//! sshd binds the socket as a file, and leaves the file when it stops listening: the next bind fails. A leftover is a socket
//! of this very account on which nobody listens; nothing else is ever touched. The rules of `script` hold here, too.

/// The most that the script may print beside what the account says.
pub const LONGEST_OUTPUT: usize = 4096;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// Nothing, and a socket could be made.
    Nothing,
    /// It was a leftover, and is gone.
    Removed,
    /// A leftover.
    Stale,
    /// A socket on which somebody listens, or it cannot be told whether anybody does.
    Live,
    /// A socket of another account.
    Foreign,
    /// A file that is no socket.
    Other,
    /// There is no such folder.
    NoFolder,
    /// The account may not write to the folder.
    Closed,
}

/// What the script said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub there: There,
    /// Whether other accounts may connect to it.
    pub wide: bool,
}

/// What is to be done at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Who may connect is all that is asked: nobody connects to find out whether anybody listens, for a socket of ours would
    /// take that for a sender.
    Mode,
    /// Whether it is a leftover.
    See,
    /// A leftover is taken away.
    Remove,
}

/// Whether anybody listens is asked of the socket itself, where Python or Perl can do that. Else the kernel's list has to do
/// (proc(5)): a folder has many names, and whoever renames a socket into its place (reclog does) stands there with the name
/// that it had before, mostly one with a dot.
const LOOK: &str = r#"set -f; exec 2>/dev/null </dev/null; P=PATH; D=${P%/*}; D=${D:-/}; \
real() { (cd -P "$1" && pwd -P); }; \
listed() { [ -r /proc/net/unix ] || return 0; H=$(real $D); \
while read -r a b c d e f g p; do [ "$d" = 00010000 ] || continue; \
case ${p##*/} in "${P##*/}"|.*) ;; *) continue;; esac; \
case $p in /*) ;; *) return 0;; esac; o=${p%/*}; [ "$(real "${o:-/}")" = "$H" ] && return 0; done </proc/net/unix; return 1; }; \
live() { python3 -c "import errno,socket,sys; s=socket.socket(socket.AF_UNIX); s.settimeout(2); \
sys.exit(7 if s.connect_ex(sys.argv[1])==errno.ECONNREFUSED else 9)" $P; \
case $? in 7) return 1;; 9) return 0;; esac; \
perl -MSocket -MPOSIX -e "alarm 2; socket(S,PF_UNIX,SOCK_STREAM,0); exit 9 if connect(S,sockaddr_un(shift)); \
exit(POSIX::errno()==POSIX::ECONNREFUSED()?7:9)" $P; \
case $? in 7) return 1;; 9|14*) return 0;; esac; listed; }; \
r=nothing; m=-; \
if [ -L $P ]; then r=other; elif [ -S $P ]; then set -- $(ls -ld $P); m=$1; \
if [ -O $P ]; then if [ DO = mode ] || live; then r=live; elif [ DO = remove ]; then rm -f $P; r=removed; [ -S $P ] && r=stale; \
else r=stale; fi; else r=foreign; fi; elif [ -e $P ]; then r=other; \
elif [ -d $D ]; then [ -w $D ] || r=closed; else r=nofolder; fi; "#;

/// The command that looks at `path`. `None`: the path cannot be written so that
/// every login shell takes it for what it is.
#[must_use]
pub fn command(mark: &str, path: &str, look: Look) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-' | b'+' | b'@' | b':' | b',');
    if !path.starts_with('/') || !path.bytes().all(plain) {
        return None;
    }
    let action = match look {
        Look::Mode => "mode",
        Look::See => "see",
        Look::Remove => "remove",
    };
    // The path last: nothing in it is to be taken for one of the other words.
    let script = LOOK.replace("\\\n", "").replace("DO", action).replacen("PATH", path, 1);
    Some(format!("exec /bin/sh -c '{script}echo {mark} socket $r $m'"))
}

/// Reads the line of the script among what the account says on its own; `None` while it is not there.
#[must_use]
pub fn parse(output: &[u8], mark: &str) -> Option<Seen> {
    output.split_inclusive(|b| *b == b'\n').find_map(|line| {
        let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
        let words: Vec<&str> = line.split(' ').collect();
        let [first, "socket", there, mode] = words[..] else { return None };
        if first != mark {
            return None;
        }
        let there = match there {
            "nothing" => There::Nothing,
            "removed" => There::Removed,
            "stale" => There::Stale,
            "live" => There::Live,
            "foreign" => There::Foreign,
            "other" => There::Other,
            "nofolder" => There::NoFolder,
            "closed" => There::Closed,
            _ => return None,
        };
        // As ls(1) writes it: `srw-------`, and maybe a sign for access lists. Connecting needs the right to write.
        let mode = mode.as_bytes();
        Some(Seen { there, wide: mode.get(5) == Some(&b'w') || mode.get(8) == Some(&b'w') })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::process::Command;

    /// What a shell says of `path`.
    fn run(shell: &str, path: &Path, remove: bool) -> Seen {
        run_without(shell, path, remove, &[])
    }

    /// The same where these programs are missing.
    fn run_without(shell: &str, path: &Path, remove: bool, missing: &[&str]) -> Seen {
        let mut command = command("m1", path.to_str().unwrap(), if remove { Look::Remove } else { Look::See }).unwrap();
        for program in missing {
            command = command.replace(&format!("{program} -"), "rl-no-such-program -");
        }
        let output = Command::new(shell).args(["-c", &command]).output().unwrap();
        parse(&output.stdout, "m1").unwrap_or_else(|| panic!("{shell}: {output:?}"))
    }

    #[test]
    fn every_shell_takes_leftovers_away_and_nothing_else() {
        let there = |shell: &&str| Command::new(shell).args(["-c", "true"]).status().is_ok();
        for shell in ["sh", "bash", "zsh", "fish", "tcsh"].into_iter().filter(there) {
            let dir = tempfile::Builder::new().prefix("rl-").tempdir_in("/tmp").unwrap();
            let path = dir.path().join("log.sock");
            let seen = |remove| run(shell, &path, remove);
            assert_eq!(seen(true), Seen { there: There::Nothing, wide: false }, "{shell}");
            let listener = UnixListener::bind(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(seen(true), Seen { there: There::Live, wide: false }, "{shell}");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
            assert_eq!(seen(false), Seen { there: There::Live, wide: true }, "{shell}");
            drop(listener);
            assert_eq!(seen(false).there, There::Stale, "{shell}");
            assert_eq!(seen(true).there, There::Removed, "{shell}");
            assert!(!path.exists());
            std::fs::write(&path, "").unwrap();
            assert_eq!(seen(true).there, There::Other, "{shell}");
            std::fs::remove_file(&path).unwrap();
            drop(UnixListener::bind(dir.path().join("elsewhere")).unwrap());
            std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
            assert_eq!(seen(true).there, There::Other, "{shell}: a link leads to what is not ours to remove");
            assert_eq!(run(shell, &dir.path().join("no/log.sock"), true).there, There::NoFolder, "{shell}");
            assert!(run(shell, Path::new("/rl-no-such.sock"), false).there != There::NoFolder, "{shell}");
            if rustix::process::geteuid().is_root() {
                std::fs::remove_file(&path).unwrap();
                drop(UnixListener::bind(&path).unwrap());
                std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
                assert_eq!(seen(true).there, There::Foreign, "{shell}");
                assert!(path.exists());
            }
        }
    }

    #[test]
    fn whoever_listens_is_seen_with_perl_and_by_the_list_of_the_kernel_too() {
        let dir = tempfile::Builder::new().prefix("rl-").tempdir_in("/tmp").unwrap();
        let (path, link) = (dir.path().join("log.sock"), dir.path().join("link"));
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        let other = dir.path().join("other");
        std::fs::create_dir(&other).unwrap();
        let _other = UnixListener::bind(other.join("log.sock")).unwrap();
        for missing in [&["python3"][..], &["python3", "perl"]] {
            let _ = std::fs::remove_file(&path);
            let listener = UnixListener::bind(&path).unwrap();
            for name in [&path, &link.join("log.sock")] {
                assert_eq!(run_without("sh", name, true, missing).there, There::Live, "{missing:?} {name:?}");
            }
            drop(listener);
            assert_eq!(run_without("sh", &path, true, missing).there, There::Removed, "{missing:?}");
            let early = dir.path().join(".early");
            let listener = UnixListener::bind(&early).unwrap();
            std::fs::rename(&early, &path).unwrap();
            assert_eq!(run_without("sh", &path, true, missing).there, There::Live, "{missing:?}: it was renamed");
            drop(listener);
        }
    }

    #[test]
    fn a_path_never_becomes_a_command() {
        for bad in ["/a b", "/a'b", "/$(id)", "/a;b", "/a`b", "/a\\b", "/a!b", "/a*", "/~a", "/é", "/a\"b", "a"] {
            assert_eq!(command("m1", bad, Look::Remove), None, "{bad}");
        }
        let text = command("m1", "/run/user/1000/log.sock", Look::Remove).unwrap();
        let inner = text.strip_prefix("exec /bin/sh -c '").and_then(|t| t.strip_suffix('\'')).unwrap();
        assert!(!inner.contains(['\'', '\\', '!', '\n']), "{inner}");
        assert!(command("m1", "/DO/PATH/MARK", Look::See).unwrap().contains("P=/DO/PATH/MARK;"));
    }

    #[test]
    fn noise_is_no_answer() {
        assert_eq!(parse(b"m2 socket live -\nm1 socket what -\nm1 socket live", "m1"), None);
        let said = parse(b"hello\nm1 socket stale srwxrwxrwx+\n", "m1").unwrap();
        assert_eq!(said, Seen { there: There::Stale, wide: true });
    }
}

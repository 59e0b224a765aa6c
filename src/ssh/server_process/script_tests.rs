//! The scripts in real shells, below processes that are called like a server.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::ssh::server_process::identity::{Fate, Said};

const MARK: &str = "reclog-0123";

/// A process that a test started. `Drop` ends it.
struct Old(Child);

impl Old {
    /// `sleep`, called `name`.
    fn start(folder: &Path, name: &str) -> Self {
        Self::start_as(folder, name, None)
    }

    fn start_as(folder: &Path, name: &str, user: Option<u32>) -> Self {
        let mut command = Command::new(called(folder, name, "sleep"));
        command.arg("1000").stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(user) = user {
            command.uid(user);
        }
        Self(command.spawn().unwrap())
    }

    /// As the script would find it.
    fn identity(&self, like: &Identity) -> Identity {
        let entry = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let start = entry.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
        Identity { pid: self.0.id(), start, ..like.clone() }
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/bin".into(), "/usr/bin".into()]);
    places.map(|place| place.join(program)).find(|file| file.is_file())
}

/// A program under another name: a process is called like the file that it was started from.
fn called(folder: &Path, name: &str, program: &str) -> PathBuf {
    let link = folder.join(name);
    if !link.exists() {
        std::os::unix::fs::symlink(which(program).unwrap(), &link).unwrap();
    }
    link
}

/// What `command` says when a server called `server` has `shell` run it; and the server's number.
fn said_in(folder: &Path, server: &str, shell: &Path, command: &str) -> (Said, u32) {
    let mut run = Command::new(called(folder, server, "sh"));
    run.args(["-c", "\"$0\" -c \"$1\"; :"]).arg(shell).arg(command);
    run.env("HOME", folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = run.spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let said = Said::parse(&output.stdout, MARK);
    assert!(said.done, "{shell:?}: {output:?}");
    (said, pid)
}

/// What became of each of `old`, in this order.
fn fates(folder: &Path, old: &[Identity]) -> Vec<Option<Fate>> {
    let (said, _) = said_in(folder, "sshd-new", &which("sh").unwrap(), &end(MARK, old));
    old.iter().map(|who| said.fate(who)).collect()
}

/// An identity of this machine.
fn here(folder: &Path) -> Identity {
    said_in(folder, "sshd", &which("sh").unwrap(), &find(MARK)).0.identity.unwrap()
}

#[test]
fn every_login_shell_finds_the_server_above_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut found = 0;
    for shell in ["sh", "dash", "bash", "zsh", "fish", "ksh", "mksh", "tcsh", "csh", "elvish", "busybox"] {
        let Some(mut path) = which(shell) else { continue };
        if shell == "busybox" {
            path = called(folder.path(), "ash", "busybox");
        }
        for server in ["sshd", "sshd-session", "dropbear", "sshd) R 1 (x"] {
            let (said, pid) = said_in(folder.path(), server, &path, &find(MARK));
            let who = said.identity;
            if server.contains(' ') {
                assert_eq!(who, None, "{shell}: that is no name of a server");
                continue;
            }
            let who = who.unwrap_or_else(|| panic!("{shell} below {server}"));
            assert_eq!((who.pid, who.name.as_str()), (pid, server), "{shell}");
            assert!(who.receive_buffer().is_some_and(|bytes| bytes > 1024), "{who:?}");
            found += 1;
        }
    }
    assert!(found >= 3, "no shell was there to try it");
}

#[test]
fn nothing_stands_in_the_commands_that_some_shell_takes_for_more_than_itself() {
    let who = here(tempfile::tempdir().unwrap().path());
    for command in [find(MARK), end(MARK, &[who.clone(), who])] {
        let inside = command.strip_prefix("exec /bin/sh -c '").and_then(|c| c.strip_suffix('\'')).unwrap();
        assert!(!inside.contains(['\'', '\\', '!', '\n', '\r']), "{inside}");
        assert!(inside.is_ascii() && command.len() < 4000, "{}", command.len());
    }
}

#[test]
fn an_old_server_is_ended_also_one_that_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let like = here(folder.path());
    let (mut old, mut stopped) = (Old::start(folder.path(), "sshd-old"), Old::start(folder.path(), "sshd-old"));
    rustix::process::kill_process(rustix::process::Pid::from_child(&stopped.0), rustix::process::Signal::STOP).unwrap();
    let all = [old.identity(&like), stopped.identity(&like)];
    assert_eq!(fates(folder.path(), &all), [Some(Fate::Ended), Some(Fate::Killed)]);
    assert!(!old.runs() && !stopped.runs());
    assert_eq!(fates(folder.path(), &all), [Some(Fate::Gone), Some(Fate::Gone)]);
}

#[test]
fn whoever_is_not_the_very_process_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let like = here(folder.path());
    let (mut old, mut other) = (Old::start(folder.path(), "sshd-old"), Old::start(folder.path(), "collector"));
    let who = old.identity(&like);
    let boot = "00000000-0000-0000-0000-000000000000".to_owned();
    for (what, not_him, fate) in [
        ("a number that was given away", Identity { start: who.start + 1, ..who.clone() }, Fate::Gone),
        ("another boot", Identity { boot, ..who.clone() }, Fate::Gone),
        ("another namespace", Identity { space: "1".into(), ..who.clone() }, Fate::Elsewhere),
        ("another program", other.identity(&like), Fate::Gone),
    ] {
        assert_eq!(fates(folder.path(), &[not_him]), [Some(fate)], "{what}");
    }
    assert!(old.runs() && other.runs());
}

#[test]
fn the_server_of_the_new_connection_and_that_of_another_user_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let like = here(folder.path());
    // The new server is the one above the shell: it looks at itself.
    let server = called(folder.path(), "sshd-new", "sh");
    let mut run = Command::new(server);
    let start =
        "read -r line </proc/$$/stat; set -- ${line##*) }; echo $$ ${20}; read -r command; sh -c \"$command\"; :";
    let mut child = run.args(["-c", start]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let first = lines.next().unwrap().unwrap();
    let (pid, start) = first.split_once(' ').unwrap();
    let own = Identity { pid: pid.parse().unwrap(), start: start.parse().unwrap(), ..like.clone() };
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, format!("{}\n", end(MARK, std::slice::from_ref(&own))).as_bytes()).unwrap();
    let output: String = lines.map(|line| line.unwrap() + "\n").collect();
    let said = Said::parse(output.as_bytes(), MARK);
    assert_eq!((said.fate(&own), said.done), (Some(Fate::Own), true), "{output}");
    child.wait().unwrap();
    if rustix::process::geteuid().is_root() {
        let mut theirs = Old::start_as(folder.path(), "sshd-old", Some(65534));
        assert_eq!(fates(folder.path(), &[theirs.identity(&like)]), [Some(Fate::Kept)]);
        assert!(theirs.runs());
    }
}

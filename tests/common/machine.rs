//! A machine that systemd runs: processes, mounts and control groups of its own, the network of this one. See
//! `tests/machine/boot.sh`; nothing of the real machine can be written in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::env::binary;
use super::{LATER, Run, SOON, Sshd, run::Bg, wait_until};

/// Number of the account `log`.
const LOG: u32 = 2345;

/// The machine. `Drop` switches it off.
pub struct Machine {
    folder: TempDir,
    unshare: Child,
    /// Its process 1, by the number that it has here.
    init: u32,
}

impl Machine {
    /// Boots it, with an account `log`. `None`: the test is left out, for namespaces or control groups are not to be had.
    #[track_caller]
    pub fn boot(test: &str) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        if !rustix::process::geteuid().is_root() || !Path::new("/lib/systemd/systemd").exists() {
            super::lacks(test, "systemd and root", "systemd");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("rl-m-").tempdir_in("/tmp").expect("a temporary folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let log = std::fs::File::create(folder.path().join("boot.log")).unwrap();
        let mut unshare = Command::new("sh")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine/boot.sh"))
            .arg(folder.path())
            .arg(binary().parent().expect("a folder"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sh");
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let first = wait_until("a machine begins to boot", SOON, || {
            let ended = unshare.try_wait().unwrap().is_some();
            let first = std::fs::read_to_string(&children).ok().and_then(|all| all.split(' ').next()?.parse().ok());
            let systemd = first.filter(|pid: &u32| {
                std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "systemd")
            });
            if ended { Some(None) } else { systemd.map(Some) }
        });
        let Some(init) = first else {
            let why = std::fs::read_to_string(folder.path().join("boot.log")).unwrap_or_default();
            super::lacks(
                test,
                &format!("namespaces and control groups ({})", why.trim()),
                "a kernel that lets root make them",
            );
            return None;
        };
        let machine = Self { folder, unshare, init };
        wait_until("the machine has booted", LATER, || {
            let state = machine.sh("systemctl is-system-running");
            ["running", "degraded"].contains(&state.stdout.trim()).then_some(())
        });
        machine.sh(&format!(
            "echo log:x:{LOG}:{LOG}::/home/log:/bin/sh >>/etc/passwd && echo log:x:{LOG}: >>/etc/group && \
             echo 'log:*:19000:0:99999:7:::' >>/etc/shadow && install -d -m 700 -o {LOG} -g {LOG} /home/log /home/log/.ssh \
             /home/log/.config /home/log/.config/reclog /home/log/.config/reclog/profiles /home/log/out && \
             install -d -m 755 -o {LOG} -g {LOG} /srv/log"
        ))
        .ok();
        Some(machine)
    }

    /// A folder that is the same here and there.
    pub fn shared(&self, name: &str) -> PathBuf {
        self.folder.path().join("shared").join(name)
    }

    /// A shell line there, as root.
    #[track_caller]
    pub fn sh(&self, line: &str) -> Run {
        self.start(&["sh", "-c", line]).wait()
    }

    /// A shell line there as `log`, as after a login.
    #[track_caller]
    pub fn as_log(&self, line: &str) -> Run {
        let user = format!("cd && export XDG_RUNTIME_DIR=/run/user/{LOG} && {line}");
        self.start(&[
            "setpriv",
            "--reuid=log",
            "--regid=log",
            "--init-groups",
            "env",
            "HOME=/home/log",
            "sh",
            "-c",
            &user,
        ])
        .wait()
    }

    fn start(&self, words: &[&str]) -> Bg {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.init.to_string(), "--mount", "--pid", "--cgroup", "--uts", "--ipc", "--"])
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        Bg::spawn(command)
    }

    /// reclog there, as root.
    #[track_caller]
    pub fn reclog(&self, args: &str) -> Run {
        self.sh(&format!("{} {args}", binary().display()))
    }

    /// reclog there, as `log`.
    #[track_caller]
    pub fn reclog_as_log(&self, args: &str) -> Run {
        self.as_log(&format!("{} {args}", binary().display()))
    }

    /// Lets `log` use the key of `sshd`, and know it.
    pub fn trust(&self, sshd: &Sshd) {
        let key = std::fs::read_to_string(sshd.user_key("ed25519")).unwrap();
        self.write("/home/log/.ssh/id", &key);
        self.write("/home/log/.ssh/known_hosts", &sshd.known_hosts());
    }

    /// Writes a file of `log` there.
    pub fn write(&self, path: &str, text: &str) {
        std::fs::write(self.shared("file"), text).unwrap();
        self.sh(&format!("install -m 600 -o log -g log {} {path}", self.shared("file").display())).ok();
    }

    /// A property of a unit.
    pub fn unit(&self, unit: &str, property: &str) -> String {
        self.sh(&format!("systemctl show --value --property={property} {unit}")).ok().stdout.trim().to_owned()
    }

    /// Waits until a property of a unit is this.
    #[track_caller]
    pub fn wait_unit(&self, unit: &str, property: &str, value: &str) {
        wait_until(&format!("{property} of {unit} is {value}"), LATER, || {
            (self.unit(unit, property) == value).then_some(())
        });
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.sh("journalctl --no-pager --lines=60").stdout);
        }
        // The death of process 1 is that of all.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let init = format!("/proc/{}", self.init);
        for _ in 0..500 {
            if !Path::new(&init).exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let name = self.folder.path().file_name().expect("a name");
        for hierarchy in ["systemd", "unified", ""] {
            remove_groups(&Path::new("/sys/fs/cgroup").join(hierarchy).join(name));
        }
    }
}

/// Control groups are removed from the inside out.
fn remove_groups(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    // The kernel takes a moment to notice that a group is empty.
    for _ in 0..100 {
        match std::fs::remove_dir(group) {
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()) => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            _ => return,
        }
    }
}

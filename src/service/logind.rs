//! What this machine's logind is told, and what it does with us.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::logout::{Fate, Policy, fate};

/// Folders of configuration, the least important first (systemd-logind reads them so).
const FOLDERS: [&str; 4] = ["/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd"];

/// What a logout would do to this process and its children, which belong to `user`.
#[must_use]
pub fn look(user: &str) -> Option<Fate> {
    let cgroup = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let lingers = lingers(user)?;
    fate(&cgroup, user, &policy(&FOLDERS.map(PathBuf::from)), lingers)
}

/// Whether the manager and the runtime folder of `user` stay after the last logout; `None`: there is no logind that would take
/// them away.
#[must_use]
pub fn lingers(user: &str) -> Option<bool> {
    Path::new("/run/systemd/users").is_dir().then(|| Path::new("/var/lib/systemd/linger").join(user).exists())
}

/// The main file of the most important folder that has one, then all drop-ins by name; of the same name the most important one.
fn policy(folders: &[PathBuf]) -> Policy {
    let mut policy = Policy::default();
    let main = folders.iter().rev().map(|folder| folder.join("logind.conf")).find_map(|file| read(&file));
    if let Some(text) = main {
        policy.read(&text);
    }
    let mut drop_ins: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder.join("logind.conf.d")).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|ending| ending == "conf") {
                drop_ins.insert(entry.file_name(), entry.path());
            }
        }
    }
    drop_ins.values().filter_map(|file| read(file)).for_each(|text| policy.read(&text));
    policy
}

fn read(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_ins_follow_the_main_file_and_hide_those_of_their_name() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["usr", "etc"].map(|name| root.path().join(name));
        let write = |name: &str, kill: &str| {
            let file = root.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, format!("[Login]\nKillUserProcesses={kill}\n")).unwrap();
        };
        let kills = || policy(&folders).kill;
        assert!(!kills());
        write("usr/logind.conf", "yes");
        assert!(kills());
        write("etc/logind.conf", "no");
        assert!(!kills(), "the administrator's file takes the place of the vendor's");
        write("usr/logind.conf.d/50-x.conf", "yes");
        assert!(kills(), "a drop-in counts more than any main file");
        write("etc/logind.conf.d/50-x.conf", "no");
        assert!(!kills(), "and hides one of its name");
        write("usr/logind.conf.d/60-y.conf", "yes");
        assert!(kills(), "a later name wins");
        write("usr/logind.conf.d/70-y.txt", "no");
        assert!(kills());
    }
}

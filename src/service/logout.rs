//! What a logout does to a process that stays behind; pure.
//!
//! logind ends the scope of a session at its end when `KillUserProcesses=yes`, `KillOnlyUsers=` and `KillExcludeUsers=` permitting;
//! lingering does not save what is in such a scope (logind.conf(5)). What runs below the user's own manager ends with that, when the
//! last session is over, unless the user lingers.

use std::fmt;

/// What logind is told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `KillUserProcesses=`
    pub kill: bool,
    /// `KillOnlyUsers=`; empty: all.
    pub only: Vec<String>,
    /// `KillExcludeUsers=`
    pub except: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        // logind's own, unless it was built otherwise.
        Self { kill: false, only: Vec::new(), except: vec!["root".to_owned()] }
    }
}

impl Policy {
    /// Adds one configuration file to those read before; as with logind, later settings win, and what is not understood is passed
    /// over.
    pub fn read(&mut self, text: &str) {
        let mut inside = false;
        for line in text.lines().map(str::trim) {
            if let Some(section) = line.strip_prefix('[') {
                inside = section.strip_suffix(']') == Some("Login");
            }
            let Some((key, value)) = line.split_once('=').filter(|_| inside && !line.starts_with(['#', ';'])) else {
                continue;
            };
            let users = || value.split_ascii_whitespace().map(str::to_owned).collect();
            match key.trim() {
                "KillUserProcesses" => self.kill = truth(value.trim()).unwrap_or(self.kill),
                "KillOnlyUsers" => self.only = users(),
                "KillExcludeUsers" => self.except = users(),
                _ => {}
            }
        }
    }

    fn kills(&self, user: &str) -> bool {
        let named = |users: &[String]| users.iter().any(|name| name == user);
        self.kill && !named(&self.except) && (self.only.is_empty() || named(&self.only))
    }
}

fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

/// Why a collector in the background will not live through a logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is in a session, whose processes are killed at its end.
    Session,
    /// It runs below the user's manager, which ends with the last session.
    Manager,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "this system kills a user's processes at logout (KillUserProcesses=yes in logind.conf)",
            Self::Manager => {
                "this shell runs below your user manager, which ends what it started after your last logout"
            }
        })
    }
}

/// What awaits a process of `user` whose control group (`/proc/self/cgroup`) is `cgroup`; `None`: it lives on.
#[must_use]
pub fn fate(cgroup: &str, user: &str, policy: &Policy, lingers: bool) -> Option<Fate> {
    // `ID:CONTROLLERS:PATH` a line; logind's names stand in that of systemd, or in the only one.
    let path = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let groups: Vec<&str> = path.flat_map(|path| path.split('/')).collect();
    let below_manager = groups.iter().any(|group| group.starts_with("user@") && group.ends_with(".service"));
    let session = |group: &&&str| group.strip_prefix("session-").and_then(|rest| rest.strip_suffix(".scope")).is_some();
    if below_manager {
        return (!lingers).then_some(Fate::Manager);
    }
    groups.iter().find(session).filter(|_| policy.kills(user)).map(|_| Fate::Session)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "0::/user.slice/user-1000.slice/session-3.scope\n";
    const HYBRID: &str = "4:memory:/\n1:name=systemd:/user.slice/user-1000.slice/session-c2.scope\n0::/x\n";
    const BELOW: &str = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n";

    fn policy(text: &str) -> Policy {
        let mut policy = Policy::default();
        policy.read(text);
        policy
    }

    #[test]
    fn a_session_takes_its_processes_along_where_it_is_told_to() {
        let kill = policy("[Login]\nKillUserProcesses=yes\n");
        for cgroup in [SESSION, HYBRID] {
            assert_eq!(fate(cgroup, "me", &kill, false), Some(Fate::Session));
            assert_eq!(fate(cgroup, "me", &kill, true), Some(Fate::Session), "lingering does not save it");
            assert_eq!(fate(cgroup, "root", &kill, false), None);
            assert_eq!(fate(cgroup, "me", &Policy::default(), false), None);
        }
    }

    #[test]
    fn users_can_be_named() {
        let only = policy("[Login]\nKillUserProcesses = on\nKillOnlyUsers=a b\nKillExcludeUsers=b\n");
        assert!(only.kills("a") && !only.kills("b") && !only.kills("c"));
        assert!(policy("[Login]\nKillUserProcesses=1\nKillExcludeUsers=\n").kills("root"));
    }

    #[test]
    fn what_runs_below_the_manager_ends_with_it() {
        assert_eq!(fate(BELOW, "me", &Policy::default(), false), Some(Fate::Manager));
        assert_eq!(fate(BELOW, "me", &Policy::default(), true), None);
    }

    #[test]
    fn elsewhere_no_logout_matters() {
        let kill = policy("[Login]\nKillUserProcesses=yes\n");
        for cgroup in ["0::/system.slice/cron.service\n", "0::/\n", "", "nonsense"] {
            assert_eq!(fate(cgroup, "me", &kill, false), None, "{cgroup}");
        }
    }

    #[test]
    fn later_files_win_and_nonsense_is_passed_over() {
        let mut policy =
            policy("[Login]\nKillUserProcesses=yes\n[Other]\nKillUserProcesses=no\n#KillUserProcesses=no\n");
        assert!(policy.kill);
        policy.read("[Login]\nKillUserProcesses=perhaps\n");
        assert!(policy.kill);
        policy.read("KillUserProcesses=no\n");
        assert!(policy.kill, "outside of its section");
        policy.read("[Login]\nKillUserProcesses=no\n");
        assert!(!policy.kill);
    }
}

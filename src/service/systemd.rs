//! The unit for systemd; pure.
//!
//! Ordering is written out instead of taken from `DefaultDependencies=yes`: a unit that has them holds up the target that
//! wants it until it is ready, and a jump host that is away is no reason for a boot that does not end.

use std::path::Path;

use super::needs::view;
use super::quote;
use super::{Account, Scope, Service};
use crate::paths::{SYSTEM_RUNTIME, SYSTEM_STATE};

/// The first release with `Type=notify-reload`.
const NOTIFY_RELOAD: u32 = 253;
/// The first release that can make the pause between restarts grow.
const GROWING_PAUSE: u32 = 254;
/// Seconds without a word after which the collector counts as hung.
const WATCHDOG: u32 = 60;
/// Seconds to flush and fsync after the drain; a slow disk asks for more while it moves.
const FLUSH: u64 = 30;
/// What `StateDirectory=` and `RuntimeDirectory=` are relative to.
const STATE: &str = "/var/lib/";
const RUNTIME: &str = "/run/";

/// The state folder of the system service `name`.
#[must_use]
pub fn state(name: &str) -> String {
    format!("{SYSTEM_STATE}/{name}")
}

/// The runtime folder of the system service `name`.
#[must_use]
pub fn runtime(name: &str) -> String {
    format!("{SYSTEM_RUNTIME}/{name}")
}

/// The text of the unit, for the release `version` of systemd; `None`: any.
#[must_use]
pub fn unit(service: &Service, version: Option<u32>) -> String {
    let since = |first: u32| version.is_some_and(|version| version >= first);
    let mut text = String::from("[Unit]\n");
    let mut line = |key: &str, value: &str| text.push_str(&format!("{key}={value}\n"));
    line("Description", &format!("reclog collector {}", service.name));
    line("DefaultDependencies", "no");
    match &service.scope {
        Scope::User => line("After", "basic.target"),
        Scope::System(_) => {
            line("Requires", "sysinit.target");
            // Stopped before the network goes: a drain needs it.
            line("After", "sysinit.target basic.target network.target nss-lookup.target remote-fs.target");
        }
    }
    line("Conflicts", "shutdown.target");
    line("Before", "shutdown.target");
    line("StartLimitIntervalSec", "0");
    text.push_str("\n[Service]\n");
    let mut line = |key: &str, value: &str| text.push_str(&format!("{key}={value}\n"));
    line("Type", if since(NOTIFY_RELOAD) { "notify-reload" } else { "notify" });
    line("NotifyAccess", "main");
    line("ExecStart", &command(service));
    if !since(NOTIFY_RELOAD) {
        line("ExecReload", "kill -HUP $MAINPID");
    }
    if let Scope::System(account) = &service.scope {
        line("User", &account.name);
    }
    for (key, value) in &service.environment {
        line("Environment", &quote::unit(&format!("{key}={value}"), false));
    }
    for (name, source) in &service.credentials {
        // Nothing is unquoted there (systemd.exec(5)): up to the first colon the name, behind it the path, specifiers in both.
        line(source.key(), &format!("{name}:{}", source.path()).replace('%', "%%"));
    }
    line("TimeoutStartSec", "infinity");
    line("TimeoutStopSec", &(service.needs.drain.as_secs().saturating_add(FLUSH)).to_string());
    line("WatchdogSec", &WATCHDOG.to_string());
    // The signal goes to reclog alone: a ProxyCommand, or a command that takes records, lives through the drain.
    line("KillMode", "mixed");
    line("Restart", "on-failure");
    // Wrong, refused, a host key: trying again helps nobody. Told to stop before it was up: it stays down.
    line("RestartPreventExitStatus", "2 4 5 130");
    line("SuccessExitStatus", "130");
    line("RestartSec", "1");
    if since(GROWING_PAUSE) {
        line("RestartSteps", "8");
        line("RestartMaxDelaySec", "300");
    }
    line("LimitNOFILE", "65536");
    line("LimitCORE", "0");
    if let Scope::System(account) = &service.scope {
        confine(service, account, &mut text);
    }
    let wanted_by = if service.scope == Scope::User { "default.target" } else { "multi-user.target" };
    text.push_str(&format!("\n[Install]\nWantedBy={wanted_by}\n"));
    text
}

fn command(service: &Service) -> String {
    let words: Vec<String> = service.command().iter().map(|word| quote::unit(word, true)).collect();
    words.join(" ")
}

/// What a system service may do: write its outputs, read what it is told with, speak to the network; little else.
fn confine(service: &Service, account: &Account, text: &mut String) {
    let mut line = |key: &str, value: &str| text.push_str(&format!("{key}={value}\n"));
    let view = view(&service.needs, &service.program, &account.home);
    line("StateDirectory", state(&service.name).trim_start_matches(STATE));
    line("StateDirectoryMode", "0700");
    line("RuntimeDirectory", runtime(&service.name).trim_start_matches(RUNTIME));
    line("RuntimeDirectoryMode", "0700");
    line("UMask", "0077");
    line("ProtectSystem", "strict");
    line("ProtectHome", "tmpfs");
    let path = |path: &Path| quote::bound(&path.to_string_lossy());
    if let Some(home) = &view.hide {
        line("TemporaryFileSystem", &format!("{}:ro", path(home)));
    }
    // `-`: a folder that is gone is told about by reclog, which knows what it was for.
    for folder in &view.bound {
        line("BindPaths", &optional(&path(folder)));
    }
    for folder in &view.writable {
        line("ReadWritePaths", &optional(&path(folder)));
    }
    for file in &view.shown {
        line("BindReadOnlyPaths", &optional(&path(file)));
    }
    line("PrivateTmp", if view.private_tmp { "yes" } else { "no" });
    let capabilities = if service.needs.low_port { "CAP_NET_BIND_SERVICE" } else { "" };
    line("CapabilityBoundingSet", capabilities);
    line("AmbientCapabilities", capabilities);
    line("SystemCallFilter", "@system-service");
    line("SystemCallFilter", "~@privileged @resources");
    line("SystemCallErrorNumber", "EPERM");
    line("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK");
    // A command that somebody wrote may be a program that makes code as it runs.
    if !service.needs.commands {
        line("MemoryDenyWriteExecute", "yes");
    }
    for (key, value) in CONFINED {
        line(key, value);
    }
}

fn optional(path: &str) -> String {
    match path.strip_prefix('"') {
        Some(rest) => format!("\"-{rest}"),
        None => format!("-{path}"),
    }
}

/// What nothing of reclog ever needs.
const CONFINED: [(&str, &str); 17] = [
    ("NoNewPrivileges", "yes"),
    ("PrivateDevices", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectProc", "invisible"),
    ("PrivateMounts", "yes"),
    ("KeyringMode", "private"),
    ("LockPersonality", "yes"),
    ("RemoveIPC", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("SystemCallArchitectures", "native"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing;

    fn lines(text: &str, key: &str) -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix(&format!("{key}="))).map(str::to_owned).collect()
    }

    #[test]
    fn each_release_gets_what_it_understands() {
        let service = testing::service(Scope::User);
        let of = |version| unit(&service, version);
        for old in [None, Some(252)] {
            assert_eq!(lines(&of(old), "Type"), ["notify"]);
            assert_eq!(lines(&of(old), "ExecReload"), ["kill -HUP $MAINPID"]);
            assert!(lines(&of(old), "RestartSteps").is_empty());
        }
        assert_eq!(lines(&of(Some(253)), "Type"), ["notify-reload"]);
        assert!(lines(&of(Some(253)), "ExecReload").is_empty() && lines(&of(Some(253)), "RestartSteps").is_empty());
        assert_eq!(lines(&of(Some(254)), "RestartSteps"), ["8"]);
    }

    #[test]
    fn the_contract_stands_in_every_unit() {
        for scope in [Scope::User, testing::system()] {
            let text = unit(&testing::service(scope), None);
            for line in [
                "DefaultDependencies=no",
                "Conflicts=shutdown.target",
                "Before=shutdown.target",
                "ExecStart=/usr/bin/reclog up web --foreground --keep-trying",
                "KillMode=mixed",
                "Restart=on-failure",
                "RestartPreventExitStatus=2 4 5 130",
                "SuccessExitStatus=130",
                "StartLimitIntervalSec=0",
                "TimeoutStartSec=infinity",
                "TimeoutStopSec=40",
            ] {
                assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
            }
        }
    }

    #[test]
    fn a_system_service_has_its_folders_and_no_privileges() {
        let mut service = testing::service(testing::system());
        let text = unit(&service, None);
        assert_eq!(lines(&text, "User"), ["log"]);
        assert_eq!(lines(&text, "StateDirectory"), ["reclog/web"]);
        assert_eq!(lines(&text, "BindPaths"), ["\"-/home/log/my logs\""]);
        assert_eq!(lines(&text, "BindReadOnlyPaths"), ["-/home/log/.ssh"]);
        assert_eq!(lines(&text, "CapabilityBoundingSet"), [""]);
        assert_eq!(lines(&text, "WantedBy"), ["multi-user.target"]);
        service.needs.low_port = true;
        assert_eq!(lines(&unit(&service, None), "AmbientCapabilities"), ["CAP_NET_BIND_SERVICE"]);
    }
}

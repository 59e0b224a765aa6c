//! Who runs and who listens, as `/proc` tells it.

use std::collections::HashMap;
use std::path::Path;

use rustix::process::{Pid, Signal};

/// Whether somebody listens on this TCP port. Reads the kernel's tables: a connection would count as a sender, and a
/// trial bind could get in the way of who wants to listen.
pub fn listening(port: u16) -> bool {
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        text.lines().skip(1).any(|line| {
            // sl local_address rem_address st …; the state of a listener is 0A (net/tcp_states.h).
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next().and_then(|l| l.rsplit_once(':')).map(|(_, p)| p.to_owned());
            let port_hex = local.and_then(|p| u16::from_str_radix(&p, 16).ok());
            port_hex == Some(port) && fields.nth(1) == Some("0A")
        })
    })
}

/// All processes: number and parent. Zombies are gone already.
fn parents() -> HashMap<u32, u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return HashMap::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; what follows is `state ppid`.
        let mut rest = stat.rsplit_once(") ")?.1.split(' ');
        let state = rest.next()?;
        (state != "Z" && state != "X").then_some((pid, rest.next()?.parse().ok()?))
    })
    .collect()
}

/// Whether the process runs (a zombie does not).
pub fn alive(pid: u32) -> bool {
    parents().contains_key(&pid)
}

/// The children of a process and everything below them.
pub fn descendants(pid: u32) -> Vec<u32> {
    let parents = parents();
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(&parent) = all.get(next) {
        all.extend(parents.iter().filter(|(_, p)| **p == parent).map(|(child, _)| *child));
        next += 1;
    }
    all.split_off(1)
}

/// Processes that run `exe` in the environment of the test whose folder is `root`: its variables name the folder, or it
/// has a file open there.
pub fn belonging_to(root: &Path, exe: &Path) -> Vec<u32> {
    let is_ours = |pid: u32| {
        let proc = Path::new("/proc").join(pid.to_string());
        // A binary built anew while it runs reads `… (deleted)`.
        let image = std::fs::read_link(proc.join("exe")).unwrap_or_default();
        if !image.to_string_lossy().starts_with(&*exe.to_string_lossy()) {
            return false;
        }
        let root = root.to_string_lossy();
        let variables = std::fs::read(proc.join("environ")).unwrap_or_default();
        let files = std::fs::read_dir(proc.join("fd")).into_iter().flatten().flatten();
        String::from_utf8_lossy(&variables).contains(&*root)
            || files.filter_map(|f| std::fs::read_link(f.path()).ok()).any(|f| f.to_string_lossy().contains(&*root))
    };
    let mut pids: Vec<u32> = parents().into_keys().filter(|pid| is_ours(*pid)).collect();
    pids.sort_unstable();
    pids
}

/// Sends a signal to one process that the test knows by number; a process that is gone already is no trouble.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// SIGKILL.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// The session of a process.
pub fn session_of(pid: u32) -> Option<u32> {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed())?;
    Some(rustix::process::getsid(Some(pid)).ok()?.as_raw_nonzero().get().cast_unsigned())
}

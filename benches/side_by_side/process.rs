//! What the kernel says about processes: their children, their time, their memory. And their end.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::Fallible;

/// `root` and all processes below it; empty when it is gone.
pub fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut there = false;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Some(fields) = stat(pid) else { continue };
        // A zombie has neither memory nor children; its time is in its parent's account once it is reaped.
        if fields[0] == "Z" {
            continue;
        }
        there |= pid == root;
        if let Ok(parent) = fields[1].parse() {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut all = Vec::new();
    if there {
        all.push(root);
    }
    let mut next = 0;
    while next < all.len() {
        all.extend(children.remove(&all[next]).unwrap_or_default());
        next += 1;
    }
    all
}

/// Processes, we ourselves excepted, that have this folder in their arguments or environment.
pub fn mentioning(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()));
    let mentions = |pid: u32| {
        ["cmdline", "environ"].iter().any(|file| {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            memchr::memmem::find(&text, folder.as_os_str().as_bytes()).is_some()
        })
    };
    pids.filter(|&pid| pid != std::process::id() && mentions(pid)).collect()
}

/// The fields of `/proc/PID/stat` after the name, which may hold anything: state, parent, …
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split_ascii_whitespace().map(str::to_owned).collect())
}

/// Seconds of processor time, user and system, of these processes and of the children they have reaped. In steps of
/// the kernel's tick (10 ms).
pub fn cpu_seconds(pids: &[u32]) -> f64 {
    let ticks: u64 = pids
        .iter()
        .filter_map(|&pid| stat(pid))
        .map(|fields| fields[11..15].iter().filter_map(|field| field.parse::<u64>().ok()).sum::<u64>())
        .sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Memory of one process, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Resident now (`VmRSS`).
    pub resident: u64,
    /// The most that was ever resident (`VmHWM`).
    pub peak: u64,
}

/// `None` when the process is gone.
pub fn memory(pid: u32) -> Option<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Memory { resident: kilobytes(&text, "VmRSS:")?, peak: kilobytes(&text, "VmHWM:")? })
}

/// Proportional share in bytes: a page that several processes share is counted once among them.
pub fn proportional(pid: u32) -> Option<u64> {
    kilobytes(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?, "Pss:")
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Whether somebody listens on this TCP port of 127.0.0.1 or of all addresses. Asked of the kernel: a connection made
/// to find out would be one more sender.
pub fn listens(port: u16) -> bool {
    let ends = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&ends)) && fields.nth(1) == Some("0A")
    })
}

/// Ends one process at once; one that is gone is no error.
pub fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// A child in a process group of its own; dropping it ends the whole group.
#[derive(Debug)]
pub struct Group {
    child: Child,
}

impl Group {
    /// Starts `command` without input; what it says goes to the file `log`.
    pub fn spawn(command: &mut Command, log: &Path) -> Fallible<Self> {
        let says = File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(says.try_clone()?)
            .stderr(says)
            .process_group(0)
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// The first process of the group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status as soon as there is one.
    pub fn ended(&mut self) -> Fallible<Option<std::process::ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

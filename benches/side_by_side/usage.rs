//! What a run cost the receivers and the jump host's sshd.

use std::collections::BTreeMap;

use super::process;
use super::side::Running;

/// The accounts before a run.
#[derive(Debug)]
pub struct Before {
    receivers_cpu: f64,
    sshd_cpu: f64,
    sshd_resident: BTreeMap<u32, u64>,
}

/// The accounts after it, while the senders still hold their connections.
#[derive(Debug)]
pub struct Usage {
    /// Seconds of all receiving processes, start and login not counted.
    pub receivers_cpu: f64,
    pub sshd_cpu: f64,
    /// Number of receiving processes.
    pub processes: usize,
    /// Sum of their peaks. Pages that forked processes share count once in each.
    pub peak_sum: u64,
    /// The largest of their peaks.
    pub peak_max: u64,
    /// Sum of what they have now, shared pages divided among those who share them.
    pub proportional: u64,
    /// The peak of the largest session process of sshd.
    pub sshd_peak: u64,
    /// How far the peak of a session process lies above what it had before.
    pub sshd_growth: u64,
}

/// Reads the accounts before a run.
pub fn before(running: &Running) -> Before {
    let sessions = running.sshd.sessions();
    Before {
        receivers_cpu: process::cpu_seconds(&running.receivers()),
        sshd_cpu: process::cpu_seconds(&sessions),
        sshd_resident: sessions.iter().filter_map(|&pid| Some((pid, process::memory(pid)?.resident))).collect(),
    }
}

impl Before {
    /// Reads them again.
    pub fn until_now(&self, running: &Running) -> Usage {
        let receivers = running.receivers();
        let sessions = running.sshd.sessions();
        let peaks: Vec<u64> = receivers.iter().filter_map(|&pid| Some(process::memory(pid)?.peak)).collect();
        let sshd: Vec<(u64, u64)> = sessions
            .iter()
            .filter_map(|&pid| {
                let peak = process::memory(pid)?.peak;
                Some((peak, peak.saturating_sub(self.sshd_resident.get(&pid).copied().unwrap_or(peak))))
            })
            .collect();
        Usage {
            receivers_cpu: process::cpu_seconds(&receivers) - self.receivers_cpu,
            sshd_cpu: process::cpu_seconds(&sessions) - self.sshd_cpu,
            processes: receivers.len(),
            peak_sum: peaks.iter().sum(),
            peak_max: peaks.iter().copied().max().unwrap_or(0),
            proportional: receivers.iter().filter_map(|&pid| process::proportional(pid)).sum(),
            sshd_peak: sshd.iter().map(|&(peak, _)| peak).max().unwrap_or(0),
            sshd_growth: sshd.iter().map(|&(_, growth)| growth).max().unwrap_or(0),
        }
    }
}

/// Bytes as MiB.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

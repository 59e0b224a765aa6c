//! Looking never takes a processor away from collecting.

/// How far this process steps back behind those that collect and send: all the way, it takes what they leave.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// Lowers the priority of every thread that this process has; those to come inherit it. What cannot be lowered stays.
#[cfg(target_os = "linux")]
pub fn step_back() {
    use rustix::process::{Pid, setpriority_process};
    // For Linux, priorities are of threads (setpriority(2), "C library/kernel differences").
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return };
    let ids = threads.flatten().filter_map(|thread| thread.file_name().to_str()?.parse().ok());
    for id in ids.filter_map(Pid::from_raw) {
        let _ = setpriority_process(Some(id), NICE);
    }
}

/// Lowers the priority of this process.
#[cfg(not(target_os = "linux"))]
pub fn step_back() {
    let _ = rustix::process::nice(10);
}

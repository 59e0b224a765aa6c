//! Taking the place of a collector that runs: whatever can fail is tried before it is asked to give way, and the time in
//! which nobody listens is short.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::process::getppid;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::link::FAREWELL;
use super::ready::Ready;
use super::signals::Signals;
use super::{Event, Options, lock};
use crate::control::client::{Client, Silence};
use crate::control::{HANDOVER, Reply, Request};
use crate::error::{Error, Result, io_reason};
use crate::paths::Paths;
use crate::plan::{Output, Plan, StreamPlan};

/// One that gives way has answered within this time; it wants to be quicker, and a machine may be slow.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether it is gone; the wait is a few milliseconds.
const LOOK: Duration = Duration::from_millis(2);

/// The collector that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// Its process.
    pub pid: u32,
    /// Its control socket; the lock lies beside it.
    pub socket: PathBuf,
}

/// Gets everything ready for `plan`, has `old` give way, and waits until it is gone. From the event [`Event::Handover`] on
/// there is no way back.
///
/// # Errors
/// Before that event, nothing has happened to the collector that runs.
pub async fn take_over(
    old: &Predecessor,
    plan: &Plan,
    paths: &Paths,
    options: &mut Options,
    signals: &mut Signals,
    mut abandoned: impl Future<Output = ()> + Unpin,
) -> Result<Ready> {
    let mut ready = prepare(old.pid, plan, paths, options, signals, &mut abandoned).await?;
    let mut client = match Client::connect(&old.socket).await {
        Ok(client) if client.hello.pid == old.pid => client,
        Ok(_) => return Err(Error::failed(format!("another `reclog restart {}` was faster", plan.name))),
        Err(Silence::Hung(error)) => return Err(error),
        Err(Silence::Dead | Silence::Ending) => {
            return Err(Error::failed(format!("the collector \"{}\" (pid {}) has just ended", plan.name, old.pid))
                .hint("start it again with `reclog up`"));
        }
    };
    (options.report)(&Event::Handover { pid: old.pid });
    client.request(Request::Down { now: false, successor: true }).await?;
    let given_way = async {
        while let Some(reply) = client.reply().await? {
            if let Reply::Down(report) = reply {
                ready.gap = report.gap;
                (options.report)(&Event::Down(report));
            }
        }
        let lock = old.socket.with_extension("lock");
        while lock::alive(&lock).is_some_and(|holder| holder.pid == old.pid) {
            sleep(LOOK).await;
        }
        Ok(())
    };
    match timeout(HANDOVER + PATIENCE, given_way).await {
        Ok(result) => result.map(|()| ready),
        Err(_) => Err(Error::failed(format!("the collector \"{}\" (pid {}) does not give way", plan.name, old.pid))
            .hint(format!("end it with `kill -KILL {}`; what was stored stays stored", old.pid))),
    }
}

/// All that can be done while another one has the place.
async fn prepare(
    old: u32,
    plan: &Plan,
    paths: &Paths,
    options: &mut Options,
    signals: &mut Signals,
    mut abandoned: impl Future<Output = ()> + Unpin,
) -> Result<Ready> {
    check_outputs(plan, paths, old)?;
    let mut ready = Ready::read(plan, options, signals, &mut abandoned).await?;
    ready.log_in(options, signals, &mut abandoned).await?;
    Ok(ready)
}

/// As [`take_over`], for the process that has started this one, and only to see whether it would go well.
///
/// # Errors
/// Why it would not.
pub async fn rehearse(plan: &Plan, paths: &Paths, options: &mut Options, signals: &mut Signals) -> Result<()> {
    let parent = getppid().map_or(0, |pid| pid.as_raw_pid().unsigned_abs());
    let ready = prepare(parent, plan, paths, options, signals, std::future::pending()).await?;
    if let Some(connection) = ready.connection {
        connection.close(FAREWELL).await;
    }
    Ok(())
}

/// Files that could not be opened later. They are not opened now: another process writes them.
fn check_outputs(plan: &Plan, paths: &Paths, old: u32) -> Result<()> {
    for file in plan.streams.iter().flat_map(StreamPlan::outputs).filter_map(Output::file) {
        let shown = file.display();
        if let Some(holder) = lock::writer_of(paths, file).filter(|holder| holder.pid != old) {
            return Err(Error::failed(format!("the file {shown} is written by the collector \"{}\"", holder.name))
                .hint("choose another file for one of the two"));
        }
        if let Err(e) = may_write(file) {
            return Err(Error::failed(format!("cannot open the output {shown}: {}", io_reason(&e)))
                .hint("the collector that runs goes on"));
        }
    }
    Ok(())
}

/// Whether it could be opened, as far as that can be told without doing so.
fn may_write(file: &Path) -> std::io::Result<()> {
    match std::fs::metadata(file) {
        Ok(meta) if meta.is_dir() => Err(std::io::ErrorKind::IsADirectory.into()),
        Ok(_) => Ok(access(file, Access::WRITE_OK)?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Ok(access(file.parent().unwrap_or(Path::new("/")), Access::WRITE_OK | Access::EXEC_OK)?)
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_cannot_be_is_known_before_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("there"), "x").unwrap();
        assert!(may_write(&at("there")).is_ok() && may_write(&at("new")).is_ok());
        assert!(!at("new").exists(), "nothing is made");
        for wrong in ["no/such", "there/below", "."] {
            assert!(may_write(&at(wrong)).is_err(), "{wrong}");
        }
    }
}

//! A collector in the foreground that becomes another one in the same process: whoever started it (a service manager, a
//! terminal, a container) keeps the pid that it knows. The program is started anew in its place, with its arguments.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::process::getppid;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::timeout;

use super::Event;
use crate::control::Handover;
use crate::error::{Error, Kind, Result, io_reason};
use crate::plan::{KEYWORD_VARIABLE, PRIVATE_VARIABLES};

/// The variable that tells a process of its [`Renewal`].
pub const VARIABLE: &str = "RECLOG_RENEWAL";
/// A rehearsal takes no longer than all phases of a login.
const REHEARSAL: Duration = Duration::from_secs(60);

/// What a new process is told by the one before. Releases may differ: fields are only added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Renewal {
    /// Of whom: a command that inherits the variable by chance is somebody else.
    pub pid: u32,
    /// Look whether all would go well, and end.
    pub rehearsal: bool,
    /// Ports, by the name of their stream.
    pub ports: BTreeMap<String, u16>,
    /// What the one before has left.
    pub gap: Option<Handover>,
}

impl Renewal {
    /// What this process was told.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        let renewal: Self = serde_json::from_str(std::env::var(VARIABLE).ok()?.as_str()).ok()?;
        let whose = if renewal.rehearsal {
            getppid().map_or(0, |pid| pid.as_raw_pid().unsigned_abs())
        } else {
            std::process::id()
        };
        (renewal.pid == whose).then_some(renewal)
    }
}

/// How this process can be started anew. Taken at its start, while the path of the program still is its own: a package
/// manager puts another one there.
#[derive(Debug, Clone)]
pub struct Anew {
    program: PathBuf,
    /// Set when it is to happen: the ports.
    pub wanted: Arc<OnceLock<BTreeMap<String, u16>>>,
}

impl Anew {
    /// As this process was started; `None` when the system does not tell.
    #[must_use]
    pub fn here() -> Option<Self> {
        Some(Self { program: std::env::current_exe().ok()?, wanted: Arc::default() })
    }

    fn command(&self, renewal: &Renewal) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.args(std::env::args_os().skip(1));
        command.env(VARIABLE, serde_json::to_string(renewal).expect("plain data"));
        command
    }

    /// Has the program look whether it would come up, with nobody to answer questions.
    ///
    /// # Errors
    /// Why it would not.
    pub async fn rehearse(self, ports: BTreeMap<String, u16>) -> Result<()> {
        let renewal = Renewal { pid: std::process::id(), rehearsal: true, ports, gap: None };
        let mut command = Command::from(self.command(&renewal));
        // It comes up for nobody: the manager must not take it for the service. The keyword it needs.
        for name in PRIVATE_VARIABLES.iter().filter(|name| **name != KEYWORD_VARIABLE) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let program = self.program.display();
        let failed = |why: String| Error::failed(format!("cannot start {program} anew: {why}"));
        let output = match timeout(REHEARSAL, command.output()).await {
            Ok(output) => output.map_err(|e| failed(io_reason(&e)))?,
            Err(_) => return Err(failed(format!("no answer within {} s", REHEARSAL.as_secs()))),
        };
        if output.status.success() {
            return Ok(());
        }
        let last = output.stdout.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
        let last = last.and_then(|line| serde_json::from_slice(line).ok());
        if let Some(Event::Failed { kind, message, hint }) = last {
            let hints = hint.map(|h| h.lines().map(str::to_owned).collect()).unwrap_or_default();
            return Err(Error { kind, message, hints });
        }
        // Its arguments are none of this release: clap says so.
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
        let error = failed(said.trim_start_matches("error: ").to_owned());
        Err(if output.status.code() == Some(2) { Error { kind: Kind::Usage, ..error } } else { error })
    }

    /// Becomes the new one. Comes back only when that fails.
    #[must_use]
    pub fn exec(&self, gap: Option<Handover>) -> Error {
        let ports = self.wanted.get().cloned().unwrap_or_default();
        let renewal = Renewal { pid: std::process::id(), rehearsal: false, ports, gap };
        let error = self.command(&renewal).exec();
        Error::failed(format!("cannot start {} anew: {}", self.program.display(), io_reason(&error)))
    }
}

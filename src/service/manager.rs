//! systemd, asked through its own programs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;

/// Exists where systemd is the init system (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";

/// A program of systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// systemctl(1)
    Systemctl,
    /// systemd-analyze(1)
    Analyze,
    /// journalctl(1)
    Journalctl,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Systemctl => "systemctl",
            Self::Analyze => "systemd-analyze",
            Self::Journalctl => "journalctl",
        }
    }
}

/// Why there is nobody to give a unit to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoManager {
    /// Another init system, or none.
    NoSystemd,
    /// systemd runs, and no manager of this user.
    NoUserManager(String),
}

/// The manager of the machine, or that of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    user: bool,
    /// Where the user's manager has its sockets, when the environment does not say.
    runtime: Option<PathBuf>,
}

/// How a unit is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Active {
    /// `ActiveState`: active, activating, failed, …
    pub state: String,
    /// `SubState`: running, auto-restart, …
    pub sub: String,
    /// `UnitFileState`: enabled, disabled; empty when there is no such unit.
    pub enabled: String,
    /// `MainPID`; 0: none.
    pub pid: u32,
    /// `NRestarts`: restarts by itself.
    pub restarts: u64,
    /// `Result`: success, exit-code, signal, watchdog, …
    pub result: String,
    /// `ExecMainStatus`: exit code or signal of the last process.
    pub status: u8,
    /// `StatusText`: what the service says of itself.
    pub text: String,
    /// `InvocationID`: of this start.
    pub invocation: String,
    /// `Job`: something was asked for that is not done yet.
    pub queued: bool,
}

impl Manager {
    /// The manager of this user, or that of the machine.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find(user: bool) -> std::result::Result<Self, NoManager> {
        if !Path::new(BOOTED).is_dir() || version().is_none() {
            return Err(NoManager::NoSystemd);
        }
        let own = PathBuf::from(format!("/run/user/{}", rustix::process::getuid().as_raw()));
        let runtime = (user && std::env::var_os("XDG_RUNTIME_DIR").is_none() && own.is_dir()).then_some(own);
        let manager = Self { user, runtime };
        match manager.output(Tool::Systemctl, &["show", "--property=Version"]) {
            Ok(output) if output.status.success() => Ok(manager),
            Ok(output) => Err(NoManager::NoUserManager(said(&output))),
            Err(e) => Err(NoManager::NoUserManager(io_reason(&e))),
        }
    }

    /// Whether it is that of a user.
    #[must_use]
    pub fn is_user(&self) -> bool {
        self.user
    }

    /// What stands in front of a verb of its programs where it is that of a user.
    #[must_use]
    pub fn flag(&self) -> &'static str {
        if self.user { "--user " } else { "" }
    }

    fn output(&self, tool: Tool, args: &[&str]) -> std::io::Result<Output> {
        let mut command = Command::new(tool.name());
        // Its words are read here.
        command
            .env("LC_ALL", "C.UTF-8")
            .env("SYSTEMD_COLORS", "0")
            .env("SYSTEMD_PAGER", "")
            .stdin(std::process::Stdio::null());
        if self.user {
            command.arg("--user");
        }
        if let Some(runtime) = &self.runtime {
            command.env("XDG_RUNTIME_DIR", runtime);
        }
        command.args(args).output()
    }

    /// Runs `systemctl ARGS`.
    ///
    /// # Errors
    /// What it said.
    pub fn systemctl(&self, args: &[&str]) -> Result<()> {
        let shown = format!("systemctl {}{}", self.flag(), args.join(" "));
        match self.output(Tool::Systemctl, args) {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(Error::failed(format!("`{shown}` failed: {}", said(&output)))),
            Err(e) => Err(Error::failed(format!("cannot run `{shown}`: {}", io_reason(&e)))),
        }
    }

    /// How `unit` is.
    ///
    /// # Errors
    /// When the manager does not say.
    pub fn show(&self, unit: &str) -> Result<Active> {
        const ASKED: &str = "--property=ActiveState,SubState,UnitFileState,MainPID,NRestarts,Result,ExecMainStatus,StatusText,InvocationID,Job";
        let output = self
            .output(Tool::Systemctl, &["show", ASKED, unit])
            .map_err(|e| Error::failed(format!("cannot ask systemd about {unit}: {}", io_reason(&e))))?;
        if !output.status.success() {
            return Err(Error::failed(format!("cannot ask systemd about {unit}: {}", said(&output))));
        }
        Ok(Active::read(&String::from_utf8_lossy(&output.stdout)))
    }

    /// What systemd has against the unit at `path`; nothing where it cannot be asked.
    #[must_use]
    pub fn verify(&self, path: &Path) -> Vec<String> {
        let (file, name) = (path.to_string_lossy(), path.file_name().unwrap_or_default().to_string_lossy());
        let Ok(output) = self.output(Tool::Analyze, &["verify", "--man=no", &file]) else { return Vec::new() };
        // It looks at other units, too, and they are no business of ours.
        let text = String::from_utf8_lossy(&output.stderr);
        text.lines().filter(|line| line.contains(&*name)).map(escape_str).collect()
    }

    /// What `unit` wrote to the journal since its start `invocation`; nothing where the journal cannot be read.
    #[must_use]
    pub fn journal(&self, unit: &str, invocation: &str) -> String {
        let of = format!("_SYSTEMD_INVOCATION_ID={invocation}");
        let unit = format!("--{}={unit}", if self.user { "user-unit" } else { "unit" });
        // `--user` would be the user's journal alone, which a machine without a disk for it does not have.
        let machine = Self { user: false, runtime: None };
        match machine.output(Tool::Journalctl, &["--no-pager", "--quiet", "--output=cat", &unit, &of]) {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(_) => String::new(),
        }
    }
}

impl Active {
    /// Reads what `systemctl show` prints.
    fn read(text: &str) -> Self {
        let all: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let get = |key: &str| (*all.get(key).unwrap_or(&"")).to_owned();
        Self {
            state: get("ActiveState"),
            sub: get("SubState"),
            enabled: get("UnitFileState"),
            pid: get("MainPID").parse().unwrap_or(0),
            restarts: get("NRestarts").parse().unwrap_or(0),
            result: get("Result"),
            status: get("ExecMainStatus").parse().unwrap_or(0),
            text: get("StatusText"),
            invocation: get("InvocationID"),
            queued: !["", "0"].contains(&get("Job").as_str()),
        }
    }

    /// It runs and has said that it is up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.state.as_str(), "active" | "reloading")
    }

    /// Its process ended and it was not asked to.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state == "failed" || self.sub == "auto-restart"
    }

    /// There is a process, or soon will be.
    #[must_use]
    pub fn runs(&self) -> bool {
        matches!(self.state.as_str(), "active" | "reloading" | "activating" | "deactivating")
    }
}

/// The release of systemd that is installed, running or not; `None`: there is none.
#[must_use]
pub fn version() -> Option<u32> {
    let output = Command::new(Tool::Systemctl.name()).arg("--version").output().ok()?;
    release(&String::from_utf8_lossy(&output.stdout))
}

/// `252` of `systemd 252 (252.39-1~deb12u2)`.
fn release(text: &str) -> Option<u32> {
    let word = text.strip_prefix("systemd ")?.split_ascii_whitespace().next()?;
    let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    word[..digits].parse().ok()
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    if text.is_empty() { output.status.to_string() } else { escape_str(&text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_what_systemctl_says() {
        assert_eq!(release("systemd 252 (252.39-1~deb12u2)\n+PAM"), Some(252));
        assert_eq!(release("systemd 254-rc2\n"), Some(254));
        assert_eq!(release("systemctl 1\n"), None);
    }

    #[test]
    fn a_unit_is_as_the_manager_says() {
        let read = |state: &str, sub: &str| {
            Active::read(&format!("ActiveState={state}\nSubState={sub}\nMainPID=7\nExecMainStatus=4\nStatusText=a=b\n"))
        };
        let up = read("active", "running");
        assert!(up.is_up() && up.runs() && !up.has_ended());
        assert_eq!((up.pid, up.status, up.text.as_str()), (7, 4, "a=b"));
        assert!(read("activating", "auto-restart").has_ended() && read("failed", "failed").has_ended());
        assert!(!read("inactive", "dead").runs() && !read("inactive", "dead").has_ended());
        assert!(Active::read("Job=12\n").queued && !Active::read("Job=\n").queued && !Active::read("").queued);
    }
}

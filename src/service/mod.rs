//! A collector as a service: the texts that managers read, and who looks after them.
//!
//! [`Service`] says what is to run; `systemd` and `others` make text of it, `needs` what the service gets to see, `mark` tells our
//! files from others'. [`Manager`] talks to systemd, [`logout`] tells what a logout does to processes. What a collector says to
//! its manager is in [`message`], [`notify`] and [`watchdog`]; [`gap`] and [`restart`] are the pauses of one that fails early.

pub mod gap;
mod logind;
pub mod logout;
mod manager;
mod mark;
pub mod message;
mod needs;
pub mod notify;
mod others;
mod quote;
pub mod restart;
mod systemd;
pub mod watchdog;

use std::path::{Path, PathBuf};

pub use logind::{lingers, look as look_at_logout};
pub use manager::{Active, Manager, NoManager, version};
pub use mark::{Owner, difference, owner};
pub use needs::Needs;
pub use systemd::{runtime, state};

/// One collector, run by a service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The profile's name: file-safe.
    pub name: String,
    /// The program, absolute.
    pub program: PathBuf,
    /// For whom it runs.
    pub scope: Scope,
    /// Variables that lead it to its folders.
    pub environment: Vec<(String, String)>,
    /// Where the manager finds credentials, by name.
    pub credentials: Vec<(String, Credential)>,
    /// What it touches.
    pub needs: Needs,
}

/// For whom a service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The user who installs it.
    User,
    /// The machine, as this account.
    System(Account),
}

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User number.
    pub uid: u32,
    /// Number of the first group.
    pub gid: u32,
    /// Home folder.
    pub home: PathBuf,
}

/// Where a credential lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// In a file.
    Plain(String),
    /// In a file of `systemd-creds encrypt`.
    Encrypted(String),
}

impl Credential {
    fn key(&self) -> &'static str {
        match self {
            Self::Plain(_) => "LoadCredential",
            Self::Encrypted(_) => "LoadCredentialEncrypted",
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Plain(path) | Self::Encrypted(path) => path,
        }
    }
}

impl Service {
    /// The command that it runs.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let program = self.program.to_string_lossy().into_owned();
        let arguments = ["up", &self.name, "--foreground", "--keep-trying"].map(str::to_owned);
        [program].into_iter().chain(arguments).collect()
    }

    /// The name of its unit.
    #[must_use]
    pub fn unit_name(&self) -> String {
        unit_name(&self.name)
    }

    /// Its unit, for the release `version` of systemd; `None`: any.
    #[must_use]
    pub fn unit(&self, version: Option<u32>) -> String {
        mark::marked(&systemd::unit(self, version))
    }

    /// The folder by which it may write all that its account has, keys and profiles among it; `None`: there is none, or it may do what
    /// its user may in any case.
    #[must_use]
    pub fn opens(&self) -> Option<&Path> {
        match &self.scope {
            Scope::System(account) => needs::opens(&self.needs, &account.home),
            Scope::User => None,
        }
    }

    /// The same for launchd.
    #[must_use]
    pub fn launchd(&self) -> String {
        others::launchd(self)
    }

    /// The same for supervisord.
    #[must_use]
    pub fn supervisord(&self) -> String {
        others::supervisord(self)
    }
}

/// The unit of the profile `name`.
#[must_use]
pub fn unit_name(name: &str) -> String {
    format!("reclog-{name}.service")
}

#[cfg(test)]
mod testing {
    use std::time::Duration;

    use super::*;

    pub fn system() -> Scope {
        Scope::System(Account { name: "log".into(), uid: 7, gid: 7, home: "/home/log".into() })
    }

    pub fn service(scope: Scope) -> Service {
        Service {
            name: "web".into(),
            program: "/usr/bin/reclog".into(),
            scope,
            environment: Vec::new(),
            credentials: Vec::new(),
            needs: Needs {
                writes: vec!["/home/log/my logs".into()],
                reads: vec!["/home/log/.ssh/id_ed25519".into()],
                drain: Duration::from_secs(10),
                ..Needs::default()
            },
        }
    }
}

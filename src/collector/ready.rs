//! What a collector needs to know before it opens anything: how to get to the jump host, and the words of senders. One that
//! takes over from another is logged in there, too.

use std::sync::Arc;
use std::time::Duration;

use super::keywords::Keyring;
use super::signals::{Signal, Signals};
use super::{Event, Options};
use crate::control::Handover;
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::plan::{Plan, SshPlan};
use crate::ssh::{self, Connection, Memory, Phase, Settings};

/// See the module.
#[derive(Default)]
pub struct Ready {
    /// The way to the jump host; none for ports of this machine.
    pub settings: Option<Arc<Settings>>,
    /// The words of senders.
    pub keyring: Keyring,
    /// What a person said on the way in.
    pub memory: Arc<Memory>,
    /// A connection that is logged in.
    pub connection: Option<Box<Connection>>,
    /// What the collector before has left.
    pub gap: Option<Handover>,
}

impl Ready {
    /// Reads what `plan` refers to; whoever starts it hears notes and warnings.
    ///
    /// # Errors
    /// Usage when something is wrong with it; interrupted by a signal, or when it is `abandoned`.
    pub async fn read(
        plan: &Plan,
        options: &mut Options,
        signals: &mut Signals,
        abandoned: impl Future<Output = ()>,
    ) -> Result<Self> {
        let settings = match &plan.ssh {
            Some(way) => Some(Arc::new(resolved(way, signals, abandoned).await?)),
            None => None,
        };
        for note in settings.iter().flat_map(|settings| &settings.notes) {
            tracing::info!("{note}");
            options.person.tell(&format!("note: {note}"));
        }
        for warning in settings.iter().flat_map(|settings| settings.warnings()) {
            tracing::warn!("{warning}");
            options.person.tell(&format!("warning: {}", escape_str(&warning)));
        }
        let (keyring, warnings) = Keyring::read(plan, options.keyword.take()).await?;
        for warning in warnings {
            tracing::warn!("{warning}");
            options.person.tell(&format!("warning: {warning}"));
        }
        Ok(Self { settings, keyring, ..Self::default() })
    }

    /// Connects to the jump host and logs in, and asks it for nothing yet.
    ///
    /// # Errors
    /// As those of [`Connection::establish`]; interrupted as in [`Ready::read`].
    pub async fn log_in(
        &mut self,
        options: &Options,
        signals: &mut Signals,
        abandoned: impl Future<Output = ()>,
    ) -> Result<()> {
        let Some(settings) = self.settings.clone() else { return Ok(()) };
        let report = Arc::clone(&options.report);
        let step = move |phase: Phase, target: &str| report(&Event::Step { phase, target: target.to_owned() });
        let login = Connection::establish(settings, Arc::clone(&options.person), Arc::clone(&self.memory), &step);
        tokio::select! {
            biased;
            () = stopped(signals, abandoned) => Err(Error::interrupted()),
            connection = login => {
                self.connection = Some(Box::new(connection?));
                Ok(())
            }
        }
    }
}

/// Somebody wants no collector after all.
async fn stopped(signals: &mut Signals, abandoned: impl Future<Output = ()>) {
    tokio::select! {
        () = async { while signals.next().await != Signal::Stop {} } => {}
        () = abandoned => {}
    }
}

/// One Ctrl-C reaches this process and those that it started within this time.
const SAME_CTRL_C: Duration = Duration::from_millis(100);

/// What the ssh configuration says. It may run commands (`Match exec`), which take as long as they like; whoever waits may
/// have enough of it.
async fn resolved(way: &SshPlan, signals: &mut Signals, abandoned: impl Future<Output = ()>) -> Result<Settings> {
    let way = way.clone();
    let reading = tokio::task::spawn_blocking(move || ssh::resolve(&way));
    let stop = stopped(signals, abandoned);
    tokio::pin!(stop);
    let read = tokio::select! {
        biased;
        () = &mut stop => return Err(Error::interrupted()),
        read = reading => {
            read.unwrap_or_else(|_| Err(Error::failed("cannot read the ssh configuration: reclog failed")))
        }
    };
    // Ctrl-C ends a command of the configuration, too, and its end may be heard of first.
    if read.is_err() && tokio::time::timeout(SAME_CTRL_C, stop).await.is_ok() {
        return Err(Error::interrupted());
    }
    read
}

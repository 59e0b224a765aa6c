//! Signals, as a service manager and a person send them.

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use crate::error::{Error, Result, io_reason};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, SIGTERM, SIGQUIT: drain and stop.
    Stop,
    /// SIGUSR1: reconnect now.
    Kick,
    /// SIGHUP: look what stands under the outputs' names, and go on there; read keywords again. A terminal that goes says so, too; the
    /// collector stays.
    Reopen,
}

/// All signals that a collector listens to.
#[derive(Debug)]
pub struct Signals {
    interrupt: Stream,
    terminate: Stream,
    /// Ctrl-\, which by default would leave a terminal without echo at a question, and data unwritten.
    quit: Stream,
    hangup: Stream,
    user1: Stream,
    /// SIGXFSZ: taken so that a write beyond the file size limit is an error that is waited out, not the end.
    _too_large: Stream,
}

impl Signals {
    /// Takes the signals from their default actions.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> Result<Self> {
        let take =
            |kind| signal(kind).map_err(|e| Error::failed(format!("cannot listen to signals: {}", io_reason(&e))));
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
            quit: take(SignalKind::quit())?,
            hangup: take(SignalKind::hangup())?,
            user1: take(SignalKind::user_defined1())?,
            _too_large: take(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.quit.recv() => Signal::Stop,
            _ = self.user1.recv() => Signal::Kick,
            _ = self.hangup.recv() => Signal::Reopen,
        }
    }
}

//! One life of a connection: made, hop by hop, used for forwards, ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::auth::Memory;
use super::leg::{Leg, Progress};
use super::prompt::{Desk, Person};
use super::refusal::Refused;
use super::relay;
use super::routes::wire_address;
use super::server_process::{self, Identity, Past, Trace};
use super::settings::{PHASE_TIMEOUT, Settings};
use super::{reason, refusal};
use crate::error::{Error, Result};
use crate::intake::Intake;

/// One life of a connection, logged in.
pub struct Connection {
    pub(super) leg: Leg,
    /// What it goes through, the nearest first.
    pub(super) hops: Vec<Leg>,
    pub(super) granted: Vec<(String, u16)>,
    /// Unix sockets that were granted.
    pub(super) sockets: Vec<String>,
    /// The helper on the jump host, and the ports that it listens on.
    pub(super) relay: relay::State,
    pub(super) relayed: Vec<u16>,
    /// What could not be cleared away, a sentence each.
    pub(super) left: Vec<String>,
    /// A connection before this one may hold what is asked for.
    pub(super) retakes: bool,
    trace: Arc<Trace>,
    /// Finds out which process of the jump host serves us; ends with the connection.
    inquiry: Option<AbortOnDropHandle<()>>,
    /// One command a connection is enough.
    inquired: bool,
}

/// What is left on the jump host of connections that were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing, or there were none.
    Nothing,
    /// It is not known whether there is anything.
    Unknown,
    /// A process that this account may not end.
    OutOfReach,
}

impl Connection {
    /// Connects, checks host keys and logs in, at every hop and at the jump host itself; `progress` hears each phase as it
    /// begins.
    ///
    /// # Errors
    /// See [`crate::error::Kind`]: host key, refused login, or failed with the phase named. A hop is named as one.
    pub async fn establish(
        settings: Arc<Settings>,
        person: Arc<dyn Person>,
        memory: Arc<Memory>,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let desk = Desk::new(person, memory);
        let mut hops: Vec<Leg> = Vec::new();
        for hop in settings.jumps.iter().cloned().map(Arc::new) {
            match step(&hops, hop, &desk, progress).await {
                Ok(leg) => hops.push(leg),
                Err(mut error) => {
                    error.message = format!(
                        "{} (hop {} of {} on the way to {})",
                        error.message,
                        hops.len() + 1,
                        settings.jumps.len(),
                        settings.target()
                    );
                    close(hops).await;
                    return Err(error);
                }
            }
        }
        match step(&hops, settings, &desk, progress).await {
            Ok(leg) => {
                let (granted, sockets, left) = (Vec::new(), Vec::new(), Vec::new());
                let (relay, relayed) = (relay::State::default(), Vec::new());
                let (trace, inquiry) = (Arc::default(), None);
                let (retakes, inquired) = (false, false);
                Ok(Self { leg, hops, granted, sockets, relay, relayed, left, retakes, trace, inquiry, inquired })
            }
            Err(error) => {
                close(hops).await;
                Err(error)
            }
        }
    }

    /// Asks for the port of `intake`'s plan, or for `port` if the jump host chose one before; or for its Unix socket, whose
    /// port is 0. Returns the port; `None` when
    /// it was refused, [`explain`](Self::explain) then says why.
    ///
    /// # Errors
    /// Failed when the jump host says nothing, refused when it never will.
    pub async fn ask(&mut self, intake: &Intake, port: u16) -> Result<Option<u16>> {
        if let Some(path) = socket_of(intake) {
            return Ok(self.ask_socket(intake, &path).await?.then_some(0));
        }
        let address = wire_address(&intake.plan().bind);
        self.leg.routes.expect(address, port, intake.clone());
        let asked = timeout(PHASE_TIMEOUT, self.leg.handle.tcpip_forward(address, u32::from(port))).await;
        let target = self.target();
        let answer = match asked {
            Ok(Ok(chosen)) => {
                let chosen = if port == 0 { u16::try_from(chosen).unwrap_or(0) } else { port };
                if chosen != 0 {
                    self.leg.routes.chosen(address, chosen);
                    self.granted.push((address.to_owned(), chosen));
                    return Ok(Some(chosen));
                }
                Err(Error::failed(format!("{target} granted a port and did not say which")))
            }
            Ok(Err(russh::Error::RequestDenied)) => Ok(None),
            Ok(Err(e)) => Err(Error::failed(format!(
                "lost the connection to {target} while asking for port {port}: {}",
                reason(&e)
            ))),
            Err(_) if refusal::has_no_forwards(self.leg.meter.software()) => {
                Err(refusal::without_forwards(&target, self.leg.meter.software(), &intake.plan().bind, port))
            }
            Err(_) => Err(Error::failed(format!(
                "{target} did not answer the request for port {port} within {} s (phase: forward)",
                PHASE_TIMEOUT.as_secs()
            ))),
        };
        self.leg.routes.forget(address, port);
        answer
    }

    /// Why `port`, or the socket of `intake`, was refused; asks the jump host a few more questions.
    pub async fn explain(&self, intake: &Intake, port: u16) -> Refused {
        if let Some(path) = socket_of(intake) {
            return self.explain_socket(&path).await;
        }
        let software = self.leg.meter.software();
        refusal::explain(&self.leg.handle, &self.leg.settings, software, &intake.plan().bind, port).await
    }

    /// The error for `port`, or for the socket of `intake`, which was ours and which nobody here can free.
    #[must_use]
    pub fn still_held(&self, intake: &Intake, port: u16, left: Left) -> Error {
        let shell = left == Left::Unknown && self.leg.settings.commands;
        if let Some(path) = socket_of(intake) {
            return self.socket_still_held(&path, shell);
        }
        refusal::still_held(&self.target(), self.leg.meter.software(), port, shell)
    }

    /// `user@host:port`.
    #[must_use]
    pub fn target(&self) -> String {
        self.leg.settings.target()
    }

    /// What this connection leaves behind when it is lost.
    #[must_use]
    pub fn trace(&self) -> &Arc<Trace> {
        &self.trace
    }

    /// The process of the jump host that serves this connection, once it is known.
    #[must_use]
    pub fn process(&self) -> Option<&Identity> {
        self.trace.identity()
    }

    /// Begins to find out which process of the jump host serves this connection; nothing waits for that. An account that
    /// may run no command never tells, and does without.
    pub fn inquire(&mut self, past: &Arc<Past>) {
        if self.inquired || !self.leg.settings.commands {
            return;
        }
        self.inquired = true;
        let (handle, trace, past) = (Arc::clone(&self.leg.handle), Arc::clone(&self.trace), Arc::clone(past));
        self.inquiry = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let mark = server_process::mark();
            let identity = server_process::run_at_leisure(&handle, server_process::find(&mark), &mark).await.identity;
            tracing::debug!(?identity, "the process of the jump host that serves this connection");
            if let Some(identity) = identity {
                trace.found(identity);
                past.keep().await;
            }
        })));
    }

    /// Ends the processes of connections that were lost, as far as they are known and still there.
    pub async fn end(&mut self, past: &Past) -> Left {
        let (all, known): (usize, Vec<Identity>) = {
            let processes = past.processes();
            (processes.len(), processes.into_iter().flatten().collect())
        };
        self.retakes = all > 0;
        if known.is_empty() || self.inquired || !self.leg.settings.commands {
            return if all == 0 { Left::Nothing } else { Left::Unknown };
        }
        self.inquired = true;
        let mark = server_process::mark();
        let said = server_process::run(&self.leg.handle, server_process::end(&mark, &known), &mark).await;
        let mut over = 0;
        for who in &known {
            let fate = said.fate(who);
            tracing::info!(
                pid = who.pid,
                ?fate,
                "what became of the jump host's process of the connection that was lost"
            );
            over += usize::from(fate.is_some_and(server_process::Fate::is_over));
        }
        if let Some(identity) = said.identity {
            self.trace.found(identity);
        }
        match over {
            _ if over == all => Left::Nothing,
            _ if over < known.len() => Left::OutOfReach,
            _ => Left::Unknown,
        }
    }

    /// Every port is granted: lets senders in, those first who came meanwhile and were kept waiting.
    pub async fn open_doors(&self) {
        self.leg.porch.open(&self.leg.seats).await;
        self.start_relaying().await;
    }

    /// Gives all ports and sockets back: nobody new gets in. Waits for the jump host's word, but no longer than a phase.
    pub async fn cancel(&mut self) {
        let mut confirmed = self.stop_relaying().await;
        for (address, port) in std::mem::take(&mut self.granted) {
            confirmed &= self.cancel_one(&address, port).await;
        }
        confirmed &= self.cancel_sockets().await;
        if confirmed {
            self.trace.leave();
        }
    }

    /// Gives back the port of `intake`'s plan alone; false when the jump host does not confirm that.
    pub async fn give_back(&mut self, intake: &Intake, port: u16) -> bool {
        let address = wire_address(&intake.plan().bind);
        self.granted.retain(|(at, granted)| at != address || *granted != port);
        self.cancel_one(address, port).await
    }

    pub(super) async fn cancel_one(&self, address: &str, port: u16) -> bool {
        let cancel = self.leg.handle.cancel_tcpip_forward(address, u32::from(port));
        let confirmed = matches!(timeout(PHASE_TIMEOUT, cancel).await, Ok(Ok(())));
        if !confirmed {
            tracing::debug!(port, "the jump host did not confirm that the port is closed");
        }
        self.leg.routes.forget(address, port);
        confirmed
    }

    /// Our address of the wire to the first host on the way; none behind a program.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.hops.first().unwrap_or(&self.leg).local_address()
    }

    /// Waits until it is lost and says how; a hop that was lost is named.
    pub async fn lost(&mut self) -> Error {
        let Self { leg, relay, .. } = self;
        let error = tokio::select! {
            biased;
            error = leg.lost() => error,
            error = Self::relay_lost(relay) => return error,
        };
        // Whoever goes first takes the others along.
        let first = self.hops.iter_mut().find_map(|hop| hop.is_lost().map(|error| (hop.settings.target(), error)));
        match first {
            Some((hop, error)) => Error { message: format!("{} (hop {hop})", error.message), ..error },
            None => error,
        }
    }

    /// Says good-bye and waits for the end of the connection, at most for `patience`.
    pub async fn close(mut self, patience: Duration) {
        if let Some(inquiry) = self.inquiry.take() {
            inquiry.abort();
            let _ = inquiry.await;
        }
        self.leg.close(patience).await;
        close(self.hops).await;
    }
}

/// The path of the Unix socket that `intake` is for.
fn socket_of(intake: &Intake) -> Option<String> {
    // It was text when it was read.
    intake.plan().transport.socket().map(|path| path.to_string_lossy().into_owned())
}

/// The time that saying good-bye to a hop may take; nothing depends on its answer.
const HOP_FAREWELL: Duration = Duration::from_millis(250);

async fn close(mut hops: Vec<Leg>) {
    while let Some(hop) = hops.pop() {
        hop.close(HOP_FAREWELL).await;
    }
}

async fn step(hops: &[Leg], settings: Arc<Settings>, desk: &Desk, progress: Progress<'_>) -> Result<Leg> {
    let desk = &desk.behind(hops.len());
    match hops.last() {
        None => Leg::first(settings, desk, progress).await,
        Some(hop) => hop.next(settings, desk, progress).await,
    }
}

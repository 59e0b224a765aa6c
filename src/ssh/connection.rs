//! One life of a connection: made, hop by hop, used for forwards, ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::auth::Memory;
use super::leg::{Leg, Progress};
use super::prompt::{Desk, Person};
use super::routes::wire_address;
use super::settings::{PHASE_TIMEOUT, Settings};
use super::{reason, refusal};
use crate::error::{Error, Result};
use crate::intake::Intake;

/// One life of a connection, logged in.
pub struct Connection {
    pub(super) leg: Leg,
    /// What it goes through, the nearest first.
    hops: Vec<Leg>,
    granted: Vec<(String, u16)>,
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
            Ok(leg) => Ok(Self { leg, hops, granted: Vec::new() }),
            Err(error) => {
                close(hops).await;
                Err(error)
            }
        }
    }

    /// Asks for the port of `intake`'s plan, or for `port` if the jump host chose one before. Returns the port.
    ///
    /// # Errors
    /// Refused (exit code 4) when the jump host says no, failed when it says nothing.
    pub async fn forward(&mut self, intake: &Intake, port: u16) -> Result<u16> {
        let address = wire_address(&intake.plan().bind);
        self.leg.routes.expect(address, port, intake.clone());
        let asked = timeout(PHASE_TIMEOUT, self.leg.handle.tcpip_forward(address, u32::from(port))).await;
        let target = self.leg.settings.target();
        let error = match asked {
            Ok(Ok(chosen)) => {
                let chosen = if port == 0 { u16::try_from(chosen).unwrap_or(0) } else { port };
                if chosen != 0 {
                    self.leg.routes.chosen(address, chosen);
                    self.granted.push((address.to_owned(), chosen));
                    return Ok(chosen);
                }
                Error::failed(format!("{target} granted a port and did not say which"))
            }
            Ok(Err(russh::Error::RequestDenied)) => {
                let software = self.leg.meter.software();
                refusal::explain(&self.leg.handle, &self.leg.settings, software, &intake.plan().bind, port).await
            }
            Ok(Err(e)) => {
                Error::failed(format!("lost the connection to {target} while asking for port {port}: {}", reason(&e)))
            }
            Err(_) if refusal::has_no_forwards(self.leg.meter.software()) => {
                refusal::without_forwards(&target, self.leg.meter.software(), &intake.plan().bind, port)
            }
            Err(_) => Error::failed(format!(
                "{target} did not answer the request for port {port} within {} s (phase: forward)",
                PHASE_TIMEOUT.as_secs()
            )),
        };
        self.leg.routes.forget(address, port);
        Err(error)
    }

    /// Gives all ports back: nobody new gets in. Waits for the jump host's word, but no longer than a phase.
    pub async fn cancel(&mut self) {
        for (address, port) in std::mem::take(&mut self.granted) {
            let cancelled =
                timeout(PHASE_TIMEOUT, self.leg.handle.cancel_tcpip_forward(address.as_str(), u32::from(port))).await;
            if !matches!(cancelled, Ok(Ok(()))) {
                tracing::debug!(port, "the jump host did not confirm that the port is closed");
            }
            self.leg.routes.forget(&address, port);
        }
    }

    /// Waits until it is lost and says how; a hop that was lost is named.
    pub async fn lost(&mut self) -> Error {
        let error = self.leg.lost().await;
        // Whoever goes first takes the others along.
        let first = self.hops.iter_mut().find_map(|hop| hop.is_lost().map(|error| (hop.settings.target(), error)));
        match first {
            Some((hop, error)) => Error { message: format!("{} (hop {hop})", error.message), ..error },
            None => error,
        }
    }

    /// Says good-bye and waits for the end of the connection, at most for `patience`.
    pub async fn close(self, patience: Duration) {
        self.leg.close(patience).await;
        close(self.hops).await;
    }
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

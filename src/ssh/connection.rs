//! One life of a connection: made, used for forwards, ended.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use russh::Disconnect;
use russh::client::Handle;
use tokio::io::BufReader;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::auth::{self, Memory};
use super::handler::{Guest, Refusal, Stop};
use super::host_key::KnownHosts;
use super::prompt::{Desk, Person, Waited};
use super::routes::Routes;
use super::settings::{PHASE_TIMEOUT, Settings};
use super::socket::{self, Metered};
use super::{Phase, algorithms, reason, refusal};
use crate::error::{Error, Result};
use crate::intake::Intake;

/// The window of one sender in bytes: also what sshd may buffer for it on the jump host. OpenSSH's own is 2 MiB; the
/// third is what a renewal of keys under load needs, see [`super::rekey`].
const WINDOW: u32 = 3 * 1024 * 1024;
/// The largest packet; OpenSSH's own size, and sshd reads no more at a time.
const MAX_PACKET: u32 = 32 * 1024;
/// Bytes read from the socket at once. Fewer, larger reads are the cheapest speed there is.
const READ_BUFFER: usize = 256 * 1024;

/// One life of a connection, logged in.
pub struct Connection {
    handle: Handle<Guest>,
    settings: Arc<Settings>,
    routes: Routes,
    granted: Vec<(String, u16)>,
    ended: oneshot::Receiver<Error>,
    /// Ends the library's loop when the connection is dropped, whatever that loop is waiting for.
    _kill: DropGuard,
}

impl Connection {
    /// Connects, checks the host key and logs in; `progress` hears each phase as it begins.
    ///
    /// # Errors
    /// See [`crate::error::Kind`]: host key, refused login, or failed with the phase named.
    pub async fn establish(
        settings: Arc<Settings>,
        person: Arc<dyn Person>,
        memory: Arc<Memory>,
        progress: &(dyn Fn(Phase) + Sync),
    ) -> Result<Self> {
        let known = KnownHosts::read(&settings, &memory.accepted)?;
        let desk = Desk::new(person, memory);
        progress(Phase::Connect);
        let stream = socket::dial(&settings.host, settings.port, settings.connect_timeout).await?;
        let dead_after = settings.keepalive.map(|k| k * u32::try_from(settings.keepalive_count + 1).unwrap_or(4));
        socket::tune(&stream, dead_after);

        let kill = CancellationToken::new();
        let (phase, phases) = watch::channel(Phase::Banner);
        let (stream, meter) = Metered::new(stream, phase, &kill);
        let config = Arc::new(library_config(&settings, &known));
        let (ended_tx, ended) = oneshot::channel();
        let (routes, refusal) = (Routes::default(), Refusal::default());
        let guest = Guest {
            settings: Arc::clone(&settings),
            known,
            desk: desk.clone(),
            routes: routes.clone(),
            meter,
            kill: kill.clone(),
            refusal: Arc::clone(&refusal),
            ended: Some(ended_tx),
            senders: HashMap::new(),
            rekey: None,
        };
        let kill = kill.drop_guard();
        let stream = BufReader::with_capacity(READ_BUFFER, stream);
        let greeting = russh::client::connect_stream(config, stream, guest);
        let (handle, phase) = watch_phases(greeting, phases, &settings, &desk.waited, progress).await?;
        let mut handle = handle.map_err(|e| {
            refusal.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(|| {
                let why = match &e {
                    Stop::Ssh(e) => reason(e),
                    e @ Stop::Abandoned => e.to_string(),
                };
                greeting_error(&settings, &e, phase, &why)
            })
        })?;
        progress(Phase::Authentication);
        auth::authenticate(&mut handle, &settings, &desk).await?;
        Ok(Self { handle, settings, routes, granted: Vec::new(), ended, _kill: kill })
    }

    /// Asks for the port of `intake`'s plan, or for `port` if the jump host chose one before. Returns the port.
    ///
    /// # Errors
    /// Refused (exit code 4) when the jump host says no, failed when it says nothing.
    pub async fn forward(&mut self, intake: &Intake, port: u16) -> Result<u16> {
        let address = wire_address(&intake.plan().bind);
        self.routes.expect(address, port, intake.clone());
        let asked = timeout(PHASE_TIMEOUT, self.handle.tcpip_forward(address, u32::from(port))).await;
        let target = self.settings.target();
        let error = match asked {
            Ok(Ok(chosen)) => {
                let chosen = if port == 0 { u16::try_from(chosen).unwrap_or(0) } else { port };
                if chosen != 0 {
                    self.routes.chosen(address, chosen);
                    self.granted.push((address.to_owned(), chosen));
                    return Ok(chosen);
                }
                Error::failed(format!("{target} granted a port and did not say which"))
            }
            Ok(Err(russh::Error::RequestDenied)) => refusal::explain(&target, intake.plan().bind.as_str(), port),
            Ok(Err(e)) => {
                Error::failed(format!("lost the connection to {target} while asking for port {port}: {}", reason(&e)))
            }
            Err(_) => Error::failed(format!(
                "{target} did not answer the request for port {port} within {} s (phase: forward)",
                PHASE_TIMEOUT.as_secs()
            )),
        };
        self.routes.forget(address, port);
        Err(error)
    }

    /// Gives all ports back: nobody new gets in. Waits for the jump host's word, but no longer than a phase.
    pub async fn cancel(&mut self) {
        for (address, port) in std::mem::take(&mut self.granted) {
            let cancelled =
                timeout(PHASE_TIMEOUT, self.handle.cancel_tcpip_forward(address.as_str(), u32::from(port))).await;
            if !matches!(cancelled, Ok(Ok(()))) {
                tracing::debug!(port, "the jump host did not confirm that the port is closed");
            }
            self.routes.forget(&address, port);
        }
    }

    /// Waits until the connection is lost and says how.
    pub async fn lost(&mut self) -> Error {
        (&mut self.ended).await.unwrap_or_else(|_| Error::failed("the connection to the jump host was lost"))
    }

    /// Says good-bye and waits for the end of the connection, at most for `patience`.
    pub async fn close(self, patience: Duration) {
        let Self { handle, _kill, .. } = self;
        let farewell = async {
            let _ = handle.disconnect(Disconnect::ByApplication, "", "").await;
            let _ = handle.await;
        };
        let _ = timeout(patience, farewell).await;
    }
}

fn library_config(settings: &Settings, known: &KnownHosts) -> russh::client::Config {
    russh::client::Config {
        client_id: russh::SshId::Standard(concat!("SSH-2.0-reclog_", env!("CARGO_PKG_VERSION")).into()),
        limits: algorithms::library_limits(),
        window_size: WINDOW,
        maximum_packet_size: MAX_PACKET,
        preferred: algorithms::preferred(&settings.algorithms, &known.algorithms(), known.wants_certificates()),
        keepalive_interval: settings.keepalive,
        keepalive_max: settings.keepalive_count,
        nodelay: true,
        ..russh::client::Config::default()
    }
}

/// Awaits `greeting` under a deadline for each phase.
async fn watch_phases<T>(
    greeting: impl Future<Output = T>,
    mut phases: watch::Receiver<Phase>,
    settings: &Settings,
    waited: &Waited,
    progress: &(dyn Fn(Phase) + Sync),
) -> Result<(T, Phase)> {
    tokio::pin!(greeting);
    let mut phase = Phase::Banner;
    progress(phase);
    let mut deadline = Box::pin(waited.run_out(settings.connect_timeout));
    loop {
        tokio::select! {
            biased;
            done = &mut greeting => {
                return Ok((done, *phases.borrow()));
            }
            Ok(()) = phases.changed() => {
                phase = *phases.borrow_and_update();
                progress(phase);
                deadline = Box::pin(waited.run_out(settings.connect_timeout));
            }
            () = &mut deadline => {
                return Err(Error::failed(format!(
                    "{} did not answer within {} s (phase: {})",
                    settings.target(),
                    settings.connect_timeout.as_secs(),
                    phase.as_str()
                ))
                .hint(match phase {
                    Phase::Banner => "something accepts connections there but does not speak SSH; is the port right (-p)?",
                    _ => "the server hangs, or something between you and it lets only small packets through (MTU)",
                }));
            }
        }
    }
}

fn greeting_error(settings: &Settings, error: &Stop, phase: Phase, why: &str) -> Error {
    let target = settings.target();
    match error {
        Stop::Ssh(russh::Error::NoCommonAlgo { kind, ours, theirs }) => Error::failed(format!(
            "{target} and reclog have no {kind:?} algorithm in common: it offers {}",
            crate::escape::escape_str(&theirs.join(", "))
        ))
        .hint(format!("reclog offers {}", ours.join(", "))),
        Stop::Ssh(russh::Error::Version) => {
            Error::failed(format!("{target} does not speak SSH 2")).hint("is the port right (-p)?")
        }
        _ if phase == Phase::Banner => {
            Error::failed(format!("{target} ended the connection before it said that it speaks SSH: {why}"))
                .hint("is the port right (-p)? A server that is overloaded or has banned you (MaxStartups, fail2ban) does so, too")
        }
        _ => Error::failed(format!("cannot start an SSH connection to {target}: {why}")),
    }
}

/// The address on the wire: RFC 4254, section 7.1 has an empty string for all interfaces of both families.
fn wire_address(bind: &str) -> &str {
    if bind == "*" { "" } else { bind }
}

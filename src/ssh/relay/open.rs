//! Ports that the helper opens.

use std::time::Duration;

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use tokio::time::timeout;

use super::command::{Open, Opened};
use super::hello::{RANDOM, Secret};
use super::helper::{Helper, Start};
use super::{Before, State};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::intake::Intake;
use crate::plan::{Transport, bracketed};
use crate::ssh::connection::Connection;
use crate::ssh::leg::Leg;
use crate::ssh::reason;
use crate::ssh::settings::PHASE_TIMEOUT;

/// Where sshd opens a port of its own choice, whatever `GatewayPorts` says.
const LOOPBACK: &str = "127.0.0.1";
/// How long a port is tried again that a connection which was lost may still hold, in seconds.
const PATIENCE: u64 = 8;

/// What is wanted.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The stream's number in the plan.
    pub stream: u16,
    /// The stream.
    pub intake: &'a Intake,
    /// What is to be opened of it.
    pub transport: &'a Transport,
    /// The port; 0: the helper chooses.
    pub port: u16,
    /// A connection that was lost may still have it.
    pub held: bool,
}

/// What came of it.
pub enum Relayed {
    /// It is open, nobody is let in yet. The note is for a person.
    At {
        /// The port.
        port: u16,
        /// What else is worth knowing.
        note: Option<String>,
    },
    /// There is no relay to be had; why, with what to do about it.
    Unavailable(Error),
}

impl Connection {
    /// Has the helper open a port; starts it when it does not run.
    ///
    /// # Errors
    /// Refused when the port is not to be had, failed when the connection or the helper is lost on the way.
    pub async fn relay(&mut self, place: Place<'_>, before: &Before) -> Result<Relayed> {
        self.start_helper(before).await?;
        let target = self.target();
        if let State::Unavailable(why) = &self.relay {
            let port = place.port;
            let error = Error::refused(format!("cannot relay port {port} on {target}: {why}"));
            return Ok(Relayed::Unavailable(error.hint(
                "a relay needs python3 (3.6 or newer) or perl on the jump host, and an account that may run commands; \
                 without one, `GatewayPorts clientspecified` in sshd_config there makes the port public",
            )));
        }
        let forward = if place.transport.has_tcp() { self.loopback_forward(place.intake).await? } else { 0 };
        if place.transport.has_udp() {
            self.leg.ears.door(place.stream, place.intake.lingering_datagrams());
        }
        match self.open(place, forward, before).await {
            Ok((port, lacks)) => {
                if forward != 0 {
                    self.leg.routes.relays(LOOPBACK, forward, port);
                    self.granted.push((LOOPBACK.to_owned(), forward));
                    self.relayed.push(port);
                }
                let note = (!lacks.is_empty()).then(|| {
                    let family = if lacks == ["v6"] { "IPv6" } else { "IPv4" };
                    format!("{target} has no {family}: nobody gets to port {port} that way")
                });
                Ok(Relayed::At { port, note })
            }
            Err(error) => {
                self.leg.ears.no_door(place.stream);
                if forward != 0 {
                    self.cancel_one(LOOPBACK, forward).await;
                }
                Err(error)
            }
        }
    }

    async fn start_helper(&mut self, before: &Before) -> Result<()> {
        if !matches!(self.relay, State::Untried) {
            return Ok(());
        }
        if !self.leg.settings.commands {
            self.relay = State::Unavailable("its settings say that no command is run there (SessionType none)".into());
            return Ok(());
        }
        let mut random = [0; RANDOM];
        OsRng
            .try_fill_bytes(&mut random)
            .map_err(|e| Error::failed(format!("cannot make a secret for the relay: {e}")))?;
        let Leg { handle, ears, lobby, meter, ended, .. } = &mut self.leg;
        let start = Start { handle, ears, lobby, meter };
        let started = tokio::select! {
            error = ended.wait() => return Err(error),
            started = start.start(Secret::new(&random)) => started,
        };
        self.relay = match started {
            Ok(helper) => {
                tracing::info!(interpreter = helper.interpreter, "a relay runs on the jump host");
                let ends = before.ends();
                before.started(helper.process.as_ref());
                helper.order(ends).await?;
                State::Runs(helper)
            }
            Err(why) => State::Unavailable(escape_str(&why)),
        };
        Ok(())
    }

    /// A port of sshd's choice on its loopback interface.
    async fn loopback_forward(&mut self, intake: &Intake) -> Result<u16> {
        self.leg.routes.expect_relayed(LOOPBACK, intake.clone());
        let target = self.target();
        let answer = match timeout(PHASE_TIMEOUT, self.leg.handle.tcpip_forward(LOOPBACK, 0)).await {
            Ok(Ok(port)) => match u16::try_from(port) {
                Ok(port) if port != 0 => {
                    self.leg.routes.chosen(LOOPBACK, port);
                    return Ok(port);
                }
                _ => Err(Error::failed(format!("{target} granted a port and did not say which"))),
            },
            Ok(Err(russh::Error::RequestDenied)) => Err(denied(&target, &escape_str(&self.leg.settings.user))),
            Ok(Err(e)) => Err(Error::failed(format!(
                "lost the connection to {target} while asking for the port of a relay: {}",
                reason(&e)
            ))),
            Err(_) => Err(Error::failed(format!(
                "{target} did not answer the request for the port of a relay within {} s (phase: forward)",
                PHASE_TIMEOUT.as_secs()
            ))),
        };
        self.leg.routes.forget(LOOPBACK, 0);
        answer
    }

    /// The port, and the address families that the jump host lacks.
    async fn open(&mut self, place: Place<'_>, forward: u16, before: &Before) -> Result<(u16, Vec<String>)> {
        let Place { stream, intake, transport, port, held } = place;
        let bind = &intake.plan().bind;
        let (target, patience) = (self.target(), if held { PATIENCE } else { 0 });
        let what = format!("cannot open {}:{port} on {target}", bracketed(bind));
        let State::Runs(helper) = &mut self.relay else { return Err(Error::failed(format!("{what}: no relay runs"))) };
        let order = Open { stream, transport, bind, port, target: forward, patience }.order();
        let order = order.ok_or_else(|| Error::refused(format!("{what}: {} is no address", escape_str(bind))))?;
        let longer = Duration::from_secs(patience + 2);
        let opened = helper.ask(order, longer, |line| Opened::parse(line, stream)).await?;
        before.only(helper.process.as_ref());
        match opened {
            Opened::At { port, lacks } => Ok((port, lacks)),
            Opened::Not { code, family, transport, why } => {
                Err(not_opened(&what, &code, &family, &transport, &escape_str(&why), port))
            }
        }
    }

    /// Whether the helper listens on `port`.
    #[must_use]
    pub fn is_relayed(&self, port: u16) -> bool {
        self.relayed.contains(&port)
    }

    /// The helper lets senders in.
    pub(in crate::ssh) async fn start_relaying(&self) {
        if let State::Runs(helper) = &self.relay
            && let Err(error) = helper.order("go\n".to_owned()).await
        {
            self.leg.ears.give_up(&error.message);
        }
    }

    /// The helper stops listening, whoever is in stays. False when it does not say so in time.
    pub(in crate::ssh) async fn stop_relaying(&mut self) -> bool {
        self.relayed.clear();
        let State::Runs(helper) = &mut self.relay else { return true };
        let shut = |line: &str| (line == "shut").then_some(());
        helper.ask("shut\n".to_owned(), Duration::ZERO, shut).await.is_ok()
    }

    /// Waits until the helper is no more, if there is one.
    pub(in crate::ssh) async fn relay_lost(relay: &mut State) -> Error {
        match relay {
            State::Runs(helper) => Helper::lost(helper).await,
            _ => std::future::pending().await,
        }
    }
}

/// The server lets us have no port of its choice.
fn denied(target: &str, user: &str) -> Error {
    Error::refused(format!(
        "{target} refused to open a port of its own choice on {LOOPBACK}, which a relay needs: most likely its rules allow \
         certain ports only, or no forwards at all"
    ))
    .hint(format!(
        "in authorized_keys there, before the key: permitlisten=\"{LOOPBACK}:*\" (and not restrict, unless port-forwarding \
         stands beside it)"
    ))
    .hint(format!(
        "this allows it in sshd_config there: Match User {user}, and below it AllowTcpForwarding remote and \
         PermitListen {LOOPBACK}:*"
    ))
}

/// The helper's system refused the port.
fn not_opened(what: &str, code: &str, family: &str, transport: &str, why: &str, port: u16) -> Error {
    let (kind, of) = if transport == "udp" { ("u", "UDP ") } else { ("t", "") };
    let over = match family {
        "v4" => " over IPv4",
        "v6" => " over IPv6",
        _ => "",
    };
    match code {
        "EADDRINUSE" => Error::refused(format!("{what}: another program listens on {of}port {port} there{over}"))
            .hint(format!("`ss -{kind}lnp 'sport = :{port}'` on the jump host shows who listens"))
            .hint("or choose another port with --remote-port; 0 lets the jump host choose"),
        "EACCES" => Error::refused(format!("{what}: only root may open that port there"))
            .hint(format!("choose one from 1024 on, not {port}")),
        "EADDRNOTAVAIL" => Error::refused(format!("{what}: that is no address of the jump host"))
            .hint("`ip address` there shows its own; without --bind all of them are meant"),
        _ => Error::refused(format!("{what}{over}: {why}")),
    }
}

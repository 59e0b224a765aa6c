//! Unix sockets on the jump host: asked for as ports are, and their files taken away where a shell can do it.

use std::time::Duration;

use russh::client::{ChannelOpenHandle, Msg};
use russh::{Channel, ChannelOpenFailure};
use tokio::time::timeout;

use super::auth::brief;
use super::connection::Connection;
use super::handler::{Guest, Stop};
use super::porch::Caller;
use super::prompt::Person;
use super::reason;
use super::refusal::{self, Refused, Socket};
use super::server_process::{self, Look, Seen, There};
use super::settings::PHASE_TIMEOUT;
use crate::error::{Error, Result};
use crate::intake::Intake;

/// The time that a look with a shell may take: its start, and next to nothing beside.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same where a look only makes a warning of it.
const BRIEFLY: Duration = Duration::from_secs(2);

/// The name of a sender: the jump host does not tell which of its programs it is.
const PEER: &str = "unix";

impl Connection {
    fn socket<'a>(&'a self, target: &'a str, path: &'a str) -> Socket<'a> {
        Socket { target, user: &self.leg.settings.user, software: self.leg.meter.software(), path }
    }

    /// Asks for the socket `path`; a leftover in its place is removed first. `false`: refused.
    ///
    /// # Errors
    /// Failed when the jump host says nothing, refused when it never will.
    pub(super) async fn ask_socket(&mut self, intake: &Intake, path: &str) -> Result<bool> {
        // `StreamLocalBindUnlink yes` would take it from whoever listens. What a lost connection of ours holds may be taken.
        if !self.retakes && self.answers(path).await {
            return Ok(false);
        }
        self.leg.routes.expect_socket(path, intake.clone());
        let mut granted = self.request(path).await;
        if matches!(granted, Ok(false))
            && self.look(path, Look::Remove, PATIENCE).await.is_some_and(|s| s.there == There::Removed)
        {
            tracing::info!(path, "removed the socket that an earlier connection had left on the jump host");
            granted = self.request(path).await;
        }
        if let Ok(true) = granted {
            self.sockets.push(path.to_owned());
        } else {
            self.leg.routes.forget_socket(path);
        }
        granted
    }

    async fn request(&self, path: &str) -> Result<bool> {
        let target = self.target();
        match timeout(PHASE_TIMEOUT, self.leg.handle.streamlocal_forward(path)).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(russh::Error::RequestDenied)) => Ok(false),
            Ok(Err(e)) => Err(Error::failed(format!(
                "lost the connection to {target} while asking for the socket {path}: {}",
                reason(&e)
            ))),
            Err(_) if refusal::has_no_forwards(self.leg.meter.software()) => {
                Err(self.socket(&target, path).why(false, None).error)
            }
            Err(_) => Err(Error::failed(format!(
                "{target} did not answer the request for the socket {path} within {} s (phase: forward)",
                PHASE_TIMEOUT.as_secs()
            ))),
        }
    }

    /// Whether somebody on the jump host lets us in at `path`. False says little: the rules may forbid to try.
    async fn answers(&self, path: &str) -> bool {
        let opened = timeout(BRIEFLY, self.leg.handle.channel_open_direct_streamlocal(path)).await;
        let Ok(Ok(channel)) = opened else { return false };
        let _ = channel.close().await;
        true
    }

    /// What stands at `path`. `None` where no shell can tell.
    async fn look(&self, path: &str, look: Look, patience: Duration) -> Option<Seen> {
        if !self.leg.settings.commands {
            return None;
        }
        let mark = server_process::mark();
        let command = server_process::socket_command(&mark, path, look)?;
        let done = |output: &[u8]| server_process::socket_seen(output, &mark).is_some();
        let longest = server_process::LONGEST_SOCKET_OUTPUT;
        let output = server_process::output(&self.leg.handle, command, patience, longest, done).await;
        let seen = server_process::socket_seen(&output, &mark);
        tracing::debug!(path, ?seen, "looked at the socket on the jump host");
        seen
    }

    /// Why the socket `path` was refused.
    pub(super) async fn explain_socket(&self, path: &str) -> Refused {
        let answers = self.answers(path).await;
        let seen = if answers { None } else { self.look(path, Look::See, PATIENCE).await };
        self.socket(&self.target(), path).why(answers, seen.map(|seen| seen.there))
    }

    /// The error for the socket `path`, which was ours and which nobody here can free.
    pub(super) fn socket_still_held(&self, path: &str, shell: bool) -> Error {
        self.socket(&self.target(), path).still_held(shell)
    }

    /// Tells `person` of sockets that are for other accounts, too, as far as a shell can see that.
    pub async fn check_sockets(&self, person: &dyn Person) {
        for path in &self.sockets {
            if self.look(path, Look::Mode, BRIEFLY).await.is_some_and(|seen| seen.wide) {
                let warning = self.socket(&self.target(), path).wide();
                tracing::warn!("{warning}");
                person.tell(&format!("warning: {warning}"));
            }
        }
    }

    /// Gives all sockets back and removes their files; whether the jump host confirmed that nobody gets in any more. May be
    /// dropped half-way, and begun again.
    pub async fn cancel_sockets(&mut self) -> bool {
        let mut confirmed = true;
        while let Some(path) = self.sockets.last().cloned() {
            let cancelled = timeout(PHASE_TIMEOUT, self.leg.handle.cancel_streamlocal_forward(path.as_str())).await;
            // Denied: there is no such forward, for it was cancelled before.
            let cancelled = matches!(cancelled, Ok(Ok(()) | Err(russh::Error::RequestDenied)));
            confirmed &= cancelled;
            self.leg.routes.forget_socket(&path);
            // sshd leaves the file. Where the connection is gone already, so is the way to remove it.
            let seen = if cancelled { self.look(&path, Look::Remove, PATIENCE).await } else { None };
            if !matches!(seen, Some(Seen { there: There::Removed | There::Nothing, .. })) {
                let left = self.socket(&self.target(), &path).left();
                tracing::warn!("{left}");
                self.left.push(left);
            }
            self.sockets.pop();
        }
        confirmed
    }

    /// What is left on the jump host, a sentence each.
    #[must_use]
    pub fn left(&self) -> Vec<String> {
        let target = self.target();
        let held = self.sockets.iter().map(|path| self.socket(&target, path).left());
        self.left.iter().cloned().chain(held).collect()
    }
}

impl Guest {
    /// A sender of the socket `path`.
    pub(super) async fn local_sender(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
    ) -> std::result::Result<(), Stop> {
        let Some(intake) = self.routes.find_socket(path) else {
            let what = format!("a connection for the socket {}", brief(path));
            return self.unasked("forwarded-streamlocal", &what, reply).await;
        };
        if self.is_crowded()? {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        self.receive(Caller { channel, peer: PEER.to_owned(), intake, reply }).await;
        Ok(())
    }
}

//! Whether the ports that were granted are ours over IPv4 and over IPv6.
//!
//! A server grants a port when it got one of the two families; what is sent to the other one goes to whoever has it. So the
//! jump host is asked to connect to the port on both of its loopback addresses, and a line that nobody else can send
//! ([`nonce`]) must come back through our own forward ([`lookout`]). Listeners on all addresses and those of
//! `GatewayPorts no` are both behind these doors. What that means is in [`verdict`].

mod guest;
pub mod lookout;
mod nonce;
mod verdict;

pub use verdict::{Door, Doors, Family};

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelOpenFailure, Error as Ssh};
use tokio::time::timeout;

use self::lookout::{Expecting, Lookout, Origin};
use self::nonce::{Nonce, RANDOM};
use self::verdict::Proven;
use super::connection::Connection;
use super::handler::Guest;
use super::prompt::Person;
use super::routes::wire_address;
use super::seats::{Seats, Slot};
use super::settings::PHASE_TIMEOUT;
use super::socket::Meter;
use crate::error::Result;
use crate::intake::Intake;

/// The time that an echo is given, on top of two round trips.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an echo may be late, on a jump host that is busy: until then its line is known for what it is. Senders who come
/// meanwhile and say nothing are counted so much later.
const LATE: Duration = Duration::from_secs(30);
/// A connection that carries so many bytes while an answer is awaited may be full: sshd then leaves what comes in by a forward
/// unread, and answers questions all the same.
pub(super) const BUSY: u64 = 32 * 1024;
/// Ports that are looked at side by side: a plan may have many, and sshd opens a connection for each.
const SIDE_BY_SIDE: usize = 4;

/// What was proven in earlier lives of a connection, by address and port.
#[derive(Debug, Default)]
pub struct Before(Mutex<HashMap<(String, u16), Proven>>);

/// Looks behind every port of `connection` that is meant for both families; to be asked when all of them are granted.
/// `ports` are those of `intakes`, in their order. What is worth a note is told to `person` when it is seen for the first
/// time.
///
/// # Errors
/// Refused (exit code 4): over one family senders would get to somebody else, or to nobody where they got here before.
pub async fn check(
    connection: &Connection,
    intakes: &[Intake],
    ports: &[u16],
    before: &Before,
    person: &dyn Person,
) -> Result<()> {
    let (leg, target) = (&connection.leg, connection.leg.settings.target());
    let both = |intake: &Intake, port: u16| {
        // A relay says itself which families it has.
        intake.plan().transport.has_tcp() && means_both(&intake.plan().bind) && !connection.is_relayed(port)
    };
    let all = intakes.iter().zip(ports).filter(|(intake, port)| both(intake, **port));
    let all: Vec<_> = all.map(|(intake, port)| (intake, *port)).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let lane = async || {
        let mut seen = Vec::new();
        while let Some((intake, port)) = all.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            // A stalled output stops the whole connection, and the answers with it.
            let doors = if intake.has_room() {
                look(&leg.handle, &leg.routes.lookout, &leg.meter, *port).await
            } else {
                Doors { v4: Door::CannotTell, v6: Door::CannotTell }
            };
            tracing::debug!(port, v4 = ?doors.v4, v6 = ?doors.v6, "looked behind the port");
            seen.push((wire_address(&intake.plan().bind).to_owned(), *port, doors));
        }
        seen
    };
    let lanes: [_; SIDE_BY_SIDE] = tokio::join!(lane(), lane(), lane(), lane()).into();
    let seen: Vec<_> = lanes.into_iter().flatten().collect();
    tidy(&leg.routes.lookout, &leg.seats).await;

    let mut known = before.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut notes = Vec::new();
    for (bind, port, doors) in &seen {
        let proven = known.get(&(bind.clone(), *port));
        match doors.judge(proven.copied().unwrap_or_default(), &target, *port) {
            Ok(note) => notes.extend(note.filter(|_| proven.is_none())),
            Err(error) => {
                leg.routes.lookout.end();
                return Err(error);
            }
        }
    }
    for (bind, port, doors) in seen {
        let proven = known.entry((bind, port)).or_default();
        *proven = proven.and(doors);
    }
    drop(known);
    for note in notes {
        tracing::warn!("{note}");
        person.tell(&format!("note: {note}"));
    }
    Ok(())
}

/// Whether this address stands for both families.
pub(super) fn means_both(bind: &str) -> bool {
    matches!(wire_address(bind), "" | "localhost")
}

/// Looks behind `port` over both families at once.
pub(super) async fn look(handle: &Arc<Handle<Guest>>, lookout: &Lookout, meter: &Arc<Meter>, port: u16) -> Doors {
    let knock =
        async |family: Family| match ask(handle, lookout, meter, port, family.loopback(), Origin::Loopback).await {
            Door::Nobody if meter.brake.is_on() => Door::Late,
            Door::Nobody => nobody(handle, family).await,
            door => door,
        };
    let (v4, v6) = tokio::join!(knock(Family::V4), knock(Family::V6));
    Doors { v4, v6 }
}

/// A nonce that nobody can foresee; `None` without randomness.
pub(super) fn nonce() -> Option<Nonce> {
    let mut random = [0; RANDOM];
    match OsRng.try_fill_bytes(&mut random) {
        Ok(()) => Some(Nonce::new(&random)),
        Err(error) => {
            tracing::debug!(%error, "no randomness");
            None
        }
    }
}

/// Seats who was held back and then let in, and closes who was not.
pub(super) async fn tidy(lookout: &Lookout, seats: &Seats) {
    lookout.settle(|id, sender, channel| seats.insert(id, Slot::new(sender, channel)));
    for channel in lookout.turned_away() {
        let _ = channel.close().await;
    }
}

/// Who answers when the jump host itself connects to `port` at `host`. [`Door::Nobody`]: nobody there, or the jump host has no
/// way there.
pub(super) async fn ask(
    handle: &Arc<Handle<Guest>>,
    lookout: &Lookout,
    meter: &Arc<Meter>,
    port: u16,
    host: &str,
    origin: Origin,
) -> Door {
    let (handle, lookout, meter) = (Arc::clone(handle), lookout.clone(), Arc::clone(meter));
    let host = host.to_owned();
    // In a task of its own: a connection that comes about when nobody waits for it any more would be counted as a sender.
    let asking = tokio::spawn(async move { ask_to_the_end(&handle, &lookout, &meter, port, host, origin).await });
    timeout(PHASE_TIMEOUT, asking).await.ok().and_then(Result::ok).unwrap_or(Door::Late)
}

/// Ends with the connection at the latest.
async fn ask_to_the_end(
    handle: &Arc<Handle<Guest>>,
    lookout: &Lookout,
    meter: &Arc<Meter>,
    port: u16,
    host: String,
    origin: Origin,
) -> Door {
    let Some(nonce) = nonce() else { return Door::CannotTell };
    let passed = meter.passed();
    let expecting = lookout.expect(port, nonce.clone(), origin);
    let channel = match handle.channel_open_direct_tcpip(host.as_str(), u32::from(port), "127.0.0.1", 0).await {
        Ok(channel) => channel,
        Err(Ssh::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed)) => return Door::Nobody,
        Err(error) => {
            tracing::debug!(%error, host, "may not ask");
            return Door::CannotTell;
        }
    };
    let mut echo = Sent::new(expecting, handle, meter);
    let sent = async {
        channel.data_bytes(nonce.line().to_vec()).await?;
        // Our own end comes back by the forward, and both channels are over without a word from here.
        channel.eof().await
    };
    if !matches!(timeout(PHASE_TIMEOUT, sent).await, Ok(Ok(()))) {
        return Door::Late;
    }
    if let Ok(Some(_)) = timeout(PATIENCE, echo.comes()).await {
        return Door::Ours;
    }
    // A slow way is not somebody else's door: what came before the second answer would have been here, unless the connection is
    // full. In a stall such a question does harm.
    let answers = async {
        handle.send_ping().await?;
        handle.send_ping().await
    };
    let answered = if meter.brake.is_on() { None } else { timeout(PHASE_TIMEOUT, answers).await.ok() };
    let came = echo.has_come();
    forget(channel).await;
    match answered {
        _ if came => Door::Ours,
        Some(Ok(())) if !handle.is_closed() && meter.passed().saturating_sub(passed) < BUSY => Door::Other,
        _ => Door::Late,
    }
}

/// An echo that was sent. Until it has come, or cannot come any more, its line must not be taken for a sender's, whoever gives up
/// waiting for it.
pub(super) struct Sent {
    expecting: Option<Expecting>,
    handle: Arc<Handle<Guest>>,
    meter: Arc<Meter>,
}

impl Sent {
    pub fn new(expecting: Expecting, handle: &Arc<Handle<Guest>>, meter: &Arc<Meter>) -> Self {
        Self { expecting: Some(expecting), handle: Arc::clone(handle), meter: Arc::clone(meter) }
    }

    /// Waits for it: the address that brought it.
    pub async fn comes(&mut self) -> Option<String> {
        let seen_as = match &mut self.expecting {
            Some(expecting) => (&mut expecting.comes).await.ok(),
            None => None,
        };
        self.expecting = None;
        seen_as
    }

    /// Whether it is there.
    fn has_come(&mut self) -> bool {
        self.expecting.as_mut().is_some_and(|expecting| expecting.comes.try_recv().is_ok())
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let Some(expecting) = self.expecting.take() else { return };
        let (handle, meter) = (Arc::clone(&self.handle), Arc::clone(&self.meter));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            loop {
                let presses = meter.brake.presses();
                tokio::time::sleep(LATE).await;
                // What waits behind a stall is not late.
                if handle.is_closed() || (!meter.brake.is_on() && presses == meter.brake.presses()) {
                    return drop(expecting);
                }
            }
        });
    }
}

/// Nobody listens: is there the family at all? A server's words about it are as good as none, but only a host that has it can
/// open a port on it. Where the rules forbid that, it counts as absent.
async fn nobody(handle: &Handle<Guest>, family: Family) -> Door {
    match timeout(PATIENCE, handle.tcpip_forward(family.loopback(), 0)).await {
        Ok(Ok(port)) => {
            let _ = timeout(PATIENCE, handle.cancel_tcpip_forward(family.loopback(), port)).await;
            Door::Nobody
        }
        _ => Door::Absent,
    }
}

/// Whoever is behind it hears that nothing more comes.
async fn forget(channel: Channel<Msg>) {
    let _ = channel.close().await;
}

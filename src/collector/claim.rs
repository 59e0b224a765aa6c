//! Getting the ports: for the first time, or back from a connection that was lost.
//!
//! A server that has not noticed the loss keeps the ports, and takes in senders for nobody. Where it is known which process
//! that is, it is ended before anything is asked for; else the new connection stays and asks again for a while. Whoever else
//! has the port keeps it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::{Error, Result};
use crate::intake::Intake;
use crate::plan::{Relay, Transport, is_loopback};
use crate::ssh::{Connection, Left, Memory, Past, Person, RelayPlace, Relayed};

/// Pauses before asking again for a port that has just become free.
const QUICK: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200)];
/// The pause before asking again for a port that is held; each one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// So long one connection goes on asking. Servers that are set up for it notice a loss within that time.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// Who has to do with it.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Connections that were lost.
    pub past: &'a Past,
    /// What earlier lives of the connection know.
    pub memory: &'a Memory,
    /// Hears notes.
    pub person: &'a dyn Person,
    /// Hears of a trouble that the attempt goes on in spite of.
    pub trouble: &'a (dyn Fn(&Error) + Sync),
}

/// Asks for every port. `ports`: what to ask for, then what was granted, in the order of `intakes`.
///
/// # Errors
/// Refused when one of them is not to be had, failed when the connection is lost on the way.
pub async fn claim(
    connection: &mut Connection,
    intakes: &[Intake],
    ports: &mut [u16],
    around: Around<'_>,
) -> Result<()> {
    let held = around.past.is_held();
    let left = connection.end(around.past).await;
    let mut relays = Relays { connection, around, held, relayed: vec![false; intakes.len()] };
    for (stream, intake) in intakes.iter().enumerate() {
        let plan = intake.plan();
        let at_once = plan.relay == Relay::Always
            || plan.relay == Relay::Auto && !plan.transport.has_tcp()
            || plan.relay == Relay::Auto && around.memory.relays.needed(&plan.name);
        if at_once && relays.open(stream, intake, &plan.transport, &mut ports[stream]).await? {
            continue;
        }
        let port = ports[stream];
        ports[stream] = match relays.connection.ask(intake, port).await? {
            Some(granted) => granted,
            None if held => again(relays.connection, intake, port, left, around.trouble).await?,
            None => return Err(relays.connection.explain(intake, port).await.error),
        };
    }
    relays.where_needed(intakes, ports).await
}

/// What a helper on the jump host opens.
struct Relays<'a> {
    connection: &'a mut Connection,
    around: Around<'a>,
    /// A connection that was lost may still have the ports.
    held: bool,
    /// Of each stream, whether all of it is relayed.
    relayed: Vec<bool>,
}

impl Relays<'_> {
    /// Opens what is asked for of a stream; false: there is no helper to be had, and it goes without.
    ///
    /// # Errors
    /// Also when there is none and it does not go without.
    async fn open(&mut self, stream: usize, intake: &Intake, transport: &Transport, port: &mut u16) -> Result<bool> {
        let number = u16::try_from(stream).map_err(|_| Error::usage("too many streams"))?;
        let place = RelayPlace { stream: number, intake, transport, port: *port, held: self.held };
        match self.connection.relay(place, &self.around.memory.relays).await? {
            Relayed::At { port: opened, note } => {
                *port = opened;
                self.relayed[stream] |= transport.has_tcp();
                if let Some(note) = note {
                    self.tell(&note);
                }
                Ok(true)
            }
            Relayed::Unavailable(error) if intake.plan().relay == Relay::Always || !transport.has_tcp() => Err(error),
            Relayed::Unavailable(error) => {
                self.tell(&format!("{}; going on without a relay", error.message));
                Ok(false)
            }
        }
    }

    /// Relays the streams that may be relayed if need be, where sshd binds loopback alone; and datagrams.
    async fn where_needed(&mut self, intakes: &[Intake], ports: &mut [u16]) -> Result<()> {
        let auto = |stream: &usize| intakes[*stream].plan().relay == Relay::Auto && !self.relayed[*stream];
        let open: Vec<usize> = (0..intakes.len()).filter(auto).collect();
        let public: Vec<usize> =
            open.iter().copied().filter(|stream| !is_loopback(&intakes[*stream].plan().bind)).collect();
        // An output that takes nothing stops the connection, and the answer with it.
        if !public.is_empty() && intakes.iter().all(Intake::has_room) {
            let asked: Vec<u16> = public.iter().map(|stream| ports[*stream]).collect();
            let facts = self.connection.prober().facts(&asked).await;
            for stream in public {
                let (intake, port) = (&intakes[stream], &mut ports[stream]);
                if facts.is_loopback_only(*port) == Some(true) {
                    self.instead(stream, intake, port).await?;
                }
            }
        }
        for stream in open {
            let plan = intakes[stream].plan();
            if plan.transport.has_udp() && plan.transport.has_tcp() && !self.relayed[stream] {
                self.datagrams(stream, &intakes[stream], &mut ports[stream]).await?;
            }
        }
        Ok(())
    }

    /// A relay instead of the port that sshd has opened.
    async fn instead(&mut self, stream: usize, intake: &Intake, port: &mut u16) -> Result<()> {
        tracing::info!(port, "the port is open on loopback addresses alone: a relay is needed");
        self.connection.give_back(intake, *port).await;
        if self.open(stream, intake, &intake.plan().transport, port).await? {
            self.around.memory.relays.needs(&intake.plan().name);
            return Ok(());
        }
        match self.connection.ask(intake, *port).await? {
            Some(_) => Ok(()),
            None => Err(self.connection.explain(intake, *port).await.error),
        }
    }

    /// Datagrams beside the port that sshd has opened; where there is no helper, it goes without.
    async fn datagrams(&mut self, stream: usize, intake: &Intake, port: &mut u16) -> Result<()> {
        let number = u16::try_from(stream).map_err(|_| Error::usage("too many streams"))?;
        let place = RelayPlace { stream: number, intake, transport: &Transport::Udp, port: *port, held: self.held };
        match self.connection.relay(place, &self.around.memory.relays).await? {
            Relayed::At { note, .. } => note.iter().for_each(|note| self.tell(note)),
            Relayed::Unavailable(error) => self.tell(&format!("{}; going on without UDP", error.message)),
        }
        Ok(())
    }

    /// Once, however often the connection is made anew.
    fn tell(&self, note: &str) {
        tracing::warn!("{note}");
        if self.around.memory.relays.is_new(note) {
            self.around.person.tell(&format!("warning: {note}"));
        }
    }
}

/// Asks again for a `port` that was ours. `left`: of the connections that were lost.
async fn again(
    connection: &mut Connection,
    intake: &Intake,
    port: u16,
    left: Left,
    trouble: &(dyn Fn(&Error) + Sync),
) -> Result<u16> {
    if left == Left::Nothing {
        for pause in QUICK {
            if let Some(granted) = after(pause, connection, intake, port).await? {
                return Ok(granted);
            }
        }
    }
    let refused = connection.explain(intake, port).await;
    let socket = intake.plan().transport.socket().is_some();
    if !refused.maybe_taken || (socket && left == Left::Nothing) {
        return Err(refused.error);
    }
    if left == Left::Nothing {
        let target = connection.target();
        return Err(Error::refused(format!(
            "{target} refused to open port {port} again: port {port} is taken by another program there, which is left alone"
        ))
        .hint(format!("`ss -ltnp 'sport = :{port}'` on the jump host shows who listens")));
    }
    let error = connection.still_held(intake, port, left);
    trouble(&error);
    let (deadline, mut pause) = (Instant::now() + LONGEST_HOLD, FIRST_PAUSE);
    while Instant::now() < deadline {
        if let Some(granted) = after(pause, connection, intake, port).await? {
            return Ok(granted);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Err(error)
}

/// Asks for `port` after a pause, unless the connection is lost meanwhile.
async fn after(pause: Duration, connection: &mut Connection, intake: &Intake, port: u16) -> Result<Option<u16>> {
    tokio::select! {
        error = connection.lost() => return Err(error),
        () = sleep(pause) => {}
    }
    connection.ask(intake, port).await
}

//! Through a default sshd without root: a helper on the jump host listens where sshd would not.
//!
//! With `GatewayPorts no` sshd binds loopback, whatever it is asked for. So it is asked for a port there, of its own choice,
//! and a small program ([`helper`], in Python or perl, whichever is there) listens on the public one. It is started over the
//! same connection, gets program, orders and secret by stdin, writes nothing to any disk, and ends with stdin. It hands each
//! sender to the forward, behind a line that says who it is ([`hello`]); who comes without that line is nobody's sender
//! ([`hall`]). Datagrams, which SSH does not forward, come by its stdout ([`frames`]).

mod arrivals;
mod command;
mod ears;
mod frames;
mod hall;
mod hello;
mod helper;
mod open;
mod partings;

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use russh::client::Msg;
use russh::{ChannelId, ChannelWriteHalf};

pub use self::ears::Ears;
pub use self::open::{Place, Relayed};
pub use self::state::State;

use self::command::Process;
use self::hall::Hall;
use crate::intake::{Intake, Reject};

/// Relays of connections that were lost and may still be there: one each time that the network goes in a reconnect.
const MOST: usize = 4;

/// Where the relay's senders come in.
pub type Lobby = Hall<ChannelId, Visitor>;

/// Somebody who came in by the forward of a relay.
#[derive(Debug)]
pub struct Visitor {
    /// Where it belongs if it is a sender.
    pub intake: Intake,
    /// The port that senders know.
    pub port: u16,
    /// Where it comes from, as the server sees it: `ip:port`.
    pub from: String,
    /// Keeps it open.
    pub channel: ChannelWriteHalf<Msg>,
}

/// It was not the relay's: counted and told.
fn turn_away(visitor: &Visitor) {
    visitor.intake.turn_away(&visitor.from, Reject::Relay);
}

/// What was found out in earlier lives of a connection.
#[derive(Debug, Default)]
pub struct Before(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Relays that may still be there.
    processes: Vec<Process>,
    /// Streams that needed a relay.
    relayed: HashSet<String>,
    /// Notes that were told.
    told: HashSet<String>,
}

impl Before {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `stream` needed a relay before: it is not tried without one again.
    #[must_use]
    pub fn needed(&self, stream: &str) -> bool {
        self.lock().relayed.contains(stream)
    }

    /// `stream` needs one.
    pub fn needs(&self, stream: &str) {
        self.lock().relayed.insert(stream.to_owned());
    }

    /// Whether `note` is news.
    pub fn is_new(&self, note: &str) -> bool {
        self.lock().told.insert(note.to_owned())
    }

    /// A relay was started.
    fn started(&self, process: Option<&Process>) {
        let processes = &mut self.lock().processes;
        processes.extend(process.cloned());
        if processes.len() > MOST {
            processes.remove(0);
        }
    }

    /// The orders to end those before.
    fn ends(&self) -> String {
        self.lock().processes.iter().map(Process::end).collect()
    }

    /// Those before are gone: it said so.
    fn only(&self, process: Option<&Process>) {
        self.lock().processes = process.cloned().into_iter().collect();
    }
}

mod state {
    use super::helper::Helper;

    /// Whether a connection has a helper.
    #[derive(Default)]
    pub enum State {
        /// Nobody asked for one.
        #[default]
        Untried,
        /// It runs.
        Runs(Helper),
        /// There is none to be had; why, a clause.
        Unavailable(String),
    }
}

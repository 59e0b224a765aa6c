//! What senders come in by, and how it is made.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::claim::{self, Around};
use crate::error::{Error, Kind};
use crate::intake::Intake;
use crate::intake::listen::Listener;
use crate::ssh::{Connection, Memory, Past, Person, Phase, Prober, Progress, check_doors};

/// The time that saying good-bye to the jump host may take.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// What came of an attempt: the link and its ports, in the order of the plan.
pub type Attempted = std::result::Result<(Link, Vec<u16>), Failure>;

/// What senders come in by.
pub enum Link {
    /// A forward of a jump host.
    Ssh(Box<Connection>),
    /// Ports of this machine.
    Local {
        /// Until it is dropped, new senders are let in.
        stop: Option<DropGuard>,
        /// Until it is dropped, those who are in may stay.
        cut: DropGuard,
    },
}

impl Link {
    /// Waits until it is lost and says how; a local port never is.
    pub async fn lost(&mut self) -> Error {
        match self {
            Self::Ssh(connection) => connection.lost().await,
            Self::Local { .. } => std::future::pending().await,
        }
    }

    /// Who looks from outside whether senders get through; nobody for ports of this machine.
    pub fn prober(&self) -> Option<Prober> {
        match self {
            Self::Ssh(connection) => Some(connection.prober()),
            Self::Local { .. } => None,
        }
    }

    /// This machine's address that it stands on, where that is known.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Ssh(connection) => connection.local_address(),
            Self::Local { .. } => None,
        }
    }

    /// Gives the ports back and ends it, at most in twice [`FAREWELL`]. Senders that are still in are cut.
    pub async fn leave(self) {
        if let Self::Ssh(mut connection) = self {
            let _ = tokio::time::timeout(FAREWELL, connection.cancel()).await;
            connection.close(FAREWELL).await;
        }
    }
}

/// An attempt that failed, and whether it was the ports that were refused.
pub struct Failure {
    pub error: Error,
    pub ports: bool,
}

/// Who hears how an attempt goes.
#[derive(Clone, Copy)]
pub struct Ears<'a> {
    /// Of each phase.
    pub step: Progress<'a>,
    /// Of a trouble that the attempt goes on in spite of.
    pub trouble: &'a (dyn Fn(&Error) + Sync),
}

/// Asks for every port of the plan on a `connection` that is logged in. All of them or none.
pub async fn claim(
    mut connection: Connection,
    intakes: Vec<Intake>,
    mut ports: Vec<u16>,
    person: &dyn Person,
    memory: &Memory,
    past: &Arc<Past>,
    ears: Ears<'_>,
) -> Attempted {
    (ears.step)(Phase::Forward, &connection.target());
    let around = Around { past, memory, person, trouble: ears.trouble };
    if let Err(error) = Box::pin(claim::claim(&mut connection, &intakes, &mut ports, around)).await {
        return Err(give_up(connection, past, error).await);
    }
    connection.inquire(past);
    // While senders still wait: whoever else has half of the port would make liars of us.
    let checked = Box::pin(check_doors(&connection, &intakes, &ports, &memory.doors, person)).await;
    if let Err(error) = checked {
        return Err(give_up(connection, past, error).await);
    }
    past.holds(connection.trace());
    drop(past.keep());
    connection.open_doors().await;
    connection.check_sockets(person).await;
    Ok((Link::Ssh(Box::new(connection)), ports))
}

/// Gives back what was granted; where the jump host does not confirm that, its process may hold it.
async fn give_up(connection: Connection, past: &Past, error: Error) -> Failure {
    past.may_hold(connection.trace());
    Link::Ssh(Box::new(connection)).leave().await;
    Failure { ports: error.kind == Kind::Refused, error }
}

/// Opens every port of the plan on this machine. All of them or none.
pub async fn listen(intakes: Vec<Intake>, mut ports: Vec<u16>) -> Attempted {
    let mut listeners = Vec::new();
    for (intake, port) in intakes.iter().zip(&mut ports) {
        let listener = Listener::open(intake.plan(), *port).await.map_err(|error| Failure { error, ports: true })?;
        *port = listener.port();
        listeners.push(listener);
    }
    let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
    for (listener, intake) in listeners.into_iter().zip(&intakes) {
        listener.serve(intake, &stop, &cut);
    }
    Ok((Link::Local { stop: Some(stop.drop_guard()), cut: cut.drop_guard() }, ports))
}

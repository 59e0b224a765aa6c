//! Getting the ports: for the first time, or back from a connection that was lost.
//!
//! A server that has not noticed the loss keeps the ports, and takes in senders for nobody. Where it is known which process
//! that is, it is ended before anything is asked for; else the new connection stays and asks again for a while. Whoever else
//! has the port keeps it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::{Error, Result};
use crate::intake::Intake;
use crate::ssh::{Connection, Left, Past};

/// Pauses before asking again for a port that has just become free.
const QUICK: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200)];
/// The pause before asking again for a port that is held; each one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// So long one connection goes on asking. Servers that are set up for it notice a loss within that time.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// Asks for every port. `ports`: what to ask for, then what was granted, in the order of `intakes`.
///
/// # Errors
/// Refused when one of them is not to be had, failed when the connection is lost on the way.
pub async fn claim(
    connection: &mut Connection,
    intakes: &[Intake],
    ports: &mut [u16],
    past: &Past,
    trouble: &(dyn Fn(&Error) + Sync),
) -> Result<()> {
    let held = past.is_held();
    let left = connection.end(past).await;
    for (intake, port) in intakes.iter().zip(ports) {
        *port = match connection.ask(intake, *port).await? {
            Some(granted) => granted,
            None if held => again(connection, intake, *port, left, trouble).await?,
            None => return Err(connection.explain(intake, *port).await.error),
        };
    }
    Ok(())
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

//! How long a person waits for the port.

use super::Stage;
use crate::bench::Fallible;
use crate::bench::results::{Outcome, Row};
use crate::bench::side::{Running, Side};

pub const H: &str = "h. from the command to the open port";
/// Of `reclog up`: until it returns. Of `ssh -R`: until it says that the port is allocated; its socat already runs.
const EACH: Row = Row::lower(H, "best and median of all starts", "ms");
pub const SLOWEST: Row = Row::lower(H, "slowest start", "ms");

/// Workload h.
pub fn time_of_up(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let mut outcome = Outcome::default();
    let mut slowest = 0.0_f64;
    // The first one warms up.
    for turn in 0..=stage.options.amount(10, 3) {
        let running = Running::start(stage.bed, stage.sshd, side, &[])?;
        let took = running.took.as_secs_f64() * 1e3;
        running.stop()?;
        if turn > 0 {
            outcome.add(EACH, took);
            slowest = slowest.max(took);
        }
    }
    outcome.add(SLOWEST, slowest);
    Ok(outcome)
}

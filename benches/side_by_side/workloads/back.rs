//! How long nobody can send after the connection was lost: until a line is in the file that was sent to the same port
//! after the trouble was over.

use std::fs;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::Stage;
use crate::bench::Fallible;
use crate::bench::bed::{free_port, output};
use crate::bench::cutter::Cutter;
use crate::bench::process;
use crate::bench::results::{Outcome, Row};
use crate::bench::side::{Running, Side, Way};
use crate::bench::stop::interrupted;

pub const I1: &str = "i1. sshd's process of the connection is killed (common: autossh)";
pub const KILLED: Row = Row::lower(I1, "until a line comes in", "s");
pub const I2: &str = "i2. 15 s without a packet, no FIN (common: autossh)";
pub const CUT: Row = Row::lower(I2, "from the end of it until a line comes in", "s");
pub const I3: &str = "i3. the same, and the network forgets the connection (common: autossh)";
pub const FORGOTTEN: Row = Row::lower(I3, "from the end of it until a line comes in", "s");

/// The same for both: a dead connection is known after 6 to 8 s.
const KEEPALIVE: [&str; 2] = ["ServerAliveInterval=2", "ServerAliveCountMax=3"];
/// A connection that has lived for a while: what is lost at once, both sides try again with longer and longer pauses.
const LIFE: Duration = Duration::from_secs(12);
const DARKNESS: Duration = Duration::from_secs(15);
/// Who is not back by then is not measured any further.
const PATIENCE: Duration = Duration::from_secs(60);

/// Workload i1.
pub fn after_a_kill(stage: &Stage, side: Side) -> Fallible<Outcome> {
    back(stage, side, KILLED, |_| {
        stage.sshd.sessions().into_iter().for_each(process::kill);
        Ok(())
    })
}

/// Workload i2.
pub fn after_a_cut(stage: &Stage, side: Side) -> Fallible<Outcome> {
    back(stage, side, CUT, |cutter| {
        cutter.cut();
        pause(stage.options.amount(DARKNESS, Duration::from_secs(9)))?;
        cutter.heal();
        Ok(())
    })
}

/// Workload i3.
pub fn after_a_cut_that_nobody_remembers(stage: &Stage, side: Side) -> Fallible<Outcome> {
    back(stage, side, FORGOTTEN, |cutter| {
        cutter.cut();
        pause(stage.options.amount(DARKNESS, Duration::from_secs(9)))?;
        cutter.heal_and_forget();
        Ok(())
    })
}

fn back(stage: &Stage, side: Side, row: Row, trouble: impl FnOnce(&Cutter) -> Fallible<()>) -> Fallible<Outcome> {
    let mut outcome = Outcome::default();
    if side == Side::Tuned {
        // Another cipher comes back no sooner.
        return Ok(outcome);
    }
    output("autossh", ["-V"]).map_err(|e| format!("{e}; needed: autossh"))?;
    let cutter = Cutter::new(stage.sshd.port)?;
    stage.sshd.known_at(cutter.port)?;
    let way = Way {
        ssh_options: &KEEPALIVE,
        through: Some(cutter.port),
        remote_port: free_port()?,
        again: true,
        ..Way::default()
    };
    let running = Running::start_as(stage.bed, stage.sshd, side, &way)?;
    if until_a_line_comes_in(&running, "first")?.is_none() {
        return Err("no line came in before the trouble".into());
    }
    pause(stage.options.amount(LIFE, Duration::from_secs(1)))?;
    trouble(&cutter)?;
    if let Some(took) = until_a_line_comes_in(&running, "second")? {
        outcome.add(row, took.as_secs_f64());
    } else {
        outcome.add(row, PATIENCE.as_secs_f64());
        outcome.notes.push(format!("not back within {} s", PATIENCE.as_secs()));
    }
    // Ends what the jump host may still hold on to.
    drop(cutter);
    running.stop()?;
    Ok(outcome)
}

fn pause(length: Duration) -> Fallible<()> {
    let since = Instant::now();
    while since.elapsed() < length {
        if interrupted() {
            return Err("interrupted".into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A device with something to say: it connects, sends a line, and does so again until a line is in the file.
fn until_a_line_comes_in(running: &Running, word: &str) -> Fallible<Option<Duration>> {
    let since = Instant::now();
    let address = SocketAddr::from(([127, 0, 0, 1], running.port));
    let mut number = 0;
    while since.elapsed() < PATIENCE {
        if interrupted() {
            return Err("interrupted".into());
        }
        number += 1;
        if let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            let sent = writeln!(stream, "{word} {number}").and_then(|()| stream.shutdown(Shutdown::Write));
            // Nobody who listens is an answer, too.
            let _ = (sent, stream.set_read_timeout(Some(Duration::from_millis(20))));
            let _ = std::io::Read::read(&mut stream, &mut [0; 1]);
        }
        if String::from_utf8_lossy(&fs::read(&running.file)?).lines().any(|line| line.starts_with(word)) {
            return Ok(Some(since.elapsed()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(None)
}

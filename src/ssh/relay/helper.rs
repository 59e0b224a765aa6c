//! The helper program on the jump host: started over the connection, given orders, watched.

use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::ChannelWriteHalf;
use russh::client::{Handle, Msg};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::command::{self, Process};
use super::ears::{Answer, Ears, Listener};
use super::hello::Secret;
use super::{Lobby, Visitor, turn_away};
use crate::error::{Error, Result};
use crate::ssh::handler::Guest;
use crate::ssh::server_process;
use crate::ssh::socket::Meter;

/// How long the start of a shell and of an interpreter may take together.
const START: Duration = Duration::from_secs(30);
/// How long an answer may take, on top of what was granted for the work itself.
const ANSWER: Duration = Duration::from_secs(10);
/// The library's loop takes within this time what is to be sent, or is itself in trouble.
const QUEUED: Duration = Duration::from_secs(2);
/// How often somebody looks after it.
const TICK: Duration = Duration::from_secs(1);
/// How often it is asked whether it lives, in ticks.
const PING: u64 = 5;
/// A helper that says nothing for so long is dead, or stopped.
const SILENCE: Duration = Duration::from_secs(15);

/// A helper that runs. Dropping it ends its watch; its own end is that of the connection.
pub struct Helper {
    write: Arc<ChannelWriteHalf<Msg>>,
    listener: Listener,
    /// What it is, if its system tells.
    pub process: Option<Process>,
    /// `python3` or `perl`.
    pub interpreter: String,
    _watch: AbortOnDropHandle<()>,
}

/// What a helper is started with.
pub struct Start<'a> {
    /// Asks the library's loop.
    pub handle: &'a Handle<Guest>,
    /// Where it will be heard.
    pub ears: &'a Ears,
    /// Where its senders come in.
    pub lobby: &'a Lobby,
    /// Whether anything is read now.
    pub meter: &'a Arc<Meter>,
}

impl Start<'_> {
    /// Starts one and tells it the secret.
    ///
    /// # Errors
    /// Why there is none to be had: what is missing, a clause.
    pub async fn start(self, secret: Secret) -> std::result::Result<Helper, String> {
        let opened = timeout(ANSWER, self.handle.channel_open_session()).await;
        let channel = match opened {
            Ok(Ok(channel)) => channel,
            Ok(Err(_)) => return Err("the account may open no session there".into()),
            Err(_) => return Err("the jump host does not answer whether it opens a session".into()),
        };
        let (id, mark) = (channel.id(), server_process::mark());
        // Nobody reads the library's queue; what comes goes to the ears.
        let (_, write) = channel.split();
        let write = Arc::new(write);
        let mut listener = self.ears.open(id, Arc::clone(&write), &mark, Instant::now());
        let started = timeout(START, begin(&write, &mut listener, &mark)).await;
        let (interpreter, process) = match started {
            Ok(Ok(started)) => started,
            failed => {
                self.ears.close();
                let _ = timeout(QUEUED, write.close()).await;
                return Err(match failed {
                    Ok(Err(why)) => why,
                    _ => format!("no program began to run there within {} s", START.as_secs()),
                });
            }
        };
        self.lobby.expect(secret.clone());
        let watch = look_after(Arc::clone(&write), self.ears.clone(), self.lobby.clone(), Arc::clone(self.meter));
        let watch = AbortOnDropHandle::new(tokio::spawn(watch));
        let helper = Helper { write, listener, process, interpreter, _watch: watch };
        helper.order(format!("secret {}\n", secret.digits())).await.map_err(|e| e.message)?;
        Ok(helper)
    }
}

/// Which interpreter runs it, and what it is.
async fn begin(
    write: &ChannelWriteHalf<Msg>,
    listener: &mut Listener,
    mark: &str,
) -> std::result::Result<(String, Option<Process>), String> {
    let lost = |_| "the connection was lost".to_owned();
    write.exec(true, command::start(mark)).await.map_err(lost)?;
    let interpreter = match next(listener).await {
        Ok(Answer::Begins(found)) => found,
        Ok(Answer::Line(_)) => return Err("it says what no relay says".into()),
        Err(why) => return Err(format!("the account may run no command there ({why})")),
    };
    let Some(program) = command::program(&interpreter) else {
        return Err("neither python3 (3.6 or newer) nor perl is there".into());
    };
    write.data_bytes(program.into_bytes()).await.map_err(lost)?;
    match next(listener).await? {
        Answer::Line(line) if line.starts_with("ready ") => Ok((interpreter, Process::parse(&line))),
        _ => Err("it says what no relay says".into()),
    }
}

/// The next answer; `Err`: why there will be none.
async fn next(listener: &mut Listener) -> std::result::Result<Answer, String> {
    let Listener { answers, over } = listener;
    tokio::select! {
        biased;
        Some(answer) = answers.recv() => Ok(answer),
        over = reason(over) => Err(over.unwrap_or_else(|| "the connection was lost".into())),
    }
}

/// Waits until the relay is no more, and says why; `None`: so is the connection.
async fn reason(over: &mut watch::Receiver<Option<String>>) -> Option<String> {
    over.wait_for(Option::is_some).await.ok().and_then(|why| why.clone())
}

impl Helper {
    /// Sends an order that nobody answers.
    pub async fn order(&self, order: String) -> Result<()> {
        match timeout(QUEUED, self.write.data_bytes(order.into_bytes())).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Error::failed("the connection to the relay on the jump host was lost")),
        }
    }

    /// Sends an order and waits for the answer that `wanted` takes; `longer`: what the work itself may take.
    pub async fn ask<T>(&mut self, order: String, longer: Duration, wanted: impl Fn(&str) -> Option<T>) -> Result<T> {
        self.order(order).await?;
        let answer = async {
            loop {
                match next(&mut self.listener).await {
                    Ok(Answer::Line(line)) => {
                        if let Some(answer) = wanted(&line) {
                            return Ok(answer);
                        }
                    }
                    Ok(Answer::Begins(_)) => {}
                    Err(why) => return Err(gone(&why)),
                }
            }
        };
        timeout(longer + ANSWER, answer)
            .await
            .unwrap_or_else(|_| Err(Error::failed("the relay on the jump host does not answer")))
    }

    /// Waits until it is no more, and says why.
    pub async fn lost(&mut self) -> Error {
        match reason(&mut self.listener.over).await {
            Some(why) => gone(&why),
            // The connection has a reason of its own.
            None => std::future::pending().await,
        }
    }
}

fn gone(why: &str) -> Error {
    Error::failed(format!("the relay on the jump host was lost: {why}"))
}

/// Closes what somebody who was told to go came by.
async fn close(visitor: Visitor, lobby: &Lobby, ears: &Ears) {
    let _ = timeout(QUEUED, visitor.channel.close()).await;
    if !lobby.closes() {
        ears.give_up("too many who are not its senders came in by its forward and would not go");
    }
}

/// Looks after it, and after those who have not said who they are.
async fn look_after(write: Arc<ChannelWriteHalf<Msg>>, ears: Ears, lobby: Lobby, meter: Arc<Meter>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Since when what was sent could be heard.
    let (mut since, mut last, mut count) = (Instant::now(), Instant::now(), 0u64);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        // While nothing is read, and when our own clock has stood still, silence proves nothing.
        if meter.brake.is_on() || now.duration_since(last) > SILENCE / 3 {
            since = now;
        }
        last = now;
        let Some(heard) = ears.tick(now) else { return };
        if now.duration_since(heard.max(since)) >= SILENCE {
            ears.give_up(&format!("it did not answer for {} s", SILENCE.as_secs()));
        }
        for (id, visitor) in lobby.overdue(now, since) {
            turn_away(&visitor);
            let _ = timeout(QUEUED, visitor.channel.eof()).await;
            if let Some((_, visitor)) = lobby.leave(id, visitor, now) {
                close(visitor, &lobby, &ears).await;
            }
        }
        for (_, visitor) in lobby.lingering(now, since) {
            close(visitor, &lobby, &ears).await;
        }
        count += 1;
        if count.is_multiple_of(PING) && !meter.brake.is_on() {
            let _ = timeout(QUEUED, write.data_bytes(format!("ping {count}\n").into_bytes())).await;
        }
    }
}

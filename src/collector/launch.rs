//! The parent's side of a start: runs this program again in the background and hears how it comes up.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::events::{Event, Launch, Up};
use super::questions::{KEYWORD, LONGEST_WORD, Lines, Talk, Word, encode};
use crate::error::{Error, Result, io_reason};
use crate::plan::KEYWORD_VARIABLE;
use crate::ssh::{Answer, Asking, Person};

/// The verb under which the background half runs.
pub const VERB: &str = "__collector";
/// A child that is told that nobody waits cleans up within this time, or is killed.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// Starts a collector in the background, with the `keyword` that its plan waits for. Every event goes to `hear` as well, every
/// question to `person`.
///
/// # Errors
/// Why it did not come up; interrupted when `interrupt` ends first. Then nothing of it is left, unless it has taken the place of
/// another one: it stays and keeps trying, and the error says so.
pub async fn background(
    launch: &Launch,
    keyword: Option<Zeroizing<String>>,
    hear: impl FnMut(&Event),
    person: &dyn Person,
    interrupt: impl Future<Output = ()>,
) -> Result<Up> {
    let failed = |e: std::io::Error| Error::failed(format!("cannot start the background process: {}", io_reason(&e)));
    let program = std::env::current_exe().map_err(failed)?;
    // What a script has open (`exec 9>lock`, a pipe that somebody waits for the end of) is no business of a process that
    // stays. Our own are closed on exec anyway.
    close_fds::set_fds_cloexec(3, &[]);
    let mut command = Command::new(program);
    command.arg(VERB).env_remove(KEYWORD_VARIABLE);
    // The manager waits for words of this process, which hands that over: without a number they are of whoever has them.
    if std::env::var("WATCHDOG_PID").is_ok_and(|pid| pid == std::process::id().to_string()) {
        command.env_remove("WATCHDOG_PID");
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut input = child.stdin.take().expect("piped");
    let mut line = serde_json::to_vec(launch).expect("a plan is plain data");
    line.push(b'\n');
    // A child that died at once is told about by its last words, or by their lack.
    let _ = input.write_all(&line).await;
    if let Some(word) = keyword {
        let _ = input.write_all(&encode(KEYWORD, &Answer::Text(word))).await;
    }
    let committed = Cell::new(false);
    let mut start = Start {
        lines: Lines::new(child.stdout.take().expect("piped")),
        hear,
        committed: &committed,
        keeps_trying: false,
    };
    let interrupt = async {
        interrupt.await;
        if committed.get() {
            person.tell("the collector before gives way already; this one comes up all the same");
            std::future::pending::<()>().await;
        }
    };
    let first = {
        let come_up = start.come_up(Some((&mut input, person)));
        tokio::select! {
            biased;
            result = come_up => Some(result),
            // A question that is open is dropped here, and the terminal is as it was.
            () = pin!(interrupt) => None,
        }
    };
    match first {
        Some(Ok(up)) => Ok(up),
        Some(Err(error)) if start.keeps_trying => Err(Error {
            message: format!("\"{}\" has taken over and is not up yet: {}", launch.plan.name, error.message),
            ..error
        }
        .hint(format!("it keeps trying; `reclog status {}` shows how it goes", launch.plan.name))),
        Some(Err(mut error)) => {
            drop(input);
            reap(child).await;
            if committed.get() {
                let what = format!("the collector before has given way, and \"{}\" did not come up", launch.plan.name);
                error.message = format!("{what}: {}", error.message);
            }
            Err(error)
        }
        None => {
            // The end of its input tells the child that nobody waits. It may have come up in this very moment; then it
            // is a collector like any other and is asked to end.
            drop(input);
            if let Ok(Ok(up)) = timeout(CLEAN_UP, start.come_up(None)).await
                && let Some(pid) = i32::try_from(up.pid).ok().and_then(Pid::from_raw)
            {
                let _ = kill_process(pid, Signal::TERM);
                let _ = child.wait().await;
            }
            reap(child).await;
            Err(Error::interrupted())
        }
    }
}

/// What a child says on its way up.
struct Start<'a, R, H> {
    lines: Lines<R>,
    hear: H,
    /// Another collector gives way to it: there is no way back.
    committed: &'a Cell<bool>,
    /// It did not come up at once, and stays.
    keeps_trying: bool,
}

impl<R: AsyncRead + Unpin, H: FnMut(&Event)> Start<'_, R, H> {
    /// Hears the child until its last event. Without somebody to ask, its questions stay open.
    async fn come_up(&mut self, mut asking: Option<(&mut ChildStdin, &dyn Person)>) -> Result<Up> {
        let mut questions = VecDeque::new();
        let mut open: Option<(u64, Asking)> = None;
        loop {
            let line = tokio::select! {
                biased;
                line = self.lines.next(LONGEST_WORD) => line,
                answer = answered(&mut open) => {
                    if let (Some((id, _)), Some((input, person))) = (open.take(), &mut asking) {
                        // A child that is gone says so on the other pipe.
                        let _ = input.write_all(&encode(id, &answer)).await;
                        open = questions.pop_front().map(|(id, question)| (id, person.ask(question)));
                    }
                    continue;
                }
            };
            let Ok(Some(line)) = line else { break };
            let Ok(word) = serde_json::from_slice::<Word>(&line) else { continue };
            let event = match (word, &asking) {
                (Word::Talk(Talk::Ask { id, question }), Some((_, person))) => {
                    if open.is_none() {
                        open = Some((id, person.ask(question)));
                    } else {
                        questions.push_back((id, question));
                    }
                    continue;
                }
                (Word::Talk(Talk::Tell { text }), Some((_, person))) => {
                    person.tell(&text);
                    continue;
                }
                (Word::Talk(_), None) => continue,
                (Word::Event(event), _) => event,
            };
            (self.hear)(&event);
            match event {
                Event::Up(up) => return Ok(up),
                Event::Failed { kind, message, hint } => {
                    let hints = hint.map(|h| h.lines().map(str::to_owned).collect()).unwrap_or_default();
                    return Err(Error { kind, message, hints });
                }
                Event::NotYet { kind, message, hint, .. } if self.committed.get() => {
                    self.keeps_trying = true;
                    let hints = hint.map(|h| h.lines().map(str::to_owned).collect()).unwrap_or_default();
                    return Err(Error { kind, message, hints });
                }
                Event::Handover { .. } => self.committed.set(true),
                Event::Step { .. } | Event::NotYet { .. } | Event::Down(_) => {}
            }
        }
        Err(Error::failed("the background process ended without a word"))
    }
}

/// The answer to the question that is open; none never comes.
async fn answered(open: &mut Option<(u64, Asking<'_>)>) -> Answer {
    match open {
        Some((_, asking)) => asking.await,
        None => std::future::pending().await,
    }
}

async fn reap(mut child: Child) {
    if timeout(CLEAN_UP, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

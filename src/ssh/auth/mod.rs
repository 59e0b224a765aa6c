//! Proving who we are, by the methods that the server offers, in the order that ssh has them tried.
//!
//! `none` first: it tells what the server takes. Then each method to its end: keys ([`publickey`]), questions of the
//! server and passwords ([`interactive`]). A method that is accepted and not enough begins the round anew.

mod agent;
mod interactive;
mod keys;
mod locked;
mod memory;
mod public;
mod publickey;
mod ring;
mod signer;
mod words;

use std::path::Path;
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::{MethodKind, MethodSet};
use tokio::time::timeout;

use super::handler::Guest;
use super::prompt::{Answer, Desk, Question};
use super::settings::{Method, PHASE_TIMEOUT, Settings};
use crate::error::{Error, Result};

use memory::Account;

pub use locked::{is_locked, locked_alone};
pub use memory::Memory;
pub use public::{PublicHalf, public_half};
pub use words::{brief, shown};

/// Methods that a server may accept without being content, and methods tried altogether.
const MOST_ROUNDS: usize = 20;
/// How often a question that is open looks whether the server is still there.
const LOOK: Duration = Duration::from_millis(100);
/// The time that the end of a connection may take to be told.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One login under way.
struct Login<'a> {
    handle: &'a mut Handle<Guest>,
    settings: &'a Settings,
    desk: &'a Desk,
    /// `user@host:port`.
    target: String,
    /// Under which the memory keeps what was answered.
    account: Account,
    /// Keys that the server has seen and refused.
    refused: Vec<String>,
    /// Other things that it refused: "the password".
    refused_too: Vec<String>,
    /// Keys that could not be offered, and why.
    notes: Vec<String>,
    /// What was accepted and is not enough.
    accepted: Vec<String>,
    /// What a person was to be asked, and nobody was there.
    unasked: Vec<String>,
    /// A question was left without an answer.
    declined: bool,
    /// Why the next login needs a person again.
    personal: Option<String>,
    /// A question was open since the server said something.
    asked: bool,
    /// The library's loop has ended.
    over: bool,
}

/// What came of a method.
enum Step {
    /// Logged in.
    In,
    /// Accepted, and the server wants one of these, too.
    Partial(MethodSet),
    /// The method is at its end; perhaps the server says again what it takes.
    Over(Option<MethodSet>),
}

/// What the server made of one try.
enum Verdict {
    In,
    Partial(MethodSet),
    No(MethodSet),
}

/// Logs in.
///
/// # Errors
/// Refused (exit code 4) when nothing is accepted, failed when the connection dies meanwhile.
pub async fn authenticate(handle: &mut Handle<Guest>, settings: &Settings, desk: &Desk) -> Result<()> {
    let mut login = Login {
        account: Account { hops_before: desk.hops_before, target: settings.target() },
        target: settings.target(),
        handle,
        settings,
        desk,
        refused: Vec::new(),
        refused_too: Vec::new(),
        notes: Vec::new(),
        accepted: Vec::new(),
        unasked: Vec::new(),
        personal: None,
        declined: false,
        asked: false,
        over: false,
    };
    login.run().await?;
    if let Some(why) = &login.personal
        && !desk.memory.was_in(&login.account)
    {
        desk.person.tell(&format!(
            "warning: this login will not survive a reconnect: {why}. When the connection is lost, somebody has to start \
             the collector again."
        ));
    }
    desk.memory.is_in(&login.account);
    desk.memory.book.note(|known| known.login = std::mem::take(&mut login.accepted));
    Ok(())
}

impl Login<'_> {
    async fn run(&mut self) -> Result<()> {
        let user = self.settings.user.clone();
        let none = answer(self.desk, self.handle.authenticate_none(user)).await;
        let mut offered = match self.judge(none).await? {
            Verdict::In => return Ok(()),
            Verdict::Partial(offered) | Verdict::No(offered) => offered,
        };
        tracing::debug!("the server takes {}", methods(&offered));
        let mut over = Vec::new();
        let mut keys = None;
        for _ in 0..MOST_ROUNDS {
            let next = self.settings.methods.iter().copied().find(|m| {
                let silent = *m == Method::PublicKey || !self.settings.batch_mode;
                silent && offered.contains(&kind(*m)) && !over.contains(m)
            });
            let step = match next {
                None => return Err(self.failure(&offered)),
                Some(Method::PublicKey) => self.public_keys(&mut keys).await?,
                Some(Method::KeyboardInteractive) => self.questions().await?,
                Some(Method::Password) => self.password().await?,
            };
            match step {
                Step::In => {
                    match next {
                        Some(Method::KeyboardInteractive) => self.accepted.push("answers to its questions".into()),
                        Some(Method::Password) => self.accepted.push("the password".into()),
                        // Which key is known where it was offered.
                        Some(Method::PublicKey) | None => {}
                    }
                    return Ok(());
                }
                Step::Partial(rest) => {
                    over.clear();
                    offered = rest;
                }
                Step::Over(rest) => {
                    over.extend(next);
                    offered = rest.unwrap_or(offered);
                }
            }
        }
        Err(self.failure(&offered))
    }

    /// What an answer of the server means; an error when it is the end.
    async fn judge(&mut self, result: Option<std::result::Result<AuthResult, russh::Error>>) -> Result<Verdict> {
        let verdict = match result {
            None => return Err(self.too_late()),
            Some(Err(e)) => {
                let why = super::reason(&e);
                return Err(self.lost(&why).await);
            }
            Some(Ok(AuthResult::Success)) => Verdict::In,
            Some(Ok(AuthResult::Failure { remaining_methods, partial_success: true })) => {
                Verdict::Partial(remaining_methods)
            }
            // The library reports a connection that died like this, too; it ends one that offers no method.
            Some(Ok(AuthResult::Failure { remaining_methods, .. })) if remaining_methods.is_empty() => {
                self.ended().await;
                if !self.desk.has_no_method() {
                    return Err(self.lost("the server closed the connection").await);
                }
                Verdict::No(remaining_methods)
            }
            Some(Ok(AuthResult::Failure { remaining_methods, .. })) => Verdict::No(remaining_methods),
        };
        self.asked = false;
        Ok(verdict)
    }

    /// Asks the person; an error when the server hangs up meanwhile.
    async fn ask(&mut self, question: Question) -> Result<Answer> {
        if self.settings.batch_mode {
            return Ok(Answer::Nobody);
        }
        let gone = async {
            while !self.handle.is_closed() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let answer = tokio::select! {
            biased;
            answer = self.desk.ask(question) => Some(answer),
            () = gone => None,
        };
        let Some(answer) = answer else {
            self.asked = true;
            return Err(self.lost("it closed the connection").await);
        };
        self.asked |= matches!(answer, Answer::Text(_));
        self.declined |= answer == Answer::Declined;
        Ok(answer)
    }

    fn note(&mut self, note: String) {
        tracing::debug!("{note}");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Nobody was there to be asked for `what`.
    fn nobody(&mut self, what: String) {
        if !self.unasked.contains(&what) {
            self.unasked.push(what);
        }
    }

    /// The public half of the key that was refused, for ssh-copy-id.
    fn public_file(&self) -> String {
        match &self.refused[..] {
            [file]
                if file.starts_with('/')
                    && !file.contains([' ', '\'', '\\'])
                    && Path::new(file).extension().is_none() =>
            {
                format!("{file}.pub")
            }
            _ => "KEY.pub".into(),
        }
    }

    fn failure(&mut self, offered: &MethodSet) -> Error {
        let target = &self.target;
        let takes_keys = |offered: &MethodSet| {
            offered.contains(&MethodKind::PublicKey) && self.settings.methods.contains(&Method::PublicKey)
        };
        let mut troubles = Vec::new();
        if !self.refused.is_empty() {
            troubles.push(format!("the server refused the key: {}", self.refused.join(", ")));
        }
        if !self.refused_too.is_empty() {
            troubles.push(format!("the server refused {}", self.refused_too.join(" and ")));
        }
        let reconnect = self.desk.memory.was_in(&self.account);
        if !self.unasked.is_empty() {
            let who = if self.settings.batch_mode {
                "BatchMode lets nobody be asked"
            } else if reconnect {
                "that needs a person"
            } else {
                "nobody is there to be asked"
            };
            troubles.push(format!("it wants {}, and {who}", self.unasked.join(" or ")));
        }
        if troubles.is_empty() {
            troubles.push(if self.declined {
                "a question was left without an answer".into()
            } else if takes_keys(offered) {
                "there is no usable key".into()
            } else if offered.is_empty() {
                "the server takes no way to log in".into()
            } else {
                format!("the server takes only {}", methods(offered))
            });
        }
        let so_far = if self.accepted.is_empty() {
            String::new()
        } else {
            format!(" (it accepted {} and wants more: {})", self.accepted.join(", "), methods(offered))
        };
        let again = if reconnect { " again" } else { "" };
        // `status` shows the sentence alone, and nobody sees the hints of a reconnect.
        let notes = if reconnect && !self.notes.is_empty() {
            format!(" ({})", self.notes.drain(..).collect::<Vec<_>>().join("; "))
        } else {
            String::new()
        };
        let troubles = troubles.join("; ");
        let mut error = Error::refused(format!("cannot log in to {target}{again}: {troubles}{so_far}{notes}"));
        if reconnect && !self.unasked.is_empty() {
            error = error.hint("somebody has to log in: reclog down NAME && reclog up …");
        } else if !self.unasked.is_empty() && self.settings.batch_mode {
            error = error.hint("leave out BatchMode, or use a key that needs no question: in an agent, or a file (-i)");
        } else if !self.unasked.is_empty() {
            error = error.hint(
                "run it in a terminal, set SSH_ASKPASS (without a display SSH_ASKPASS_REQUIRE=force, too), or use a key \
                 that needs no question: in an agent, or a file (-i)",
            );
        }
        if !self.refused.is_empty() {
            error = error.hint(format!(
                "allow it there: ssh-copy-id -i {} {}",
                self.public_file(),
                self.settings.ssh_arguments()
            ));
            if !offered.is_empty() && !offered.contains(&MethodKind::PublicKey) && self.accepted.is_empty() {
                error = error.hint(format!("the server takes no more keys; it offers: {}", methods(offered)));
            }
        } else if self.declined {
            error = error.hint("answer it, or use a key that needs no question: in an agent, or a file (-i)");
        } else if self.refused_too.is_empty() && self.unasked.is_empty() && !offered.is_empty() && !takes_keys(offered)
        {
            let asks = [MethodKind::KeyboardInteractive, MethodKind::Password].iter().any(|m| offered.contains(m));
            error = error.hint(if !asks && !offered.contains(&MethodKind::PublicKey) {
                "reclog logs in with keys, questions of the server and passwords"
            } else if asks && self.settings.batch_mode {
                "BatchMode lets nobody be asked: leave it out"
            } else {
                "PreferredAuthentications, or a keyword that ends in Authentication, leaves out what it takes"
            });
        } else if self.refused_too.is_empty() && self.unasked.is_empty() {
            error = error.hint("name a key with -i FILE, load one with ssh-add, or make one: ssh-keygen -t ed25519");
        }
        for note in self.notes.drain(..) {
            error = error.hint(note);
        }
        error
    }

    /// Waits for the end of the library's loop.
    async fn ended(&mut self) {
        if !self.over {
            self.over = timeout(LAST_WORDS, &mut *self.handle).await.is_ok();
        }
    }

    /// The connection is gone.
    async fn lost(&mut self, why: &str) -> Error {
        // What the server said last comes with the end of the library's loop.
        self.ended().await;
        let words = self.desk.last_words();
        let why = words.as_deref().unwrap_or(why);
        let tries = self.refused.len() + self.refused_too.len();
        if self.asked {
            return Error::failed(format!(
                "lost the connection to {} while logging in: the server hung up while a question was open ({why})",
                self.target
            ))
            .hint("it gives only so much time to log in (LoginGraceTime of sshd_config)");
        }
        if tries > 0 {
            let error = self.failure(&MethodSet::from(&[MethodKind::PublicKey][..]));
            return error.hint(format!(
                "the server ended the login after so many tries ({why}): name one key with -i and -o IdentitiesOnly=yes"
            ));
        }
        Error::failed(format!("lost the connection to {} while logging in: {why}", self.target))
    }

    fn too_late(&self) -> Error {
        Error::failed(format!(
            "{} did not answer within {} s (phase: authentication)",
            self.target,
            PHASE_TIMEOUT.as_secs()
        ))
    }
}

/// What the server answers, within a phase's time; what a person or an agent takes meanwhile does not count.
async fn answer<T>(desk: &Desk, asked: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        answer = asked => Some(answer),
        () = desk.waited.run_out(PHASE_TIMEOUT) => None,
    }
}

fn kind(method: Method) -> MethodKind {
    match method {
        Method::PublicKey => MethodKind::PublicKey,
        Method::KeyboardInteractive => MethodKind::KeyboardInteractive,
        Method::Password => MethodKind::Password,
    }
}

fn methods(set: &MethodSet) -> String {
    set.iter().map(<&str>::from).collect::<Vec<_>>().join(", ")
}

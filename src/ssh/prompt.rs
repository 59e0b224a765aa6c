//! What only a person can answer on the way in: is this the right host key, what is the passphrase.
//!
//! The ssh room asks, whoever runs it brings the [`Person`]. A collector in the background has one only until it is up.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::auth::{self, Memory};
pub use crate::secret::keep_out_of_core_files;

/// What is asked, and how the answer is typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What stands before the cursor, and above it if it has several lines. Strangers' text in it is escaped already.
    pub text: String,
    /// How the answer is typed.
    pub kind: QuestionKind,
}

/// How an answer is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuestionKind {
    /// `yes`, `no` or the fingerprint of a host key; shown while it is typed.
    HostKey,
    /// A passphrase, password or code: not shown.
    Secret,
    /// Text that a server wants to be seen while it is typed.
    Visible,
}

/// What came of a question.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// What was typed, without its line end.
    Text(Zeroizing<String>),
    /// Nobody is there to be asked: no terminal, no SSH_ASKPASS.
    Nobody,
    /// Somebody was there and gave no answer (end of input, askpass closed).
    Declined,
}

/// A question under way.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Whoever sits in front of `up`.
pub trait Person: Send + Sync {
    /// Asks and waits for the answer.
    fn ask(&self, question: Question) -> Asking<'_>;
    /// Says something that needs no answer: a server's banner, a warning. Several lines; escaped already.
    fn tell(&self, text: &str);
}

/// Nobody is there: a reconnect, or a start without a terminal.
pub struct Nobody;

impl Person for Nobody {
    fn ask(&self, _question: Question) -> Asking<'_> {
        Box::pin(std::future::ready(Answer::Nobody))
    }

    fn tell(&self, text: &str) {
        tracing::info!("{text}");
    }
}

/// Who and what can be asked during one attempt to connect.
#[derive(Clone)]
pub struct Desk {
    /// Whoever sits in front of it.
    pub person: Arc<dyn Person>,
    /// What was answered before.
    pub memory: Arc<Memory>,
    /// What answers took so far.
    pub waited: Arc<Waited>,
    /// How many hosts lie before the one that this is about.
    pub hops_before: usize,
    /// What the server says on its own.
    heard: Arc<Mutex<Heard>>,
}

/// What a server said on its own during one attempt.
#[derive(Debug, Default)]
struct Heard {
    /// Bytes of banners.
    banners: usize,
    /// Why it ended the connection.
    last_words: Option<String>,
    /// It ended it because there is no method left.
    no_method: bool,
}

/// Banners of one attempt are cut at so many bytes.
const LONGEST_BANNERS: usize = 8 * 1024;
/// What a banner counts for at least, so that there are not thousands of them.
const LEAST_BANNER: usize = 256;

impl Desk {
    /// For one attempt.
    #[must_use]
    pub fn new(person: Arc<dyn Person>, memory: Arc<Memory>) -> Self {
        Self { person, memory, waited: Arc::default(), hops_before: 0, heard: Arc::default() }
    }

    /// For the host behind so many others; what those said is not its.
    #[must_use]
    pub fn behind(&self, hops: usize) -> Self {
        Self { hops_before: hops, heard: Arc::default(), ..self.clone() }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the person what the server says before it lets anybody in (RFC 4252, section 5.4).
    pub fn banner(&self, text: &str) {
        let text = text.trim_end();
        let Some(room) = self.room(text.len()) else { return };
        if text.is_empty() {
            return;
        }
        let shown = auth::shown(text, room);
        let lines: Vec<_> = shown.lines().map(|line| format!("| {line}")).collect();
        self.person.tell(&format!("the jump host says:\n{}", lines.join("\n")));
    }

    /// Shows what stands in a request of the server that asks nothing, escaped and cut already.
    pub fn aside(&self, text: &str) {
        if self.room(text.len()).is_some() {
            self.person.tell(text);
        }
    }

    /// How many bytes the server may still say; one word about what is left out is enough.
    fn room(&self, wanted: usize) -> Option<usize> {
        let mut heard = self.heard();
        let before = heard.banners;
        heard.banners = before.saturating_add(wanted.max(LEAST_BANNER));
        LONGEST_BANNERS.checked_sub(before)
    }

    /// The server ends the connection and says why.
    pub fn ended(&self, why: &str) {
        self.heard().last_words = Some(auth::brief(why));
    }

    /// The server names no method any more, which ends the connection.
    pub fn no_method(&self) {
        self.heard().no_method = true;
    }

    /// Whether the connection ended because the server names no method any more.
    #[must_use]
    pub fn has_no_method(&self) -> bool {
        self.heard().no_method
    }

    /// Why the server ended the connection, if it did and said so.
    #[must_use]
    pub fn last_words(&self) -> Option<String> {
        self.heard().last_words.clone()
    }

    /// Asks the person; the time does not count against the deadlines.
    pub async fn ask(&self, question: Question) -> Answer {
        keep_out_of_core_files();
        self.waited.during(self.person.ask(question)).await
    }
}

/// The time that a person takes does not count against the deadlines of the phases: it is kept here.
#[derive(Debug, Default)]
pub struct Waited(Mutex<(Duration, Option<Instant>)>);

impl Waited {
    /// Awaits an answer and keeps the time that it took.
    pub async fn during<T>(&self, asking: impl Future<Output = T>) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(Instant::now());
        // Also when the question is dropped half-way.
        let _end = End(self);
        asking.await
    }

    /// All the time that a person took so far, a question that is still open included.
    #[must_use]
    pub fn total(&self) -> Duration {
        let (total, open) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        total + open.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Ends when `limit` has passed, what a person took meanwhile not counted.
    pub async fn run_out(&self, limit: Duration) {
        let (begun, before) = (Instant::now(), self.total());
        loop {
            let left = (limit + self.total().saturating_sub(before)).saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.max(LOOK_AGAIN)).await;
        }
    }
}

/// How often a deadline that an open question holds up is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

struct End<'a>(&'a Waited);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut waited = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = waited.1.take() {
            waited.0 += since.elapsed();
        }
    }
}

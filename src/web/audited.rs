//! Who looked at what, told to the audit trail.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::accounts::Refused;
use super::ask::Ask;
use super::sight::Sight;
use crate::audit::{Event, SharedTrail, WEB_FILE};
use crate::error::Result;
use crate::paths::ensure_private_dir;

/// The same look is told once in so long: a page asks for many pages of lines.
const SAME: Duration = Duration::from_secs(60);
/// Looks that are remembered for that.
const REMEMBERED: usize = 1024;
/// Characters of a name that nobody need have.
const LONGEST_NAME: usize = 64;

/// The trail, and what was told to it lately. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audited {
    trail: SharedTrail,
    told: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Audited {
    /// Goes on with the trail in `state`; says that a `reclog web` begins to listen there.
    ///
    /// # Errors
    /// When the trail cannot be opened: nobody looks without being seen.
    pub fn open(state: &Path, listen: &str) -> Result<Self> {
        ensure_private_dir(state)?;
        let trail = SharedTrail::open(&state.join(WEB_FILE))?;
        let (reclog, pid) = (env!("CARGO_PKG_VERSION").to_owned(), std::process::id());
        trail.tell(Event::WebStart { reclog, pid, listen: listen.to_owned() });
        Ok(Self { trail, told: Arc::default() })
    }

    /// It ends. Waits for the disk.
    pub fn finish(&self) {
        self.trail.finish(Event::WebStop { pid: std::process::id() });
    }

    /// Somebody logged in.
    pub fn login(&self, user: &str, from: Option<IpAddr>) {
        self.trail.tell(Event::Login { user: short(user), from });
    }

    /// Somebody logged out.
    pub fn logout(&self, user: &str, from: Option<IpAddr>) {
        self.trail.tell(Event::Logout { user: short(user), from });
    }

    /// Somebody did not get in. Of those who have to wait the first is told.
    pub fn refused(&self, user: &str, from: Option<IpAddr>, refused: &Refused) {
        let why = match refused {
            Refused::Wrong => "wrong",
            Refused::Wait(_) => "wait",
            Refused::Busy => "busy",
        };
        if *refused == Refused::Wrong || self.is_new(format!("{why} {from:?}")) {
            self.trail.tell(Event::LoginFailed { user: short(user), from, why: why.into() });
        }
    }

    /// Somebody looks.
    pub fn look(&self, sight: &Sight, from: Option<IpAddr>, what: &str, ask: &Ask) {
        let user = sight.user.as_deref().map(str::to_owned);
        let (streams, pattern) = (ask.streams.clone(), ask.wanted.clone());
        let event = Event::Look { user, from, what: what.to_owned(), streams, pattern };
        if self.is_new(format!("{event:?}")) {
            self.trail.tell(event);
        }
    }

    fn is_new(&self, what: String) -> bool {
        let (mut told, now) = (self.told.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        if told.get(&what).is_some_and(|at| now.duration_since(*at) < SAME) {
            return false;
        }
        if told.len() >= REMEMBERED {
            told.retain(|_, at| now.duration_since(*at) < SAME);
        }
        // Still too many: they are told again rather than remembered.
        if told.len() < REMEMBERED {
            told.insert(what, now);
        }
        true
    }
}

fn short(user: &str) -> String {
    user.chars().take(LONGEST_NAME).collect()
}

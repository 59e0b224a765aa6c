//! Logins: a name and a password, looked at slowly enough that nobody gets far by trying.

use core::net::IpAddr;
use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::session::{self, Seal};
use super::throttle::Throttle;
use super::token::Token;
use super::users::{Pass, Users};
use crate::error::{Error, Result};

/// The secret that seals cookies; its name in the folder of the configuration.
const SECRET: &str = "web.secret";
/// Passwords looked at at once: each takes 19 MiB and some 30 ms of a processor.
const AT_ONCE: usize = 2;
/// Logins that wait for that. One more is sent away.
const WAITING: usize = 32;
/// Logins by HTTP Basic that are known again without looking at the password.
const KNOWN: usize = 256;
/// Bytes of a password.
pub const LONGEST: usize = 1024;
/// Characters of one.
const SHORTEST: usize = 8;

/// Why somebody is not let in.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The name or the password is wrong.
    Wrong,
    /// This address failed too often.
    Wait(Duration),
    /// Too many log in at the same moment.
    Busy,
}

/// All accounts.
pub struct Accounts {
    /// Who they are.
    pub users: Users,
    seal: Seal,
    throttle: Mutex<Throttle>,
    looking: Arc<Semaphore>,
    /// One for each that looks or waits.
    places: Arc<Semaphore>,
    known: Mutex<Known>,
    /// Of a password that nobody has: a name that nobody has costs as much as one.
    nobody: String,
}

/// Digests of name, password and what is stored of it, the oldest first.
#[derive(Debug, Default)]
struct Known(HashSet<[u8; 32]>, VecDeque<[u8; 32]>);

impl Accounts {
    /// Those in `config`.
    ///
    /// # Errors
    /// Those of its files.
    pub fn open(config: &Path) -> Result<Self> {
        let users = Users::open(config)?;
        let seal = Seal::new(Token::kept(config, SECRET)?.as_str());
        Ok(Self {
            users,
            seal,
            throttle: Mutex::default(),
            looking: Arc::new(Semaphore::new(AT_ONCE)),
            places: Arc::new(Semaphore::new(WAITING)),
            known: Mutex::default(),
            nobody: digest("nobody has this one")?,
        })
    }

    /// Whoever a cookie is of.
    #[must_use]
    pub fn by_cookie(&self, cookie: &str) -> Option<Pass> {
        let claimed = session::read(cookie)?;
        let password = self.users.password(&claimed.user)?;
        self.seal.holds(&claimed, &password, now()).then(|| self.users.pass(&claimed.user, &password)).flatten()
    }

    /// The cookie of `user`, who was let in.
    #[must_use]
    pub fn cookie(&self, user: &str) -> Option<String> {
        Some(self.seal.cookie(user, &self.users.password(user)?, now()))
    }

    /// Lets in by name and password. True: by a password that was looked at, not one that is known again.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn by_password(
        &self,
        user: &str,
        password: &str,
        from: Option<IpAddr>,
    ) -> std::result::Result<(Pass, bool), Refused> {
        let stored = self.users.password(user);
        let digest = stored.as_ref().map(|stored| self.seal.digest("basic", &[user, password, stored]));
        if let (Some(digest), Some(stored)) = (&digest, &stored)
            && self.known().0.contains(digest)
        {
            return self.users.pass(user, stored).map(|pass| (pass, false)).ok_or(Refused::Wrong);
        }
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refused::Busy)?;
        self.throttle().begin(from, Instant::now()).map_err(Refused::Wait)?;
        let turn = Arc::clone(&self.looking).acquire_owned().await.map_err(|_| Refused::Busy)?;
        let (against, said) = (stored.clone().unwrap_or_else(|| self.nobody.clone()), password.to_owned());
        let look = move || {
            // Who asked may have hung up: it is looked at to the end all the same, and takes its place meanwhile.
            let _held = (place, turn);
            is(&said, &against)
        };
        let is_it = tokio::task::spawn_blocking(look).await.unwrap_or(false);
        let pass = stored.filter(|_| is_it).and_then(|stored| self.users.pass(user, &stored)).ok_or(Refused::Wrong)?;
        self.throttle().succeeded(from);
        if let Some(digest) = digest {
            self.known().add(digest);
        }
        Ok((pass, true))
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn add(&mut self, digest: [u8; 32]) {
        if !self.0.insert(digest) {
            return;
        }
        self.1.push_back(digest);
        if self.1.len() > KNOWN
            && let Some(oldest) = self.1.pop_front()
        {
            self.0.remove(&oldest);
        }
    }
}

fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

/// What is stored of `password`: Argon2id (RFC 9106) with 19 MiB and two passes.
///
/// # Errors
/// When the system has no chance to give.
pub fn digest(password: &str) -> Result<String> {
    let digest = Argon2::default().hash_password(password.as_bytes());
    digest.map(|digest| digest.to_string()).map_err(|e| Error::failed(format!("cannot store the password: {e}")))
}

/// Why nobody should have `password`.
#[must_use]
pub fn objection(password: &str) -> Option<String> {
    if password.chars().count() < SHORTEST {
        return Some(format!("the password needs {SHORTEST} characters at least"));
    }
    (password.len() > LONGEST).then(|| format!("the password may have {LONGEST} bytes at most"))
}

fn is(password: &str, stored: &str) -> bool {
    password.len() <= LONGEST
        && PasswordHash::new(stored)
            .is_ok_and(|stored| Argon2::default().verify_password(password.as_bytes(), &stored).is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::users::{User, change};
    use super::*;

    fn add(config: &Path, name: &str, password: &str) {
        let user = User { password: digest(password).unwrap(), streams: Vec::new() };
        change(config, |all| Ok(all.insert(name.into(), user))).unwrap();
    }

    #[tokio::test]
    async fn a_name_and_its_password_let_in_and_are_known_again_until_the_next_password() {
        let folder = tempfile::tempdir().unwrap();
        add(folder.path(), "ann", "correct horse");
        let accounts = Accounts::open(folder.path()).unwrap();
        let try_it = async |user: &str, password: &str| accounts.by_password(user, password, None).await;
        let (pass, looked) = try_it("ann", "correct horse").await.unwrap();
        assert!(looked && pass.sight.user.as_deref() == Some("ann"));
        assert!(!try_it("ann", "correct horse").await.unwrap().1);
        for (user, password) in [("ann", "correct horse "), ("eve", "correct horse"), ("ann", "")] {
            assert_eq!(try_it(user, password).await.unwrap_err(), Refused::Wrong, "{user} {password}");
        }
        let cookie = accounts.cookie("ann").unwrap();
        assert!(accounts.by_cookie(&cookie).is_some() && accounts.by_cookie("x.1.y").is_none());
        add(folder.path(), "ann", "battery staple");
        assert!(accounts.by_cookie(&cookie).is_none() && pass.until.is_cancelled());
        assert_eq!(try_it("ann", "correct horse").await.unwrap_err(), Refused::Wrong);
        assert!(try_it("ann", "battery staple").await.is_ok());
    }

    #[tokio::test]
    async fn who_fails_too_often_waits_even_with_the_right_password() {
        let folder = tempfile::tempdir().unwrap();
        add(folder.path(), "ann", "correct horse");
        let accounts = Accounts::open(folder.path()).unwrap();
        let from = |text: &str| Some(text.parse().unwrap());
        for _ in 0..6 {
            assert_eq!(accounts.by_password("ann", "guess", from("192.0.2.7")).await.unwrap_err(), Refused::Wrong);
        }
        let refused = accounts.by_password("ann", "correct horse", from("192.0.2.7")).await.unwrap_err();
        assert!(matches!(refused, Refused::Wait(left) if left <= Duration::from_secs(2)), "{refused:?}");
        assert!(accounts.by_password("ann", "correct horse", from("192.0.2.8")).await.is_ok());
    }

    #[test]
    fn what_is_stored_is_argon2id_with_a_salt_of_its_own() {
        let (one, other) = (digest("correct horse").unwrap(), digest("correct horse").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && one != other, "{one}");
        assert!(is("correct horse", &one) && is("correct horse", &other) && !is("correct", &one) && !is("", "x"));
        assert!(objection("1234567").is_some() && objection("12345678").is_none());
        assert!(objection(&"x".repeat(LONGEST + 1)).is_some());
    }
}

//! Routes as senders ask for them: for every read from the network, so that nothing is made twice.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::pen::Meta;
use super::rotation;
use super::route::Route;
use crate::plan::Every;

/// Paths that are remembered. Beyond it they are made anew: a flood of addresses costs time, not memory.
const REMEMBERED: usize = 4096;

/// The paths of one stream's files.
#[derive(Debug)]
pub struct Router {
    route: Route,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The time from which, and before which, they are right.
    hour: Option<(Timestamp, Timestamp)>,
    paths: HashMap<String, Arc<Path>>,
    /// What is asked for.
    key: String,
}

impl Router {
    /// Nothing is known yet.
    pub fn new(route: Route) -> Self {
        Self { route, known: Mutex::default() }
    }

    /// How paths are made.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Where the records of a sender go that come at `now`. The time zone is asked for every hour: it may be changed.
    pub fn path(&self, meta: &Meta, now: Timestamp) -> Arc<Path> {
        self.path_in(meta, now, TimeZone::system)
    }

    fn path_in(&self, meta: &Meta, now: Timestamp, zone: impl Fn() -> TimeZone) -> Arc<Path> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut *known;
        // Clocks are set back, too.
        if self.route.is_timed() && !known.hour.is_some_and(|(from, until)| (from..until).contains(&now)) {
            known.paths.clear();
            known.hour = rotation::next(Every::Hour, &now.to_zoned(zone())).map(|until| (now, until));
        }
        let [peer, keyword] = self.route.key(&meta.peer, meta.keyword.as_deref());
        known.key.clear();
        known.key.extend([peer, "\0", keyword]);
        if let Some(path) = known.paths.get(&known.key) {
            return Arc::clone(path);
        }
        let at = now.to_zoned(if self.route.is_timed() { zone() } else { TimeZone::UTC });
        let path: Arc<Path> = self.route.path(&meta.peer, meta.keyword.as_deref(), &at).into();
        if known.paths.len() >= REMEMBERED {
            known.paths.clear();
        }
        known.paths.insert(known.key.clone(), Arc::clone(&path));
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Template;

    fn router(template: &str) -> Router {
        Router::new(Route::new(Template::path(template).unwrap(), "main"))
    }

    fn meta(peer: &str) -> Meta {
        Meta { peer: peer.into(), keyword: None, stream: "main".into(), connection: 1, records: 0 }
    }

    #[test]
    fn a_path_is_made_once_and_anew_when_the_hour_or_the_day_is_over() {
        let router = router("/logs/{peer_ip}/{date}.{hour}");
        let zone = || TimeZone::get("Asia/Kolkata").unwrap();
        let path = |peer: &str, at: &str| router.path_in(&meta(peer), at.parse().unwrap(), zone);
        let first = path("192.0.2.1:1", "2026-11-21T17:31:00Z");
        assert_eq!(*first, *Path::new("/logs/192.0.2.1/2026-11-21.23"));
        assert!(Arc::ptr_eq(&first, &path("192.0.2.1:99", "2026-11-21T18:29:59.999Z")), "the same hour, another port");
        let other = path("192.0.2.2:1", "2026-11-21T18:29:59Z");
        assert_eq!(*other, *Path::new("/logs/192.0.2.2/2026-11-21.23"));
        assert_eq!(*path("192.0.2.1:1", "2026-11-21T18:30:00Z"), *Path::new("/logs/192.0.2.1/2026-11-22.00"));
        assert_eq!(path("192.0.2.1:1", "2026-11-21T18:29:59Z"), first, "the clock was set back");
    }

    #[test]
    fn a_flood_of_addresses_is_not_remembered() {
        let router = router("/logs/{peer_ip}");
        for n in 0..=REMEMBERED {
            let peer = format!("10.0.{}.{}:1", n / 256, n % 256);
            router.path_in(&meta(&peer), Timestamp::UNIX_EPOCH, || panic!("no name depends on the time"));
        }
        assert!(router.known.lock().unwrap().paths.len() <= REMEMBERED);
    }
}

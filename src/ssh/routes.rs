//! Which forwards were asked for, and where their senders go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::intake::Intake;

/// The forwards of one connection; shared between whoever asks for them and the handler that gets their senders.
#[derive(Debug, Clone, Default)]
pub struct Routes(Arc<Mutex<Vec<Route>>>);

#[derive(Debug)]
struct Route {
    address: String,
    /// 0 until the server has told which port it chose.
    port: u32,
    intake: Intake,
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, Vec<Route>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The forward of `address` and `port` is about to be asked for: its first sender may come before the answer does.
    pub fn expect(&self, address: &str, port: u16, intake: Intake) {
        self.lock().push(Route { address: address.to_owned(), port: u32::from(port), intake });
    }

    /// The server chose `port` for the forward of `address` that was asked for with port 0.
    pub fn chosen(&self, address: &str, port: u16) {
        if let Some(route) = self.lock().iter_mut().find(|r| r.address == address && r.port == 0) {
            route.port = u32::from(port);
        }
    }

    /// The forward was refused or cancelled.
    pub fn forget(&self, address: &str, port: u16) {
        self.lock().retain(|r| r.address != address || r.port != u32::from(port));
    }

    /// Where a sender of `address` and `port` belongs; `None`: nobody asked for it. Only one forward at a time waits to
    /// hear its port, and until then a sender for an unknown port of its address is one of its.
    #[must_use]
    pub fn find(&self, address: &str, port: u32) -> Option<Intake> {
        let routes = self.lock();
        let of = |wanted: u32| routes.iter().find(|r| r.address == address && r.port == wanted);
        of(port).or_else(|| of(0)).map(|route| route.intake.clone())
    }
}

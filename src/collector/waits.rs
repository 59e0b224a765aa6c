//! What the supervisor waits for.

use std::sync::Arc;
use std::time::Duration;

use super::link::Link;
use super::network;
use super::state::Event;
use crate::error::Error;
use crate::ssh::{self, Memory, Settings};

/// The first knock comes within this time.
const SPREAD: Duration = Duration::from_millis(500);

/// Waits for `length`. With a `way` it ends when the server at its end answers.
pub async fn pause(length: Duration, way: Option<(Arc<Settings>, Arc<Memory>)>) -> Event {
    let answers = async {
        match &way {
            Some((settings, memory)) => {
                // Not everybody at the same instant, when it is the jump host that was away.
                tokio::time::sleep(SPREAD.mul_f64(rand::random())).await;
                ssh::knock(settings, memory).await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = network::pause(length) => Event::Due,
        () = answers => Event::Answers,
    }
}

/// Awaits what is there; what is not there never ends.
pub async fn some<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Waits until the link is lost, or this machine its address, and says how.
pub async fn lost(link: &mut Option<Link>) -> Error {
    match link {
        Some(link) => {
            let address = link.local_address();
            tokio::select! {
                error = link.lost() => error,
                error = network::address_gone(address) => error,
            }
        }
        None => std::future::pending().await,
    }
}

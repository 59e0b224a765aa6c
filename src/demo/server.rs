//! One SSH connection as the jump host sees it: one key gets in, forwards on loopback, nothing else.
//!
//! Refusing needs no code: russh drops the reply of every channel a client opens unless a handler accepts it, and a
//! dropped reply is "administratively prohibited"; global requests without a handler fail.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{MethodKind, MethodSet, cipher};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::pump;

/// Connections that one SSH connection may have in all its forwards; more wait in the listeners' backlog.
const MAX_SENDERS: usize = 1024;
/// Forwards that one SSH connection may have.
const MAX_FORWARDS: usize = 64;

/// The settings of the server with the host key `host`.
pub(super) fn config(host: PrivateKey) -> Config {
    let mut config = Config {
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        keys: vec![host],
        // ssh(1) begins with "none" to learn the methods; there is nothing to guess there.
        auth_rejection_time_initial: Some(Duration::ZERO),
        // A demo may stand still while its person reads.
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    };
    // russh's own list leaves aes128-gcm out, the fastest where the CPU has AES instructions.
    config.preferred.cipher = Cow::Borrowed(&[
        cipher::AES_128_GCM,
        cipher::AES_256_GCM,
        cipher::CHACHA20_POLY1305,
        cipher::AES_256_CTR,
        cipher::AES_128_CTR,
    ]);
    config
}

/// The handler of one connection. Its end is the end of its forwards.
pub(super) struct Client {
    key: Arc<PublicKey>,
    forwards: HashMap<(String, u32), Forward>,
    senders: Arc<Semaphore>,
    ending: CancellationToken,
    tasks: TaskTracker,
    _end_with_me: DropGuard,
}

/// A listening port: its order to end, and its end.
struct Forward(CancellationToken, JoinHandle<()>);

impl Client {
    /// A connection that lets `key` in, ends its forwards at `ending` and runs them on `tasks`.
    pub fn new(key: Arc<PublicKey>, ending: CancellationToken, tasks: TaskTracker) -> Self {
        let guard = ending.clone().drop_guard();
        let senders = Arc::new(Semaphore::new(MAX_SENDERS));
        Self { key, forwards: HashMap::new(), senders, ending, tasks, _end_with_me: guard }
    }

    fn judge(&self, key: &PublicKey) -> Auth {
        // The comment is part of a PublicKey, but not of what is offered.
        if key.key_data() == self.key.key_data() { Auth::Accept } else { Auth::reject() }
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.judge(offer.public_key))
    }

    async fn auth_publickey(&mut self, _user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.judge(key.public_key))
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        session: &mut Session,
    ) -> Result<bool, Self::Error> {
        let (Some(ip), Ok(wanted)) = (loopback(address), u16::try_from(*port)) else { return Ok(false) };
        if self.forwards.len() >= MAX_FORWARDS {
            return Ok(false);
        }
        let Ok(listener) = TcpListener::bind(SocketAddr::new(ip, wanted)).await else { return Ok(false) };
        let Ok(bound) = listener.local_addr() else { return Ok(false) };
        *port = u32::from(bound.port());

        // Its senders outlive a forward that is cancelled, as they do in OpenSSH; that is what draining needs.
        let over = self.ending.child_token();
        let accepting = accept(
            listener,
            (address.to_owned(), *port),
            session.handle(),
            Arc::clone(&self.senders),
            self.ending.clone(),
            self.tasks.clone(),
        );
        let token = over.clone();
        let task = self.tasks.spawn(async move {
            token.run_until_cancelled(accepting).await;
        });
        self.forwards.insert((address.to_owned(), *port), Forward(over, task));
        Ok(true)
    }

    async fn cancel_tcpip_forward(&mut self, address: &str, port: u32, _: &mut Session) -> Result<bool, Self::Error> {
        let Some(Forward(over, task)) = self.forwards.remove(&(address.to_owned(), port)) else { return Ok(false) };
        over.cancel();
        // The answer means "closed". The task awaits nothing of this connection's loop once it is cancelled.
        let _ = task.await;
        Ok(true)
    }
}

/// Takes connections at `listener` for ever, and hands each to a pump.
async fn accept(
    listener: TcpListener,
    asked: (String, u32),
    session: russh::server::Handle,
    senders: Arc<Semaphore>,
    ending: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let Ok(place) = Arc::clone(&senders).acquire_owned().await else { return };
        let Ok((stream, origin)) = listener.accept().await else {
            // Out of descriptors, or a connection that died in the queue: neither is the end of the listener.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (session, asked, ending) = (session.clone(), asked.clone(), ending.clone());
        tasks.spawn(async move {
            let (ip, port) = (origin.ip().to_string(), u32::from(origin.port()));
            ending
                .run_until_cancelled(async {
                    // RFC 4254, 7.2: the address and port that were asked for, then who connected.
                    if let Ok(channel) = session.channel_open_forwarded_tcpip(asked.0, asked.1, ip, port).await {
                        pump::pump::<Msg>(stream, channel).await;
                    }
                })
                .await;
            drop(place);
        });
    }
}

/// The loopback address that `asked` means; `None` for all others, "all interfaces" among them.
fn loopback(asked: &str) -> Option<IpAddr> {
    if asked == "localhost" {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    asked.parse::<IpAddr>().ok().filter(IpAddr::is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_ever_bound() {
        for good in ["localhost", "127.0.0.1", "127.8.9.10", "::1"] {
            assert!(loopback(good).is_some_and(|ip| ip.is_loopback()), "{good}");
        }
        for bad in ["", "*", "0.0.0.0", "::", "192.0.2.1", "example.org", "::ffff:192.0.2.1"] {
            assert_eq!(loopback(bad), None, "{bad}");
        }
    }
}

//! The embedded jump host: an SSH server that can do one thing, remote port forwards on loopback.
//!
//! It shows the whole path on one machine ([`crate::cli`]'s `demo`) and serves tests that have no `sshd`. It is no
//! jump host for the world: it listens on 127.0.0.1, lets in one key that it makes itself, binds loopback addresses
//! only, and refuses everything else (shells, commands, `-L`, agents, X11, Unix sockets).

mod keys;
mod pump;
mod server;

use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::{Error, Result, io_reason};

/// The private key that may log in, in the folder given to [`JumpHost::start`].
pub const KEY_FILE: &str = "id_ed25519";
/// The host key of the jump host, beside it.
pub const KNOWN_HOSTS_FILE: &str = "known_hosts";

/// A running jump host. Dropping it ends it, too, but only [`JumpHost::stop`] waits until it has ended.
#[derive(Debug)]
pub struct JumpHost {
    /// Where it listens: 127.0.0.1 and a port that the system chose.
    pub address: SocketAddr,
    ending: CancellationToken,
    tasks: TaskTracker,
}

impl JumpHost {
    /// Starts a jump host with fresh keys and writes into `folder` what a client needs: [`KEY_FILE`] (OpenSSH format,
    /// mode 0600, no passphrase) and [`KNOWN_HOSTS_FILE`] (one line). Any user name may log in with that key.
    ///
    /// # Errors
    /// When there is no randomness or no port, or when one of the files exists already or cannot be written.
    pub async fn start(folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(|e| Error::failed(format!("cannot listen on 127.0.0.1 for the jump host: {}", io_reason(&e))))?;
        let address = listener
            .local_addr()
            .map_err(|e| Error::failed(format!("cannot tell the port of the jump host: {}", io_reason(&e))))?;
        let keys = keys::Keys::fresh()?;
        keys.write(folder, address)?;
        let client = Arc::new(keys.client.public_key().clone());
        let config = Arc::new(server::config(keys.host));

        let (ending, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (token, tracker) = (ending.clone(), tasks.clone());
        tasks.spawn(async move {
            while let Some(Ok((stream, _))) = token.run_until_cancelled(listener.accept()).await {
                let handler = server::Client::new(Arc::clone(&client), token.child_token(), tracker.clone());
                tracker.spawn(serve(stream, Arc::clone(&config), handler, token.clone()));
            }
        });
        Ok(Self { address, ending, tasks })
    }

    /// Ends the listener, every SSH connection and every forward; when it returns, all their ports are closed.
    pub async fn stop(self) {
        self.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for JumpHost {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}

/// One SSH connection, until it ends or `ending`.
async fn serve(
    stream: TcpStream,
    config: Arc<russh::server::Config>,
    handler: server::Client,
    ending: CancellationToken,
) {
    // russh runs a session on a task of its own that nothing but the end of its socket stops: keep a second handle
    // on the socket to bring that about.
    let Ok(stream) = stream.into_std() else { return };
    let Ok(socket) = stream.try_clone() else { return };
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let _ = stream.set_nodelay(true);

    let session = async {
        if let Ok(session) = russh::server::run_stream(config, stream, handler).await {
            let _ = session.await;
        }
    };
    tokio::pin!(session);
    if ending.run_until_cancelled(&mut session).await.is_none() {
        let _ = socket.shutdown(Shutdown::Both);
        session.await;
    }
}

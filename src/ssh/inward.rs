//! A sender on the jump host itself: a connection that the server makes to a port of its own, and that comes back by the
//! forward of that port.

use std::pin::Pin;
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelOpenFailure, ChannelWriteHalf, Error as Ssh};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::connection::Connection;
use super::settings::PHASE_TIMEOUT;

/// What saying good-bye to its channel may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoWay {
    /// A rule of the server forbids it.
    Forbidden,
    /// Nobody listens there.
    Refused,
    /// No answer, or one that tells nothing.
    Unclear,
}

/// The connection. What comes back by it is nobody's.
pub struct Inward {
    channel: ChannelWriteHalf<Msg>,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Connection {
    /// Has the jump host connect to `port` at `host`, an address or name as it stands there.
    ///
    /// # Errors
    /// See [`NoWay`].
    pub async fn inward(&self, host: &str, port: u16) -> Result<Inward, NoWay> {
        // The originator means nothing to anybody here (RFC 4254, section 7.2).
        let open = self.leg.handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0);
        match timeout(PHASE_TIMEOUT, open).await {
            Ok(Ok(channel)) => {
                // A queue of the library that nobody reads would stop the connection.
                let (_, channel) = channel.split();
                Ok(Inward { writer: Box::pin(channel.make_writer()), channel })
            }
            Ok(Err(Ssh::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited))) => Err(NoWay::Forbidden),
            Ok(Err(Ssh::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed))) => Err(NoWay::Refused),
            _ => Err(NoWay::Unclear),
        }
    }
}

impl Inward {
    /// Sends all of `bytes`; waits while the server takes no more.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// The end of the stream.
    pub async fn end(self) {
        let _ = timeout(FAREWELL, self.channel.eof()).await;
    }
}

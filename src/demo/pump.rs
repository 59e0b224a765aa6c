//! Bytes between a TCP connection and an SSH channel, both ways, each way ending for itself.

use russh::{Channel, ChannelId, ChannelMsg};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Bytes read from the TCP side at once: what fits into one SSH packet.
const PIECE: usize = 32 * 1024;

/// Carries bytes until both ways have ended, the channel is closed or the TCP connection breaks; then closes both.
pub(super) async fn pump<S>(mut stream: TcpStream, channel: Channel<S>)
where
    S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    let (mut from_tcp, mut to_tcp) = stream.split();
    let (mut from_ssh, to_ssh) = channel.split();

    let all_sent = CancellationToken::new();

    // `Ok` is a clean end of one way; `Err` ends both.
    let inwards = async {
        let mut buffer = vec![0; PIECE];
        loop {
            match from_tcp.read(&mut buffer).await {
                Ok(0) => {
                    all_sent.cancel();
                    return to_ssh.eof().await.map_err(drop);
                }
                Ok(n) => to_ssh.data_bytes(buffer[..n].to_vec()).await.map_err(drop)?,
                Err(_) => return Err(()),
            }
        }
    };
    let outwards = async {
        loop {
            match from_ssh.wait().await {
                Some(ChannelMsg::Data { data }) => to_tcp.write_all(&data).await.map_err(drop)?,
                Some(ChannelMsg::Eof) => break,
                None | Some(ChannelMsg::Close) => return Err(()),
                Some(_) => {}
            }
        }
        to_tcp.shutdown().await.map_err(drop)?;
        // The other side may still close a channel that has nothing left to say.
        let closed = async { while !matches!(from_ssh.wait().await, None | Some(ChannelMsg::Close)) {} };
        all_sent.run_until_cancelled(closed).await.map_or(Ok(()), Err)
    };
    let _ = tokio::try_join!(inwards, outwards);
    let _ = to_ssh.close().await;
}

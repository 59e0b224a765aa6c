//! Senders that connect to a Unix socket of this machine.

use std::io;

use tokio::net::UnixStream;

use super::{Doorway, Line};
use crate::socket::Socket;

impl Doorway for Socket {
    type Line = UnixStream;

    async fn next(&self) -> io::Result<(UnixStream, String)> {
        let stream = self.accept().await?;
        let peer = match stream.peer_cred() {
            Ok(who) => {
                let pid = who.pid().map_or(String::new(), |pid| format!(",pid={pid}"));
                format!("unix:uid={}{pid}", who.uid())
            }
            Err(_) => "unix".to_owned(),
        };
        Ok((stream, peer))
    }
}

impl Line for UnixStream {
    async fn readable(&self) -> io::Result<()> {
        UnixStream::readable(self).await
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        UnixStream::try_read(self, buffer)
    }

    async fn writable(&self) -> io::Result<()> {
        UnixStream::writable(self).await
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        UnixStream::try_write(self, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_tells_who_sends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.sock");
        let socket = Socket::open(&path).await.unwrap();
        let _sender = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let me = format!("unix:uid={},pid={}", rustix::process::geteuid().as_raw(), std::process::id());
        assert_eq!(socket.next().await.unwrap().1, me);
    }
}

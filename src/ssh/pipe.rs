//! From the handler of a hop to the leg behind it: the bytes of the tunnel. The library's own queue of a channel would stop
//! the hop's loop when it is full; this one presses the hop's brake.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::Notify;

/// Bytes that wait for the leg behind before its hop reads no more; the packet that goes beyond still gets in. One read of
/// that leg takes as much; with more, the two would leave the only thread to others less often.
const LIMIT: usize = 256 * 1024;

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    room: Notify,
}

#[derive(Default)]
struct Inner {
    bytes: VecDeque<u8>,
    /// One of the ends is gone.
    closed: bool,
    reader: Option<Waker>,
}

impl Inner {
    fn has_room(&self) -> bool {
        self.closed || self.bytes.len() < LIMIT
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        if let Some(reader) = inner.reader.take() {
            reader.wake();
        }
        drop(inner);
        self.room.notify_waiters();
    }
}

/// The handler's end. Dropping it is the end of the bytes.
pub struct Inlet(Arc<Shared>);

/// The end of the leg behind.
pub struct Outlet(Arc<Shared>);

/// Both ends.
pub fn pipe() -> (Inlet, Outlet) {
    let shared = Arc::<Shared>::default();
    (Inlet(Arc::clone(&shared)), Outlet(shared))
}

impl Inlet {
    /// Takes bytes; false: no more of them until [`Inlet::room`].
    pub fn push(&self, bytes: &[u8]) -> bool {
        let mut inner = self.0.lock();
        if inner.closed {
            return true;
        }
        inner.bytes.extend(bytes);
        if let Some(reader) = inner.reader.take() {
            reader.wake();
        }
        inner.has_room()
    }

    /// Ends when more bytes are welcome, always with true.
    pub fn room(&self) -> impl Future<Output = bool> + Send + 'static {
        let shared = Arc::clone(&self.0);
        async move {
            loop {
                let woken = shared.room.notified();
                tokio::pin!(woken);
                woken.as_mut().enable();
                if shared.lock().has_room() {
                    return true;
                }
                woken.await;
            }
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl AsyncRead for Outlet {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        if inner.bytes.is_empty() {
            if inner.closed {
                return Poll::Ready(Ok(()));
            }
            inner.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let was_full = inner.bytes.len() >= LIMIT;
        let (first, second) = inner.bytes.as_slices();
        let n = first.len().min(buf.remaining());
        buf.put_slice(&first[..n]);
        let m = second.len().min(buf.remaining());
        buf.put_slice(&second[..m]);
        inner.bytes.drain(..n + m);
        let has_room = inner.bytes.len() < LIMIT;
        drop(inner);
        if was_full && has_room {
            self.0.room.notify_waiters();
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn what_goes_in_comes_out_and_then_the_end() {
        let (inlet, mut outlet) = pipe();
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            outlet.read_to_end(&mut all).await.unwrap();
            all
        });
        tokio::task::yield_now().await;
        let sent: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        for piece in sent.chunks(777) {
            inlet.push(piece);
            tokio::task::yield_now().await;
        }
        drop(inlet);
        assert!(reading.await.unwrap() == sent);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_one_says_so_and_whoever_reads_makes_room() {
        let (inlet, mut outlet) = pipe();
        assert!(inlet.push(&vec![0; LIMIT - 1]));
        assert!(!inlet.push(&vec![0; 32 * 1024]));
        let room = inlet.room();
        tokio::pin!(room);
        assert!(tokio::time::timeout(std::time::Duration::from_secs(3600), &mut room).await.is_err());
        outlet.read_exact(&mut vec![0; 32 * 1024]).await.unwrap();
        assert!(room.await);
        assert!(!inlet.push(&vec![0; 32 * 1024]));
        let room = inlet.room();
        drop(outlet);
        assert!(room.await && inlet.push(&vec![0; LIMIT]), "nobody waits for a reader who is gone");
    }
}

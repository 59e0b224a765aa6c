//! An answer that is made while it is read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

/// Pieces of an answer that wait to be read: enough to keep a reader busy, so few that a slow one costs little.
const WAITING: usize = 4;

/// Where an answer comes out.
#[derive(Debug)]
pub struct Outlet {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    gone: Arc<AtomicBool>,
}

/// Where it is put in.
#[derive(Debug, Clone)]
pub struct Inlet {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    /// Nobody reads any more.
    pub gone: Arc<AtomicBool>,
}

/// A new one.
#[must_use]
pub fn answer() -> (Inlet, Outlet) {
    let (sender, pieces) = mpsc::channel(WAITING);
    let gone = Arc::new(AtomicBool::new(false));
    (Inlet { pieces: sender, gone: Arc::clone(&gone) }, Outlet { pieces, gone })
}

impl Inlet {
    /// Puts a piece in; false: nobody reads. Waits for the reader; for threads that may wait.
    #[must_use]
    pub fn put(&self, piece: impl Into<Bytes>) -> bool {
        self.pieces.blocking_send(Ok(piece.into())).is_ok()
    }

    /// As [`put`](Self::put), for tasks.
    pub async fn send(&self, piece: impl Into<Bytes>) -> bool {
        self.pieces.send(Ok(piece.into())).await.is_ok()
    }

    /// Breaks the answer off, so that whoever reads knows that it is not whole. Waits as [`put`](Self::put) does.
    pub fn fail(&self, why: io::Error) {
        // Whoever is gone need not know.
        let _ = self.pieces.blocking_send(Err(why));
    }

    /// Ends when nobody reads any more.
    pub async fn closed(&self) {
        self.pieces.closed().await;
    }
}

impl Body for Outlet {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.pieces.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

//! An answer that is made while it is read.

use std::convert::Infallible;
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
    pieces: mpsc::Receiver<Bytes>,
    gone: Arc<AtomicBool>,
}

/// Where it is put in.
#[derive(Debug, Clone)]
pub struct Inlet {
    pieces: mpsc::Sender<Bytes>,
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
        self.pieces.blocking_send(piece.into()).is_ok()
    }

    /// As [`put`](Self::put), for tasks.
    pub async fn send(&self, piece: impl Into<Bytes>) -> bool {
        self.pieces.send(piece.into()).await.is_ok()
    }

    /// Ends when nobody reads any more.
    pub async fn closed(&self) {
        self.pieces.closed().await;
    }
}

impl Body for Outlet {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.pieces.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

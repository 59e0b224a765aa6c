//! The brake of a connection: while whoever got the last bytes takes no more, nothing is read, and the library's loop
//! lives on. It still writes, hears that it is no longer wanted, and learns from what it writes that the wire is dead.
//!
//! The handler presses the brake, and the wire holds it, above the buffer of what was read: the library gets no further
//! packet. What may still come to the handler is what the library itself has kept back, and that is nothing but the
//! packets that came during a renewal of keys that we began: at most two windows ([`super::rekey`]).

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelWriteHalf, Sig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::socket::Meter;

/// How often a braked connection says something unasked. It does not read the questions of the server, whose
/// `ClientAliveInterval` may be as short as a second, and anything from us counts as an answer.
///
/// It is never a question: sshd answers a global request at once and waits until all that it has for us is on the wire. It
/// would wait for the end of the stall, or for `ClientAliveInterval` times `ClientAliveCountMax` and then for nobody.
const BEAT: Duration = Duration::from_millis(500);

/// Ends when reading may go on; false: when it must not, for whatever is read now may be lost.
type Room = Pin<Box<dyn Future<Output = bool> + Send>>;

/// See the module.
#[derive(Default)]
pub struct Brake {
    on: AtomicBool,
    presses: AtomicU64,
    room: Mutex<Option<Room>>,
    beat: Arc<Notify>,
    voice: Mutex<Option<(Voice, Manner)>>,
}

/// What has no meaning on a channel.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// A signal for a program, where there is none (RFC 4254, section 6.9): it is left out.
    Signal,
    /// An empty line for a program of ours.
    Line,
}

/// A channel that something may be said on.
pub type Voice = Arc<ChannelWriteHalf<Msg>>;

impl std::fmt::Debug for Brake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Brake").field("on", &self.on).finish_non_exhaustive()
    }
}

impl Brake {
    fn room(&self) -> MutexGuard<'_, Option<Room>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is read until `room` ends, and never again if it ends with false.
    pub fn press(&self, room: impl Future<Output = bool> + Send + 'static) {
        let beat = Arc::clone(&self.beat);
        let held = async move {
            tokio::pin!(room);
            loop {
                tokio::select! {
                    biased;
                    go = &mut room => return go,
                    () = sleep(BEAT) => beat.notify_one(),
                }
            }
        };
        *self.room() = Some(Box::pin(held));
        self.presses.fetch_add(1, Ordering::Relaxed);
        self.on.store(true, Ordering::Release);
    }

    /// How often it was pressed: whoever waited for an answer meanwhile waited for more than the jump host.
    #[must_use]
    pub fn presses(&self) -> u64 {
        self.presses.load(Ordering::Relaxed)
    }

    /// Whether nothing is read now.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// What is said while it is on is said on this channel, which is open as long as nothing is read.
    pub fn speak_on(&self, channel: &Voice) {
        *self.voice.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(channel), Manner::Signal));
    }

    /// As [`speak_on`](Self::speak_on), for the channel of a program of ours that takes lines.
    pub fn speak_to(&self, program: &Voice) {
        *self.voice.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(program), Manner::Line));
    }

    /// Returns each time that a braked connection should [say something](Self::say).
    pub async fn beat(&self) {
        self.beat.notified().await;
    }

    /// Says something that has no meaning and wants no answer.
    pub async fn say(&self) {
        let voice = self.voice.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((channel, manner)) = voice else { return };
        let _ = match manner {
            Manner::Signal => channel.signal(Sig::Custom("reclog".into())).await,
            Manner::Line => channel.data_bytes(&b"\n"[..]).await,
        };
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut room = self.room();
        let Some(held) = room.as_mut() else { return Poll::Ready(true) };
        let go = ready!(held.as_mut().poll(cx));
        if go {
            *room = None;
            self.on.store(false, Ordering::Release);
        } else {
            *room = Some(Box::pin(std::future::ready(false)));
        }
        Poll::Ready(go)
    }
}

/// A wire with a brake on what is read from it.
pub struct Braked<S> {
    stream: S,
    meter: Arc<Meter>,
    killed: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Braked<S> {
    /// `stream` with the brake of `meter`; `kill` ends the wait, too.
    pub fn new(stream: S, meter: Arc<Meter>, kill: &CancellationToken) -> Self {
        Self { stream, meter, killed: Box::pin(kill.clone().cancelled_owned()) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Braked<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.meter.brake.is_on() {
            match self.meter.brake.poll(cx) {
                // What waits on the wire by now is not yet known.
                Poll::Ready(true) => self.meter.heard_now(),
                Poll::Ready(false) => return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
                Poll::Pending => {
                    ready!(self.killed.as_mut().poll(cx));
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
            }
        }
        // What a stall has left in our receive buffer is much: others have their turn after some packets of it.
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            turn.made_progress();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Braked<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::time::{Instant, timeout};

    const HOUR: Duration = Duration::from_secs(3600);

    /// A braked wire, the other end of it, and what ends the wait.
    fn braked() -> (Braked<tokio::io::DuplexStream>, tokio::io::DuplexStream, Arc<Meter>, CancellationToken) {
        let (ours, theirs) = tokio::io::duplex(1024);
        let (meter, kill) = (Arc::new(Meter::new(None)), CancellationToken::new());
        (Braked::new(ours, Arc::clone(&meter), &kill), theirs, meter, kill)
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_until_there_is_room_and_something_is_said_meanwhile() {
        let (mut wire, mut other, meter, _kill) = braked();
        tokio::io::AsyncWriteExt::write_all(&mut other, b"abc").await.unwrap();
        assert_eq!(wire.read_u8().await.unwrap(), b'a');
        let (room, waits) = tokio::sync::oneshot::channel::<bool>();
        meter.brake.press(async { waits.await.unwrap() });
        let said = std::sync::atomic::AtomicU32::new(0);
        let begin = Instant::now();
        tokio::select! {
            read = wire.read_u8() => panic!("{read:?} was read"),
            error = super::super::vigil::watch(&meter, Some((Duration::from_secs(1), 1)), async || {}, async || {
                said.fetch_add(1, Ordering::Relaxed);
            }) => panic!("{error}"),
            () = sleep(HOUR) => {}
        }
        assert!(said.into_inner() >= 7199, "twice a second for an hour");
        room.send(true).unwrap();
        assert_eq!(wire.read_u8().await.unwrap(), b'b');
        assert!(!meter.brake.is_on() && meter.heard() == begin + HOUR, "the clock starts anew");
        assert_eq!(wire.read_u8().await.unwrap(), b'c');
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_not_wanted_or_not_taken_any_more_reads_no_more() {
        let (mut wire, _other, meter, kill) = braked();
        meter.brake.press(std::future::pending());
        assert!(timeout(HOUR, wire.read_u8()).await.is_err());
        kill.cancel();
        assert_eq!(wire.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        let (mut wire, _other, meter, _kill) = braked();
        meter.brake.press(std::future::ready(false));
        for _ in 0..2 {
            assert_eq!(wire.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wire_that_is_not_braked_and_silent_is_dead_after_all_questions() {
        let (mut wire, _other, meter, _kill) = braked();
        let (asked, begin) = (std::sync::atomic::AtomicU32::new(0), Instant::now());
        let error = tokio::select! {
            read = wire.read_u8() => panic!("{read:?} was read"),
            error = super::super::vigil::watch(&meter, Some((Duration::from_secs(15), 3)), async || {
                asked.fetch_add(1, Ordering::Relaxed);
            }, async || {}) => error,
        };
        assert_eq!((asked.into_inner(), begin.elapsed().as_secs()), (3, 60));
        assert!(error.message.contains("no answer for 45 s"), "{error}");
    }
}

//! Local listeners: the same door without SSH, for TCP, datagrams and Unix sockets.

mod drops;
mod tcp;
mod udp;
mod unix;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{End, Intake, Leash, Mouth, Sender};
use crate::error::{Error, Result, io_reason};
use crate::plan::{StreamPlan, bracketed};
use crate::socket::Socket;

/// Bytes read at once. One buffer for all senders of the thread: an idle one costs no buffer. Longer than any datagram.
const READ: usize = 128 * 1024;
/// Bytes read from all senders in one round, as far as that is more than [`LEAST`] of each: this is what one who says little waits
/// for while all others flood, some 10 ms of a disk.
const ROUND: usize = 4 * 1024 * 1024;
/// Bytes read at once from a sender that is one of very many.
const LEAST: usize = 8 * 1024;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// The pause after the system refused a connection for lack of descriptors.
const BREATH: Duration = Duration::from_millis(100);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// What senders of one stream come in by, open.
#[derive(Debug)]
pub struct Listener {
    doors: Vec<Door>,
    port: u16,
}

#[derive(Debug)]
enum Door {
    Tcp(TcpListener),
    Udp(udp::Socket),
    Unix(Socket),
}

impl Listener {
    /// Opens the place of `plan`: its Unix socket, or `port` (0: the system chooses) on its address; `*` is every interface,
    /// v4 and v6.
    ///
    /// # Errors
    /// When the address cannot be resolved, the port or path is taken, or the folder cannot be written.
    pub async fn open(plan: &StreamPlan, port: u16) -> Result<Self> {
        if let Some(path) = plan.transport.socket() {
            return Self::at(path).await;
        }
        if plan.transport.has_udp() {
            Self::on(plan, port, udp::bind).await
        } else {
            Self::on(plan, port, tcp::bind).await
        }
    }

    async fn at(path: &Path) -> Result<Self> {
        Ok(Self { doors: vec![Door::Unix(Socket::open(path).await?)], port: 0 })
    }

    async fn on(plan: &StreamPlan, port: u16, open: fn(SocketAddr) -> io::Result<(Door, u16)>) -> Result<Self> {
        let bind = plan.bind.as_str();
        let failed = |e: &io::Error| cannot(plan, port, e);
        let (mut doors, mut chosen) = (Vec::new(), port);
        if bind == "*" {
            // The v6 socket alone (v6only), so that a machine without v6 still listens on v4, and the other way round.
            for address in ["0.0.0.0", "::"] {
                match open(SocketAddr::new(address.parse().expect("literal"), chosen)) {
                    Ok((door, port)) => {
                        chosen = port;
                        doors.push(door);
                    }
                    Err(e) if no_such_family(&e) => {}
                    Err(e) => return Err(failed(&e)),
                }
            }
        } else {
            let unknown = |e: io::Error| {
                failed(&e).hint("write an address of this machine, a name that it has, or * for every interface")
            };
            let addresses: Vec<_> = tokio::net::lookup_host((bind, port)).await.map_err(unknown)?.collect();
            for mut address in addresses {
                address.set_port(chosen);
                let (door, port) = open(address).map_err(|e| failed(&e))?;
                chosen = port;
                doors.push(door);
            }
        }
        if doors.is_empty() {
            return Err(failed(&io::ErrorKind::AddrNotAvailable.into()));
        }
        Ok(Self { doors, port: chosen })
    }

    /// The port that is open; 0 for a Unix socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets senders in until `stop`; whoever is in goes on until `cut`.
    pub fn serve(self, intake: &Intake, stop: &CancellationToken, cut: &CancellationToken) {
        for door in self.doors {
            let (intake, stop, cut) = (intake.clone(), stop.clone(), cut.clone());
            match door {
                Door::Tcp(socket) => {
                    tokio::spawn(async move { stop.run_until_cancelled(accept(&socket, &intake, &cut)).await });
                }
                Door::Unix(socket) => {
                    tokio::spawn(async move { stop.run_until_cancelled(accept(&socket, &intake, &cut)).await });
                }
                Door::Udp(socket) => {
                    let door = intake.lingering_datagrams();
                    // Dropping it in the middle counts its senders as cut.
                    tokio::spawn(async move { cut.run_until_cancelled(socket.receive(door, &stop)).await });
                }
            }
        }
    }
}

fn cannot(plan: &StreamPlan, port: u16, e: &io::Error) -> Error {
    let (udp, kind, flag) = if plan.transport.has_udp() { ("udp:", "UDP port", 'u') } else { ("", "port", 't') };
    let error = Error::failed(format!("cannot listen on {udp}{}:{port}: {}", bracketed(&plan.bind), io_reason(e)));
    match e.kind() {
        io::ErrorKind::AddrInUse => error.hint(format!("another program has this {kind}; `ss -ln{flag}p` shows which")),
        io::ErrorKind::PermissionDenied => error.hint("ports below 1024 need root; choose a higher one"),
        io::ErrorKind::AddrNotAvailable => error.hint("no interface of this machine has that address"),
        _ => error,
    }
}

fn no_such_family(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

/// What connections come out of.
trait Doorway {
    type Line: Line;

    /// The next connection and who it is, for the audit trail.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Line, String)>> + Send;
}

/// One connection.
trait Line: Send + Sync + 'static {
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send;
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

async fn accept<D: Doorway>(doorway: &D, intake: &Intake, cut: &CancellationToken) {
    loop {
        match doorway.next().await {
            Ok((line, peer)) => {
                if let Ok(sender) = intake.admit(&peer) {
                    let cut = cut.clone();
                    tokio::spawn(async move {
                        // Dropping the sender in the middle counts it as cut.
                        cut.run_until_cancelled(receive(line, sender)).await;
                    });
                }
            }
            Err(e) => {
                // Out of descriptors or memory: those who are in go on, the next one waits in the backlog.
                tracing::warn!("cannot accept a sender: {}", io_reason(&e));
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// Ends the reading from one connection.
#[derive(Debug, Default)]
struct Tug(CancellationToken);

impl Leash for Tug {
    /// Nobody else's output holds it up, and that of the stream is known.
    fn is_heard(&self) -> bool {
        true
    }

    fn is_held_up(&self) -> bool {
        false
    }

    fn pull(&self) {
        self.0.cancel();
    }
}

async fn receive(line: impl Line, mut sender: Sender) {
    let mut tug = None;
    sender.tie(|| Arc::clone(tug.insert(Arc::new(Tug::default()))) as Arc<dyn Leash>);
    let tug = tug.as_deref();
    let Some(mouth) = sender.mouth() else {
        if let Some(end) = read(&line, &mut sender, tug).await {
            sender.end(end);
        }
        return;
    };
    let patience = mouth.patience();
    let answers = answer(&line, mouth);
    tokio::pin!(answers);
    let end = tokio::select! {
        end = read(&line, &mut sender, tug) => end,
        // It hears nothing any more.
        () = &mut answers => None,
    };
    if let Some(end) = end {
        sender.end(end);
        tokio::select! {
            () = answers => {}
            () = patience => {}
        }
    }
}

/// Feeds what arrives until the sender ends; `None`: its connection died, or nobody takes anything any more.
async fn read(line: &impl Line, sender: &mut Sender, tug: Option<&Tug>) -> Option<End> {
    loop {
        let turn = sender.turn();
        let ready = async {
            line.readable().await?;
            io::Result::Ok(turn.await)
        };
        let ready = match tug {
            Some(tug) => tug.0.run_until_cancelled(ready).await,
            None => Some(ready.await),
        };
        let turn = match ready {
            Some(Ok(turn)) => turn,
            Some(Err(_)) => return None,
            // It knows better why.
            None => return Some(End::Clean),
        };
        if sender.is_released() {
            return None;
        }
        let senders = sender.senders();
        let read = SCRATCH.with_borrow_mut(|buffer| {
            let most = (ROUND / senders).clamp(LEAST, READ);
            line.try_read(&mut buffer[..most]).inspect(|n| {
                if *n > 0 {
                    sender.feed(&buffer[..*n]);
                }
            })
        });
        drop(turn);
        match read {
            Ok(0) => return Some(End::Clean),
            Ok(_) if sender.is_over() => return Some(End::Clean),
            // Whoever read goes to the end of the line: else the one who is first takes all the room there is, again and again.
            Ok(_) if senders > 1 => tokio::task::yield_now().await,
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

/// Writes the answers until nothing will follow, or nobody listens.
async fn answer(line: &impl Line, mut mouth: Mouth) {
    while let Some(mut bytes) = mouth.next().await {
        while !bytes.is_empty() {
            if line.writable().await.is_err() {
                return;
            }
            match line.try_write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::open;
    use super::*;

    #[tokio::test]
    async fn a_name_that_is_no_address_of_this_machine_is_refused_with_a_hint() {
        let (_dir, intake, sink) = open(1);
        let plan = StreamPlan { bind: "no..name".into(), ..intake.plan().clone() };
        let error = Listener::open(&plan, 5514).await.unwrap_err();
        assert!(error.message.starts_with("cannot listen on no..name:5514: "), "{error:?}");
        let hint = error.hint_text().expect("a hint");
        assert!(hint.contains("* for every interface"), "{hint}");
        sink.finish(CancellationToken::new()).await;
    }
}

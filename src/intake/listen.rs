//! Local listeners: the same door without SSH.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{End, Intake, Mouth, Sender};
use crate::error::{Error, Result, io_reason};
use crate::plan::bracketed;

/// Bytes read at once. One buffer for all senders of the thread: an idle one costs no buffer.
const READ: usize = 128 * 1024;
/// The pause after the system refused a connection for lack of descriptors.
const BREATH: Duration = Duration::from_millis(100);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// An open local port.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<TcpListener>,
    port: u16,
}

impl Listener {
    /// Opens `port` (0: the system chooses) on `bind`; `*` is every interface, v4 and v6.
    ///
    /// # Errors
    /// When the address cannot be resolved or the port is taken.
    pub async fn open(bind: &str, port: u16) -> Result<Self> {
        let failed = |e: &io::Error| {
            let error = Error::failed(format!("cannot listen on {}:{port}: {}", bracketed(bind), io_reason(e)));
            match e.kind() {
                io::ErrorKind::AddrInUse => error.hint("another program has this port; `ss -ltnp` shows which"),
                io::ErrorKind::PermissionDenied => error.hint("ports below 1024 need root; choose a higher one"),
                io::ErrorKind::AddrNotAvailable => error.hint("no interface of this machine has that address"),
                _ => error,
            }
        };
        let mut sockets = Vec::new();
        let mut chosen = port;
        if bind == "*" {
            // The v6 socket alone (v6only), so that a machine without v6 still listens on v4, and the other way round.
            for address in ["0.0.0.0", "::"] {
                match bind_one(SocketAddr::new(address.parse().expect("literal"), chosen)) {
                    Ok(socket) => {
                        chosen = socket.local_addr().map_err(|e| failed(&e))?.port();
                        sockets.push(socket);
                    }
                    Err(e) if no_such_family(&e) => {}
                    Err(e) => return Err(failed(&e)),
                }
            }
        } else {
            let addresses: Vec<_> = tokio::net::lookup_host((bind, port)).await.map_err(|e| failed(&e))?.collect();
            for mut address in addresses {
                address.set_port(chosen);
                let socket = bind_one(address).map_err(|e| failed(&e))?;
                chosen = socket.local_addr().map_err(|e| failed(&e))?.port();
                sockets.push(socket);
            }
        }
        if sockets.is_empty() {
            return Err(failed(&io::ErrorKind::AddrNotAvailable.into()));
        }
        Ok(Self { sockets, port: chosen })
    }

    /// The port that is open.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets senders in until `stop`; whoever is in goes on until `cut`.
    pub fn serve(self, intake: &Intake, stop: &CancellationToken, cut: &CancellationToken) {
        for socket in self.sockets {
            let (intake, stop, cut) = (intake.clone(), stop.clone(), cut.clone());
            tokio::spawn(async move {
                stop.run_until_cancelled(accept(&socket, &intake, &cut)).await;
            });
        }
    }
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A port whose last connections linger in TIME_WAIT is free.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

fn no_such_family(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

async fn accept(socket: &TcpListener, intake: &Intake, cut: &CancellationToken) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                if let Ok(sender) = intake.admit(&peer.to_string()) {
                    let cut = cut.clone();
                    tokio::spawn(async move {
                        // Dropping the sender in the middle counts it as cut.
                        cut.run_until_cancelled(receive(stream, sender)).await;
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

async fn receive(stream: TcpStream, mut sender: Sender) {
    let Some(mouth) = sender.mouth() else {
        if let Some(end) = read(&stream, &mut sender).await {
            sender.end(end);
        }
        return;
    };
    let patience = mouth.patience();
    let answers = answer(&stream, mouth);
    tokio::pin!(answers);
    let end = tokio::select! {
        end = read(&stream, &mut sender) => end,
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
async fn read(stream: &TcpStream, sender: &mut Sender) -> Option<End> {
    loop {
        sender.room().await;
        if sender.is_released() {
            return None;
        }
        if stream.readable().await.is_err() {
            return None;
        }
        let read = SCRATCH.with_borrow_mut(|buffer| {
            stream.try_read(buffer).inspect(|n| {
                if *n > 0 {
                    sender.feed(&buffer[..*n]);
                }
            })
        });
        match read {
            Ok(0) => return Some(End::Clean),
            Ok(_) if sender.is_over() => return Some(End::Clean),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

/// Writes the answers until nothing will follow, or nobody listens.
async fn answer(stream: &TcpStream, mut mouth: Mouth) {
    while let Some(mut bytes) = mouth.next().await {
        while !bytes.is_empty() {
            if stream.writable().await.is_err() {
                return;
            }
            match stream.try_write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

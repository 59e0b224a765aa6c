//! The collector's end of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::{Hello, MAX_REQUEST, Reply, Request};
use crate::error::{Error, Result, io_reason};
use crate::ledger::CollectorSnapshot;

/// Clients served at once; more wait in the socket's backlog.
const MAX_CLIENTS: usize = 64;
/// A client sends its request within this time, or is forgotten.
const PATIENCE: Duration = Duration::from_secs(5);
/// The last answers get out within this time, or not at all.
const FAREWELL: Duration = Duration::from_secs(1);
/// As [`FAREWELL`], while a port is shut.
const HURRIED: Duration = Duration::from_millis(100);
/// Replies that wait for a slow client.
const REPLIES: usize = 16;

/// A request that changes something, on its way to the supervisor.
#[derive(Debug)]
pub struct Command {
    /// What is wanted.
    pub request: Request,
    /// Where the answers go; the client may be gone.
    pub replies: mpsc::Sender<Reply>,
}

/// What the server asks the collector for.
#[derive(Clone)]
pub struct Service {
    /// Gives the collector's snapshot.
    pub snapshot: Arc<dyn Fn() -> CollectorSnapshot + Send + Sync>,
    /// How it was started.
    pub origin: Arc<serde_json::Value>,
    /// Takes what changes something.
    pub commands: mpsc::Sender<Command>,
}

/// A bound control socket that serves; its file is removed when this is dropped.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    accepting: JoinHandle<()>,
    clients: TaskTracker,
}

impl Server {
    /// Binds the socket `path`, mode 0600, and serves it. It gets its name only when it is ready; what a killed collector
    /// left under that name is replaced. The caller holds the lock of the name.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn start(path: &Path, hello: Hello, service: Service) -> Result<Self> {
        let failed = |e: io::Error| {
            Error::failed(format!("cannot create the control socket {}: {}", path.display(), io_reason(&e)))
        };
        // A name beside it that is no longer than the final one, which may be as long as a socket path can be.
        let early = path.with_extension("new");
        let _ = std::fs::remove_file(&early);
        let bound = UnixListener::bind(&early).and_then(|listener| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&early, std::fs::Permissions::from_mode(0o600))?;
            std::fs::rename(&early, path)?;
            Ok(listener)
        });
        let listener = bound.inspect_err(|_| drop(std::fs::remove_file(&early))).map_err(failed)?;
        let clients = TaskTracker::new();
        let accepting = tokio::spawn(accept(listener, hello, service, clients.clone()));
        Ok(Self { path: path.to_owned(), accepting, clients })
    }

    /// Takes no more clients, lets the answers under way get out, and removes the socket. `hurry`: a successor waits for it.
    pub async fn stop(self, hurry: bool) {
        self.accepting.abort();
        self.clients.close();
        let patience = if hurry { HURRIED } else { FAREWELL };
        let _ = tokio::time::timeout(patience, self.clients.wait()).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Only this user (and root) is answered.
async fn accept(listener: UnixListener, hello: Hello, service: Service, tasks: TaskTracker) {
    let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok(permit) = Arc::clone(&clients).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                tracing::warn!("control socket: {}", io_reason(&e));
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (hello, service) = (hello.clone(), service.clone());
        tasks.spawn(async move {
            if let Err(e) = serve_one(stream, &hello, &service).await {
                tracing::debug!("control client: {}", io_reason(&e));
            }
            drop(permit);
        });
    }
}

async fn serve_one(mut stream: UnixStream, hello: &Hello, service: &Service) -> io::Result<()> {
    let (peer, me) = (stream.peer_cred()?.uid(), rustix::process::geteuid().as_raw());
    if peer != me && peer != 0 {
        tracing::warn!(uid = peer, "another user tried the control socket; refused");
        return Ok(());
    }
    let (read, mut write) = stream.split();
    send(&mut write, hello).await?;
    let mut line = Vec::new();
    let mut read = BufReader::new(read.take(MAX_REQUEST as u64));
    match tokio::time::timeout(PATIENCE, read.read_until(b'\n', &mut line)).await {
        Ok(Ok(n)) if n > 0 => {}
        _ => return Ok(()),
    }
    let Ok(request) = serde_json::from_slice(&line) else {
        let error = Error::failed(format!("the collector is reclog {} and does not know this request", hello.reclog));
        return send(&mut write, &Reply::Error { error }).await;
    };
    if let Request::Status = request {
        return send(&mut write, &Reply::Snapshot { collector: Box::new((service.snapshot)()) }).await;
    }
    if let Request::Origin = request {
        return send(&mut write, &Reply::Origin { origin: service.origin.as_ref().clone() }).await;
    }
    let (replies, mut answers) = mpsc::channel(REPLIES);
    if service.commands.send(Command { request, replies }).await.is_err() {
        return send(&mut write, &Reply::Error { error: Error::failed("the collector is ending") }).await;
    }
    while let Some(reply) = answers.recv().await {
        send(&mut write, &reply).await?;
    }
    Ok(())
}

async fn send(write: &mut (impl AsyncWriteExt + Unpin), line: &impl serde::Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    match tokio::time::timeout(PATIENCE, write.write_all(&text)).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

//! The verbs' end of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::{Hello, PROTOCOL, Reply, Request};
use crate::error::{Error, Result, io_reason};
use crate::ledger::CollectorSnapshot;
use crate::paths::Paths;

/// A collector that lives answers at once, whatever its network and disks do.
const PATIENCE: Duration = Duration::from_secs(1);

/// A control socket that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The collector's name.
    pub name: String,
    /// The socket.
    pub socket: PathBuf,
}

/// Why a collector could not be talked to.
#[derive(Debug)]
pub enum Silence {
    /// Nobody listens: it was killed and left its socket.
    Dead,
    /// It has closed the door and is about to be gone.
    Ending,
    /// It listens and does not answer.
    Hung(Error),
}

/// All control sockets of this user, sorted by name.
#[must_use]
pub fn find(paths: &Paths) -> Vec<Found> {
    let mut all = Vec::new();
    for folder in paths.runtimes() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let socket = entry.path();
            let name = socket.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
            if socket.extension().is_some_and(|e| e == "sock") && crate::plan::is_name(&name) {
                all.push(Found { name, socket });
            }
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// A connection to a collector that has said hello.
#[derive(Debug)]
pub struct Client {
    /// Who it is.
    pub hello: Hello,
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
}

impl Client {
    /// Connects to the collector at `socket` and waits for its hello.
    ///
    /// # Errors
    /// See [`Silence`].
    pub async fn connect(socket: &Path) -> std::result::Result<Self, Silence> {
        let name = socket.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let hung = |why: &str| {
            Silence::Hung(Error::failed(format!("the collector \"{name}\" {why}")).hint(format!(
                "its pid stands in {}; `kill PID` drains and ends it",
                socket.with_extension("lock").display()
            )))
        };
        let stream = match timeout(PATIENCE, UnixStream::connect(socket)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
                return Err(Silence::Dead);
            }
            Ok(Err(e)) => return Err(hung(&format!("cannot be reached: {}", io_reason(&e)))),
            Err(_) => return Err(hung("does not answer")),
        };
        let (read, write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let hello = match timeout(PATIENCE, lines.next_line()).await {
            Ok(Ok(Some(line))) => {
                serde_json::from_str::<Hello>(&line).map_err(|_| hung("does not speak reclog's protocol"))?
            }
            Ok(_) => return Err(Silence::Ending),
            Err(_) => return Err(hung("does not answer")),
        };
        if hello.protocol > PROTOCOL {
            return Err(Silence::Hung(
                Error::failed(format!(
                    "the collector {} is reclog {}, newer than this reclog {}",
                    hello.name,
                    hello.reclog,
                    env!("CARGO_PKG_VERSION")
                ))
                .hint("use the newer reclog to talk to it"),
            ));
        }
        Ok(Self { hello, lines, write })
    }

    /// Sends the request; read the answers with [`Client::reply`].
    ///
    /// # Errors
    /// When the collector is gone.
    pub async fn request(&mut self, request: Request) -> Result<()> {
        let mut line = serde_json::to_vec(&request).expect("a request is plain data");
        line.push(b'\n');
        self.write.write_all(&line).await.map_err(|e| self.gone(&io_reason(&e)))
    }

    /// The next answer that this release knows; `None` when the collector has ended the connection.
    ///
    /// # Errors
    /// What the collector reports, or that it cannot be understood.
    pub async fn reply(&mut self) -> Result<Option<Reply>> {
        loop {
            return match self.lines.next_line().await {
                Ok(Some(line)) => match serde_json::from_str(&line) {
                    Ok(Reply::Unknown) => continue,
                    Ok(Reply::Error { error }) => Err(error),
                    Ok(reply) => Ok(Some(reply)),
                    Err(e) => Err(Error::failed(format!(
                        "cannot understand the collector {} (reclog {}): {e}",
                        self.hello.name, self.hello.reclog
                    ))),
                },
                Ok(None) => Ok(None),
                Err(e) => Err(self.gone(&io_reason(&e))),
            };
        }
    }

    /// The collector's snapshot, within the second.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn snapshot(&mut self) -> Result<CollectorSnapshot> {
        let ask = async {
            self.request(Request::Status).await?;
            match self.reply().await? {
                Some(Reply::Snapshot { collector }) => {
                    let mut collector = *collector;
                    if collector.reclog.is_empty() {
                        // It did not say so in its first release.
                        collector.reclog.clone_from(&self.hello.reclog);
                    }
                    Ok(collector)
                }
                _ => Err(self.gone("it ended")),
            }
        };
        match timeout(PATIENCE, ask).await {
            Ok(result) => result,
            Err(_) => Err(self.gone("it does not answer")),
        }
    }

    fn gone(&self, why: &str) -> Error {
        Error::failed(format!("lost the collector {} (pid {}): {why}", self.hello.name, self.hello.pid))
    }
}

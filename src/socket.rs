//! A Unix socket of this machine, for this account alone: it gets its name when it listens, takes that of nobody else, and loses it
//! with its listener.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind::Unsupported};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::error::{Error, Result, io_reason};

/// A listener that takes longer to let us in is there, and busy.
const PATIENCE: Duration = Duration::from_secs(1);
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// Others may be at the same path at the same time; each of them wins or goes.
const TRIES: usize = 5;

/// A socket that listens; its file goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file: what stands there later may be somebody else's.
    file: (u64, u64),
}

impl Socket {
    /// Listens at `path`, mode 0600. What a killed program of this account left there is replaced.
    ///
    /// # Errors
    /// When somebody listens there, something else stands there, or the folder cannot be written.
    pub async fn open(path: &Path) -> Result<Self> {
        let failed = |e: &io::Error| {
            let error = Error::failed(format!("cannot listen on unix:{}: {}", path.display(), io_reason(e)));
            match e.kind() {
                io::ErrorKind::NotFound => error.hint("its folder does not exist"),
                io::ErrorKind::PermissionDenied => error.hint("its folder is not yours to write to"),
                io::ErrorKind::InvalidInput => error.hint("choose a shorter path"),
                _ => error,
            }
        };
        // It gets its name only when it is ready, and never takes it from somebody else.
        let early = beside(path);
        let early = Early(&early);
        let (listener, file) = bind(early.0).map_err(|e| failed(&e))?;
        for _ in 0..TRIES {
            match fs::hard_link(early.0, path) {
                Ok(()) => return Ok(Self { listener, path: path.to_owned(), file }),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed(&e)),
            }
            match fs::symlink_metadata(path) {
                Ok(there) => {
                    leftover(path, &there).await?;
                    take_away(path, &there).map_err(|e| failed(&e))?;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed(&e)),
            }
        }
        Err(Error::failed(format!("cannot listen on unix:{}: others come and go there", path.display())))
    }

    /// The next connection.
    ///
    /// # Errors
    /// What the system says.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Whether the name still leads here.
    #[must_use]
    pub fn has_its_name(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|there| identity(&there) == self.file)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.has_its_name() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A name for a while.
struct Early<'a>(&'a Path);

impl Drop for Early<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0);
    }
}

/// A name in the same folder that nobody has; hardly longer than any, for a socket's path is bounded.
fn beside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{:06x}", rand::random::<u32>() & 0xff_ffff))
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

fn bind(path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The file gets the mode of the socket: at no time may others connect.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    socket.set_nonblocking(true)?;
    match SockAddr::unix(path) {
        Ok(address) => socket.bind(&address)?,
        Err(e) => bind_by_folder(&socket, path).map_err(|other| if other.kind() == Unsupported { e } else { other })?,
    }
    socket.listen(BACKLOG)?;
    // Where a system does not do that, it has this mode before it has its name.
    rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)?;
    let file = identity(&fs::symlink_metadata(path)?);
    Ok((UnixListener::from_std(socket.into())?, file))
}

/// Binds `socket` at a path that is too long for its address, by a shorter one to the same folder.
#[cfg(target_os = "linux")]
fn bind_by_folder(socket: &socket2::Socket, path: &Path) -> io::Result<()> {
    use rustix::fs::OFlags;
    use std::os::fd::AsRawFd;

    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // O_PATH: one may write to a folder that one may not read.
    let folder = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    socket.bind(&SockAddr::unix(short)?)
}

#[cfg(not(target_os = "linux"))]
fn bind_by_folder(_: &socket2::Socket, _: &Path) -> io::Result<()> {
    Err(Unsupported.into())
}

/// Whether what is `there` was left by a program of this account that is gone.
async fn leftover(path: &Path, there: &Metadata) -> Result<()> {
    let shown = path.display();
    let no = |why: &str| Error::failed(format!("cannot listen on unix:{shown}: {why}"));
    if !there.file_type().is_socket() {
        return Err(no("a file that is no socket stands there").hint("choose another path, or move the file away"));
    }
    if there.uid() != rustix::process::geteuid().as_raw() {
        return Err(no("another account's socket stands there").hint("choose another path"));
    }
    match timeout(PATIENCE, UnixStream::connect(path)).await {
        Ok(Err(e)) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
        _ => Err(no("another program listens there").hint(format!("`ss -lxp src {shown}` shows which"))),
    }
}

/// Takes the file that was `seen` away; one that has come since stays.
fn take_away(path: &Path, seen: &Metadata) -> io::Result<()> {
    let aside = beside(path);
    match fs::rename(path, &aside) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        moved => moved?,
    }
    let _aside = Early(&aside);
    if identity(&fs::symlink_metadata(&aside)?) != identity(seen) {
        // Whoever was faster gets its name back, unless an even faster one has it.
        let _ = fs::hard_link(&aside, path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net as sync;

    fn left_in(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn a_socket_is_for_its_owner_alone_and_goes_with_its_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.sock");
        let socket = Socket::open(&path).await.unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let _sender = sync::UnixStream::connect(&path).unwrap();
        socket.accept().await.unwrap();
        assert!(socket.has_its_name());
        assert_eq!(left_in(dir.path()), 1);
        drop(socket);
        assert_eq!(left_in(dir.path()), 0);
    }

    #[tokio::test]
    async fn a_leftover_is_replaced_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.sock");
        drop(sync::UnixListener::bind(&path).unwrap());
        let socket = Socket::open(&path).await.unwrap();
        let error = Socket::open(&path).await.unwrap_err();
        assert!(error.message.contains("another program listens there"), "{error:?}");
        sync::UnixStream::connect(&path).unwrap();
        // Somebody else's by now: it stays.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        drop(socket);
        let error = Socket::open(&path).await.unwrap_err();
        assert!(error.message.contains("no socket"), "{error:?}");
        assert_eq!((fs::read(&path).unwrap(), left_in(dir.path())), (b"a file".to_vec(), 1));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        Socket::open(&path).await.unwrap_err();
        let datagrams = dir.path().join("dgram");
        let _other = sync::UnixDatagram::bind(&datagrams).unwrap();
        Socket::open(&datagrams).await.unwrap_err();
        assert_eq!(left_in(dir.path()), 2);
    }

    #[test]
    fn what_came_since_the_look_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&path, "seen").unwrap();
        let seen = fs::symlink_metadata(&path).unwrap();
        fs::write(&other, "faster").unwrap();
        fs::rename(&other, &path).unwrap();
        take_away(&path, &seen).unwrap();
        assert_eq!((fs::read(&path).unwrap(), left_in(dir.path())), (b"faster".to_vec(), 1));
    }
}

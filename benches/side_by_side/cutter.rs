//! A line between the receivers and sshd that can be cut without a word to either end.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::Fallible;

/// Between two looks of a connection that is held back; short beside the times that are measured, seconds.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A proxy on the loopback interface. While it is cut it takes no byte and passes none on, and all connections stay open:
/// as with a cable that is pulled, nobody gets a FIN or a RST.
#[derive(Debug)]
pub struct Cutter {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Even: bytes pass. Odd: cut.
    cuts: AtomicU32,
    /// Connections from before this count never come back.
    forgotten: AtomicU32,
}

impl State {
    /// Waits while the line is cut; false when this connection is never served again.
    fn passes(&self, born: u32) -> bool {
        while self.cuts.load(Ordering::Relaxed) % 2 == 1 || born < self.forgotten.load(Ordering::Relaxed) {
            // u32::MAX: the end of the proxy.
            if self.forgotten.load(Ordering::Relaxed) == u32::MAX {
                return false;
            }
            thread::sleep(LOOK_AGAIN);
        }
        true
    }
}

impl Cutter {
    /// Leads to this port.
    pub fn new(to: u16) -> Fallible<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let state = Arc::clone(&shared);
                let born = state.cuts.load(Ordering::Relaxed);
                if state.forgotten.load(Ordering::Relaxed) == u32::MAX {
                    return;
                }
                thread::spawn(move || serve(&client, to, born, &state));
            }
        });
        Ok(Self { port, state })
    }

    /// From now on nothing passes.
    pub fn cut(&self) {
        self.state.cuts.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything passes again, late.
    pub fn heal(&self) {
        self.state.cuts.fetch_add(1, Ordering::Relaxed);
    }

    /// New connections pass again; those from before stay as they are for ever: a NAT box that was started anew, another
    /// address from the provider.
    pub fn heal_and_forget(&self) {
        let healed = self.state.cuts.load(Ordering::Relaxed) + 1;
        self.state.forgotten.store(healed, Ordering::Relaxed);
        self.state.cuts.store(healed, Ordering::Relaxed);
    }
}

impl Drop for Cutter {
    /// Ends all connections.
    fn drop(&mut self) {
        self.state.forgotten.store(u32::MAX, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(client: &TcpStream, to: u16, born: u32, state: &Arc<State>) {
    // A connection that is opened while the line is cut gets its answer after it, or never.
    let born = if born % 2 == 1 { born + 1 } else { born };
    if !state.passes(born) {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    for (from, to) in [(client, &server), (&server, client)] {
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
        let state = Arc::clone(state);
        thread::spawn(move || pump(from, to, born, &state));
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, born: u32, state: &State) {
    let mut buffer = vec![0; 64 * 1024];
    // To look at the state although nothing comes.
    let _ = from.set_read_timeout(Some(Duration::from_millis(100)));
    loop {
        match from.read(&mut buffer) {
            Ok(read @ 1..) => {
                if !state.passes(born) || to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                if !state.passes(born) {
                    break;
                }
            }
            _ => {
                // The end of a connection is news, too, and passes as late.
                state.passes(born);
                break;
            }
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

//! The network between two machines, which a test cuts without a word to either side.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Carries every connection to one port of this machine. `Drop` ends them all.
pub struct Cutter {
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Connections older than this carry nothing any more; neither side hears of an end.
    cut_before: AtomicU32,
    /// Nothing is carried at all for now, new connections not either.
    frozen: AtomicBool,
    over: AtomicBool,
    /// The far side of each connection.
    far: Mutex<Vec<TcpStream>>,
}

impl Shared {
    /// Whether bytes of the connection `number` may go on; waits while everything is frozen.
    fn open(&self, number: u32) -> bool {
        while self.frozen.load(Ordering::SeqCst) && !self.over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        number >= self.cut_before.load(Ordering::SeqCst)
    }

    fn carry(&self, number: u32, mut from: TcpStream, mut to: TcpStream) {
        from.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut buffer = vec![0; 64 * 1024];
        while !self.over.load(Ordering::SeqCst) {
            match from.read(&mut buffer) {
                // Whatever comes after a cut is lost, the end of the connection too.
                Ok(n) if !self.open(number) => {
                    if n == 0 {
                        return;
                    }
                }
                Ok(0) => {
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(n) => {
                    if to.write_all(&buffer[..n]).is_err() {
                        return;
                    }
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(_) => {
                    if self.open(number) {
                        let _ = to.shutdown(Shutdown::Both);
                    }
                    return;
                }
            }
        }
    }
}

impl Cutter {
    /// In front of `port`.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (near, shared) = (listener.local_addr().unwrap().port(), Arc::<Shared>::default());
        let here = Arc::clone(&shared);
        std::thread::spawn(move || {
            for (number, client) in (0..).zip(listener.incoming().flatten()) {
                if here.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&here);
                std::thread::spawn(move || {
                    shared.open(number);
                    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    shared.far.lock().unwrap().push(server.try_clone().unwrap());
                    let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    let there = Arc::clone(&shared);
                    let other = std::thread::spawn(move || there.carry(number, server, client));
                    shared.carry(number, back, forth);
                    let _ = other.join();
                });
            }
        });
        Self { port: near, shared }
    }

    /// From now on every connection that there is carries nothing, for ever; new ones work.
    pub fn cut(&self) {
        self.shared.cut_before.store(u32::try_from(self.shared.far.lock().unwrap().len()).unwrap(), Ordering::SeqCst);
    }

    /// As [`Cutter::cut`], and new connections hang until [`Cutter::thaw`].
    pub fn freeze(&self) {
        self.shared.frozen.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// The network is back, for new connections.
    pub fn thaw(&self) {
        self.shared.frozen.store(false, Ordering::SeqCst);
    }

    /// The server hears of the end of every connection that was cut.
    pub fn give_up(&self) {
        let cut = self.shared.cut_before.load(Ordering::SeqCst) as usize;
        for stream in &self.shared.far.lock().unwrap()[..cut] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for stream in self.shared.far.lock().unwrap().iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Whoever waits for the next connection looks again.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

//! Who sends: devices that connect, log, lose their connection and come again. Each remembers what it gave to its kernel
//! and when, and how its connections ended.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::line::{self, Id, Rng};

/// Microseconds since 1970, as the audit trail counts, too.
pub type Micros = i64;

pub fn now() -> Micros {
    jiff::Timestamp::now().as_microsecond()
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The sender said that no more follows, and the other side said so, too.
    Clean,
    /// In any other way.
    Cut(String),
}

/// What a sender remembers of one connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Before the first packet.
    pub opened: Micros,
    /// When the kernel had taken each line as a whole.
    pub lines: Vec<Micros>,
    /// When the sender said that no more follows.
    pub finished: Option<Micros>,
    /// `None` while it is open.
    pub end: Option<(Micros, End)>,
}

/// What all senders remember.
#[derive(Debug, Clone, Default)]
pub struct Book(Arc<Mutex<HashMap<Id, Connection>>>);

impl Book {
    fn with(&self, id: Id, write: impl FnOnce(&mut Connection)) {
        let fresh = Connection { opened: now(), lines: Vec::new(), finished: None, end: None };
        write(self.0.lock().unwrap().entry(id).or_insert(fresh));
    }

    /// When the kernel took the line.
    pub fn handed(&self, id: Id, sequence: u32) -> Option<Micros> {
        self.0.lock().unwrap().get(&id)?.lines.get(sequence as usize).copied()
    }

    pub fn connections(&self) -> HashMap<Id, Connection> {
        self.0.lock().unwrap().clone()
    }
}

/// What kind of device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Stays connected and logs now and then, sometimes a lot.
    Steady,
    /// Connects for a few lines.
    Short,
    /// Sends as fast as it can.
    Flood,
}

/// All senders of a run. They end when told to, or when dropped.
pub struct Crowd {
    run: u32,
    port: u16,
    pub book: Book,
    over: Arc<AtomicBool>,
    next: AtomicU32,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    pub fn new(run: u32, port: u16) -> Self {
        let (book, over) = (Book::default(), Arc::default());
        Self { run, port, book, over, next: AtomicU32::new(1), threads: Vec::new() }
    }

    fn device(&self, habit: Habit, over: &Arc<AtomicBool>) -> Device {
        let sender = self.next.fetch_add(1, Ordering::Relaxed);
        let rng = Rng::new(u64::from(self.run) << 16 ^ u64::from(sender));
        let (book, over) = (self.book.clone(), Arc::clone(over));
        Device { run: self.run, port: self.port, sender, habit, book, over, rng, connections: 0 }
    }

    /// Lets `count` senders go.
    pub fn start(&mut self, habit: Habit, count: usize) {
        for _ in 0..count {
            let device = self.device(habit, &self.over);
            self.threads.push(std::thread::spawn(move || device.live()));
        }
    }

    /// Lets senders go that end with what is returned.
    pub fn burst(&self, habit: Habit, count: usize) -> Burst {
        let over = Arc::default();
        let devices: Vec<Device> = (0..count).map(|_| self.device(habit, &over)).collect();
        let threads = devices.into_iter().map(|device| std::thread::spawn(move || device.live()));
        Burst { threads: threads.collect(), over }
    }

    /// Everybody finishes the line at hand, says so, and waits for the other side.
    pub fn finish(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a sender");
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Senders of a moment.
pub struct Burst {
    threads: Vec<JoinHandle<()>>,
    over: Arc<AtomicBool>,
}

impl Burst {
    /// They have said all that they had to; what they still wait for they wait for by themselves.
    pub fn hush(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub fn finish(self) {
        self.hush();
        for thread in self.threads {
            thread.join().expect("a sender");
        }
    }
}

/// How long a sender that has finished waits for the other side before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);
/// Who is held up looks up this often.
const LOOK_UP: Duration = Duration::from_millis(200);

struct Device {
    run: u32,
    port: u16,
    sender: u32,
    habit: Habit,
    book: Book,
    over: Arc<AtomicBool>,
    rng: Rng,
    connections: u32,
}

impl Device {
    fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn live(mut self) {
        while !self.over() {
            let opened = now();
            // As a device does: one address today, the other tomorrow.
            let v6: IpAddr = Ipv6Addr::LOCALHOST.into();
            let v4: IpAddr = Ipv4Addr::LOCALHOST.into();
            let address = if super::both_families() && self.rng.percent(25) { v6 } else { v4 };
            let to = SocketAddr::new(address, self.port);
            if let Ok(stream) = TcpStream::connect_timeout(&to, Duration::from_secs(1)) {
                let id = Id { sender: self.sender, connection: self.connections };
                self.connections += 1;
                self.book.with(id, |c| c.opened = opened);
                let end = self.converse(id, &stream);
                self.book.with(id, |c| c.end = Some((now(), end)));
            }
            // A device's own patience, before it tries again: this is its pace, nobody waits for it.
            std::thread::sleep(Duration::from_millis(self.rng.between(20, 120)));
        }
    }

    fn converse(&mut self, id: Id, stream: &TcpStream) -> End {
        stream.set_write_timeout(Some(LOOK_UP)).unwrap();
        stream.set_read_timeout(Some(LOOK_UP)).unwrap();
        if self.rng.percent(50) {
            stream.set_nodelay(true).unwrap();
        }
        let mut left = match self.habit {
            Habit::Steady => self.rng.between(100, 3000),
            Habit::Short => self.rng.between(1, 20),
            Habit::Flood => u64::MAX,
        };
        let mut sequence = 0;
        while left > 0 && !self.over() {
            // Several lines in one go, as a device does that has saved them up.
            let many = match self.habit {
                Habit::Flood => 100,
                _ if self.rng.percent(3) => left.min(60),
                _ => 1,
            };
            let last = sequence + u32::try_from(many).unwrap();
            let lines: Vec<Vec<u8>> = (sequence..last).map(|n| line::text(self.run, id, n)).collect();
            if let Err(why) = self.write(id, stream, &lines) {
                return End::Cut(why);
            }
            sequence = last;
            left -= many;
            if self.habit != Habit::Flood {
                std::thread::sleep(Duration::from_millis(self.rng.between(2, 25)));
            }
        }
        self.finish(id, stream)
    }

    fn write(&self, id: Id, mut stream: &TcpStream, lines: &[Vec<u8>]) -> Result<(), String> {
        if let Some(why) = gone(stream) {
            return Err(why);
        }
        let all = lines.concat();
        let mut ends = lines.iter().scan(0, |end, line| {
            *end += line.len();
            Some(*end)
        });
        let (mut done, mut next) = (0, ends.next());
        let mut hushed: Option<Instant> = None;
        while done < all.len() {
            match stream.write(&all[done..]) {
                Ok(n) => {
                    done += n;
                    let at = now();
                    while next.is_some_and(|end| end <= done) {
                        self.book.with(id, |c| c.lines.push(at));
                        next = ends.next();
                    }
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                    // The line at hand is said to its end, unless nobody ever takes it.
                    let since = *hushed.get_or_insert_with(Instant::now);
                    if self.over() && since.elapsed() > PATIENCE {
                        return Err("nobody takes its bytes".into());
                    }
                    if !self.over() {
                        hushed = None;
                    }
                }
                Err(e) => return Err(e.to_string()),
            }
        }
        Ok(())
    }

    fn finish(&self, id: Id, mut stream: &TcpStream) -> End {
        self.book.with(id, |c| c.finished = Some(now()));
        if let Err(e) = stream.shutdown(Shutdown::Write) {
            return End::Cut(e.to_string());
        }
        let since = Instant::now();
        loop {
            match stream.read(&mut [0; 64]) {
                Ok(0) => return End::Clean,
                Ok(_) => return End::Cut("was answered".into()),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                    if since.elapsed() > PATIENCE {
                        return End::Cut("nobody confirms its end".into());
                    }
                }
                Err(e) => return End::Cut(e.to_string()),
            }
        }
    }
}

/// Why nothing need be written any more: what the kernel takes then is gone, and the sender could know it.
fn gone(stream: &TcpStream) -> Option<String> {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0; 1]);
    stream.set_nonblocking(false).unwrap();
    match peeked {
        Ok(0) => Some("ended by the other side".into()),
        Err(e) if e.kind() != ErrorKind::WouldBlock => Some(e.to_string()),
        _ => None,
    }
}

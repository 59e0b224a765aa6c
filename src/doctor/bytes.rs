//! Bytes through the whole path: port, connection, intake, writer, file.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;
use rustix::fs::statvfs;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::rig::Rig;
use super::step::{Name, Step, Verdict};
use super::{Examined, Patient};
use crate::error::{Error, io_reason};
use crate::ledger::Reach;
use crate::plan::is_loopback;
use crate::ssh::{Connection, Inward, NoWay, Proxy, Settings};

/// A line has stood in the file by then, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the file is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);
/// How long bytes are pushed.
const PUSH: Duration = Duration::from_secs(2);
/// Bytes that are pushed at most: the disk is somebody's, the line may be paid for, and so many say all there is to say.
const MOST: u64 = 256 * 1024 * 1024;
/// Bytes that are pushed at once.
const PIECE: usize = 64 * 1024;
/// Bytes under way at a time from the jump host to itself behind a `ProxyCommand`: many such programs, socat among them, read
/// nothing while they wait to write, and two pipes of 64 KiB that are full both ways would stand still for good.
const UNDER_WAY: u64 = 96 * 1024;
/// How often it is looked whether some of them have come.
const BRIEFLY: Duration = Duration::from_millis(1);

/// How bytes get to the port.
enum Way {
    /// As senders do.
    Outside(TcpStream),
    /// From the jump host to itself.
    Inside(Inward),
}

impl Way {
    /// To `port` of `stream`: from outside where that was proven.
    async fn open(connection: &Connection, settings: &Settings, stream: &Examined, port: u16) -> Result<Self, String> {
        let proven = stream.finding.as_ref().is_some_and(|finding| finding.reach == Reach::Proven);
        // Behind a hop or a program it was proven from there, and nobody knows whether this machine gets through.
        let direct = settings.jumps.is_empty() && !behind_a_program(settings);
        if proven && direct {
            let connect = TcpStream::connect((settings.host.as_str(), port));
            if let Ok(Ok(connected)) = timeout(PATIENCE, connect).await {
                return Ok(Self::Outside(connected));
            }
        }
        let bind = stream.plan.bind.as_str();
        let host = match bind {
            "*" | "0.0.0.0" => "127.0.0.1",
            "::" => "::1",
            bind if is_loopback(bind) && bind.eq_ignore_ascii_case("localhost") => "127.0.0.1",
            bind => bind,
        };
        // sshd that binds what it likes binds loopback.
        for host in [host, "127.0.0.1"] {
            match connection.inward(host, port).await {
                Ok(inward) => return Ok(Self::Inside(inward)),
                Err(NoWay::Refused) => {}
                Err(NoWay::Forbidden) => {
                    return Err(
                        "not proven from outside, and the jump host may not connect to itself for this account".into(),
                    );
                }
                Err(NoWay::Unclear) => {
                    return Err("not proven from outside, and the jump host does not connect to itself".into());
                }
            }
        }
        Err(format!("nothing listens on port {port} of the jump host"))
    }

    async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Outside(stream) => stream.write_all(bytes).await,
            Self::Inside(inward) => inward.send(bytes).await,
        }
    }

    async fn end(self) {
        match self {
            Self::Outside(mut stream) => drop(timeout(PATIENCE, stream.shutdown()).await),
            Self::Inside(inward) => inward.end().await,
        }
    }

    fn as_str(&self) -> &'static str {
        match self {
            Self::Outside(_) => "from outside",
            Self::Inside(_) => "from the jump host itself",
        }
    }
}

impl Patient<'_> {
    /// A line for each stream, and two seconds for the first that took one.
    pub(super) async fn bytes(&mut self) {
        let Self { connection, chart, streams, settings, has_output, .. } = self;
        let (Some(connection), true) = (connection, streams.iter().any(|stream| stream.port.is_some())) else {
            for name in [Name::ByteInFile, Name::Throughput] {
                chart.skip(name, "it needs a port");
            }
            return;
        };
        let mut good = None;
        for stream in streams.iter() {
            let (Some(rig), Some(port)) = (&stream.rig, stream.port) else {
                chart.done_for(&stream.plan, Step::new(Name::ByteInFile, Verdict::Skipped, "it has no port"));
                continue;
            };
            if *has_output && !rig.beside {
                chart.done_for(&stream.plan, Step::new(Name::ByteInFile, Verdict::Skipped, "it needs output"));
                continue;
            }
            chart.begin(Name::ByteInFile);
            let began = Instant::now();
            let step = match Way::open(connection, settings, stream, port).await {
                Ok(way) => line(way, rig).await,
                Err(why) => Step::new(Name::ByteInFile, Verdict::CannotTell, why),
            };
            if step.verdict == Verdict::Ok {
                good = good.or(Some((stream, rig, port)));
            }
            chart.done_for(&stream.plan, step.took(began.elapsed()));
        }
        let Some((stream, rig, port)) = good else {
            chart.skip(Name::Throughput, "it needs byte-in-file");
            return;
        };
        chart.begin(Name::Throughput);
        let began = Instant::now();
        let step = match Way::open(connection, settings, stream, port).await {
            Ok(way) => throughput(way, rig, stream.plan.min_free, behind_a_program(settings)).await,
            Err(why) => Step::new(Name::Throughput, Verdict::CannotTell, why),
        };
        chart.done_for(&stream.plan, step.took(began.elapsed()));
    }
}

/// One line, which must stand in the file whole.
async fn line(mut way: Way, rig: &Rig) -> Step {
    let line = format!("reclog doctor {:032x}\n", rand::random::<u128>());
    let how = way.as_str();
    if let Err(e) = way.send(line.as_bytes()).await {
        let error = Error::failed(format!("a line {how} was not taken: {}", io_reason(&e)));
        return Step::failed(Name::ByteInFile, &error);
    }
    way.end().await;
    let path = rig.path();
    let stands = async {
        while !holds(&path, &line) {
            sleep(LOOK).await;
        }
    };
    if timeout(PATIENCE, stands).await.is_ok() {
        return Step::new(Name::ByteInFile, Verdict::Ok, format!("a line {how} stands in the file"));
    }
    let error = Error::failed(format!("a line {how} is not in the file after {} s", PATIENCE.as_secs()));
    let counts = rig.intake.ledger().counts();
    Step::failed(Name::ByteInFile, &error).detail(match &counts.stall {
        Some(stall) => stall.sentence.clone(),
        None => format!("{} bytes came, {} were written", counts.ledger.received, counts.ledger.stored),
    })
}

/// Whether `line` stands in the file, the first one in it or after a whole line.
fn holds(path: &Path, line: &str) -> bool {
    let Ok(mut file) = std::fs::File::open(path) else { return false };
    let mut text = Vec::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut text));
    read.is_ok() && text.split_inclusive(|b| *b == b'\n').any(|whole| whole == line.as_bytes())
}

/// Whether the connection begins with a program.
fn behind_a_program(settings: &Settings) -> bool {
    matches!(settings.jumps.first().unwrap_or(settings).proxy, Proxy::Command(_))
}

async fn throughput(mut way: Way, rig: &Rig, min_free: u64, program: bool) -> Step {
    let most = statvfs(rig.path()).map_or(MOST, |system| {
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        (free.saturating_sub(min_free) / 2).min(MOST)
    });
    let gently = program && matches!(way, Way::Inside(_));
    let size = if gently { PIECE / 4 } else { PIECE };
    let piece: Vec<u8> = format!("reclog doctor {}\n", "x".repeat(113)).into_bytes().repeat(size / 128);
    let how = way.as_str();
    let ledger = rig.intake.ledger();
    let before = ledger.counts().ledger;
    let stored = || ledger.counts().ledger.stored - before.stored;
    let came = || ledger.counts().ledger.received - before.received;
    let began = Instant::now();
    let (end, mut sent) = (began + PUSH, 0);
    while sent < most && Instant::now() < end {
        if gently && sent + piece.len() as u64 > came() + UNDER_WAY {
            sleep(BRIEFLY).await;
            continue;
        }
        match timeout_at(end, way.send(&piece)).await {
            Ok(Ok(())) => sent += piece.len() as u64,
            Ok(Err(e)) => {
                let error = Error::failed(format!("the port took no more bytes {how}: {}", io_reason(&e)));
                return Step::failed(Name::Throughput, &error);
            }
            Err(_) => break,
        }
    }
    // Less than it could take: wait for the rest, or the last bytes on their way would be missing in the figure.
    while sent >= most && stored() < sent && Instant::now() < end {
        sleep(LOOK).await;
    }
    let (stored, time) = (stored(), began.elapsed());
    way.end().await;
    if stored == 0 {
        let error = Error::failed(format!("of {sent} bytes {how} none was in the file after {} s", PUSH.as_secs()));
        return Step::failed(Name::Throughput, &error);
    }
    let rate = u64::try_from(u128::from(stored) * 1000 / time.as_millis().max(1)).unwrap_or(u64::MAX);
    let size = |n| ByteSize(n).display().si().to_string();
    let text = format!("{}/s {how} into the file ({})", size(rate), size(stored));
    let step = Step::new(Name::Throughput, Verdict::Ok, text);
    if gently {
        step.detail("measured gently, for the ProxyCommand's sake: more may get through from outside")
    } else {
        step
    }
}

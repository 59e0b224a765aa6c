//! One SSH connection over one wire: to the jump host, or to a hop on the way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::Handle;
use russh::{ChannelOpenFailure, Disconnect};
use tokio::io::BufReader;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::blame::blame;
use super::brake::Braked;
use super::distance::Distance;
use super::greeting::Greeting;
use super::half_closed::HalfClosed;
use super::handler::{Expected, Guest, Refusal, Stop, Words};
use super::host_key::KnownHosts;
use super::pipe::pipe;
use super::porch::Porch;
use super::prompt::{Desk, Waited};
use super::proxy::{self, Program};
use super::relay::{Ears, Lobby};
use super::routes::Routes;
use super::seats::Seats;
use super::settings::{PHASE_TIMEOUT, Proxy, Settings};
use super::socket::{self, Meter, Metered, Wire};
use super::strange::Strange;
use super::vigil::{self, Ending};
use super::{Phase, algorithms, auth, dial, reason};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::plan::bracketed;

/// The largest packet; OpenSSH's own size, and sshd reads no more at a time. Of 8 KiB, half as much of a flood comes before what one
/// more sender says, but one sender alone takes 1.4 times as long, and sshd half as much CPU again; of 16 KiB, 1.3 times as long.
const MAX_PACKET: u32 = 32 * 1024;
/// Bytes read from the socket at once. Fewer, larger reads are the cheapest speed there is.
const READ_BUFFER: usize = 256 * 1024;

/// What a server may take for a login altogether, however soon each of its answers comes; sshd gives us no longer either
/// (`LoginGraceTime`).
const LONGEST_LOGIN: Duration = Duration::from_secs(120);

/// The library's loop takes within this time what is to be sent, or is itself in trouble.
const QUEUED: Duration = Duration::from_millis(500);

/// Hears of each phase as it begins, and of the host that it is about (`user@host:port`).
pub type Progress<'a> = &'a (dyn Fn(Phase, &str) + Sync);

/// One SSH connection, logged in.
pub struct Leg {
    /// Asks the library's loop.
    pub handle: Arc<Handle<Guest>>,
    /// Whom it leads to.
    pub settings: Arc<Settings>,
    /// The forwards asked for.
    pub routes: Routes,
    /// What has passed, and what the server calls itself.
    pub meter: Arc<Meter>,
    /// Senders wait here until it is opened.
    pub porch: Porch,
    /// Senders that are in.
    pub seats: Seats,
    /// Who came in by the forward of a relay waits here until it is known who that is.
    pub lobby: Lobby,
    /// Where the relay is heard.
    pub ears: Ears,
    /// Where the handler looks for the pipe of a tunnel.
    tunnel: Expected,
    /// Why a tunnel was not opened, in the server's words.
    pub turned_down: Words,
    pub ended: Ending,
    /// Ends the library's loop when the leg is dropped, whatever that loop is waiting for.
    kill: DropGuard,
    /// The program that is its wire.
    program: Option<Program>,
}

impl Leg {
    /// The first leg: over TCP, or over the program of a `ProxyCommand`.
    ///
    /// # Errors
    /// As [`Leg::over`]; and whatever stands in the way of a wire.
    pub async fn first(settings: Arc<Settings>, desk: &Desk, progress: Progress<'_>) -> Result<Self> {
        let known = known_hosts(&settings, desk).await?;
        progress(Phase::Connect, &settings.target());
        if let Proxy::Command(command) = &settings.proxy {
            let (wire, mut program) = proxy::start(command, &settings.folder)?;
            return match Self::over((wire, Distance::Far), Arc::clone(&settings), known, desk, progress).await {
                Ok(leg) => Ok(Self { program: Some(program), ..leg }),
                Err(error) => {
                    let error = blame(&mut program, command, &settings, error).await;
                    program.end().await;
                    Err(error)
                }
            };
        }
        let dial::Dialed { stream, took } = dial::dial(&settings, &desk.memory).await?;
        let distance = Distance::of(took, settings.rekey_limit.is_some());
        let dead_after = keepalive(&settings).map(|(interval, count)| interval * count);
        socket::tune(&stream, dead_after, distance.receive_buffer());
        Self::over((Wire::Tcp(stream), distance), settings, known, desk, progress).await
    }

    /// The next leg, through this one: a tunnel from its host to the next.
    ///
    /// # Errors
    /// As [`Leg::over`]; refused (exit code 4) when the host forbids tunnels.
    pub async fn next(&self, settings: Arc<Settings>, desk: &Desk, progress: Progress<'_>) -> Result<Self> {
        let known = known_hosts(&settings, desk).await?;
        progress(Phase::Connect, &settings.target());
        let (here, there) = (self.settings.target(), format!("{}:{}", bracketed(&settings.host), settings.port));
        let there = escape_str(&there);
        // The originator means nothing to anybody here (RFC 4254, section 7.2).
        let (inlet, outlet) = pipe();
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(inlet);
        let open = self.handle.channel_open_direct_tcpip(&settings.host, settings.port.into(), "127.0.0.1", 0);
        let channel = match timeout(settings.connect_timeout, open).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited))) => {
                return Err(Error::refused(format!("{here} forbids a tunnel to {there}")).hint(format!(
                    "its sshd_config may say AllowTcpForwarding no, DisableForwarding, or PermitOpen without {there}; \
                     its authorized_keys restrict, no-port-forwarding or permitopen"
                )));
            }
            Ok(Err(russh::Error::ChannelOpenFailure(_))) => {
                let why = self.turned_down.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let why = if why.is_empty() { "it does not say why".into() } else { why };
                return Err(Error::failed(format!("{here} cannot connect to {there}: {why}"))
                    .hint("the name is looked up there, and the connection is made from there"));
            }
            Ok(Err(e)) => {
                return Err(Error::failed(format!(
                    "lost the connection to {here} on the way to {there}: {}",
                    reason(&e)
                )));
            }
            Err(_) => {
                return Err(Error::failed(format!(
                    "{here} did not connect to {there} within {} s (phase: connect)",
                    settings.connect_timeout.as_secs()
                )));
            }
        };
        // What comes goes to the pipe. A queue of the library that nobody reads would stop the hop's loop.
        let (_, channel) = channel.split();
        let wire = Wire::Tunnel(Box::new(tokio::io::join(outlet, channel.make_writer())));
        self.meter.brake.speak_on(&Arc::new(channel));
        Self::over((wire, Distance::Far), settings, known, desk, progress).await
    }

    /// Greets the server at the other end of `wire`, checks its host key and logs in.
    async fn over(
        (wire, distance): (Wire, Distance),
        settings: Arc<Settings>,
        known: KnownHosts,
        desk: &Desk,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let kill = CancellationToken::new();
        let (phase, phases) = watch::channel(Phase::Banner);
        let (stream, meter) = Metered::new(wire, phase, &kill);
        let config = Arc::new(library_config(&settings, &known, distance));
        let (ended_tx, ended) = oneshot::channel();
        let ended_tx = Arc::new(Mutex::new(Some(ended_tx)));
        let (routes, refusal, turned_down) = (Routes::default(), Refusal::default(), Words::default());
        let (porch, tunnel) = (Porch::default(), Expected::default());
        let (lobby, ears) = (Lobby::default(), Ears::default());
        let half_closed = HalfClosed::default();
        let seats = Seats::new(half_closed.clone(), Arc::clone(&meter));
        let guest = Guest {
            settings: Arc::clone(&settings),
            known,
            desk: desk.clone(),
            routes: routes.clone(),
            meter: Arc::clone(&meter),
            refusal: Arc::clone(&refusal),
            ended: Arc::clone(&ended_tx),
            senders: seats.clone(),
            porch: porch.clone(),
            lobby: lobby.clone(),
            ears: ears.clone(),
            tunnel: Arc::clone(&tunnel),
            opened: None,
            half_closed,
            strange: Strange::default(),
            turned_down: Arc::clone(&turned_down),
            rekey: None,
            distance,
        };
        // Above the buffer: what is in it has been read for good, and compressed bytes may be a thousand times as many.
        let stream = Braked::new(BufReader::with_capacity(READ_BUFFER, stream), Arc::clone(&meter), &kill);
        let killed = kill.clone();
        let kill = kill.drop_guard();
        let greeting = russh::client::connect_stream(config, stream, guest);
        let book = &desk.memory.book;
        book.note(|known| *known = Greeting { target: settings.target(), ..Greeting::default() });
        let greeted = watch_phases(greeting, phases, &settings, &desk.waited, progress).await;
        book.note(|known| meter.software().clone_into(&mut known.software));
        let (handle, phase) = greeted?;
        let mut handle = handle.map_err(|e| {
            refusal.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(|| {
                let why = match &e {
                    Stop::Ssh(e) => reason(e),
                    e => e.to_string(),
                };
                greeting_error(&settings, &e, phase, &why)
            })
        })?;
        progress(Phase::Authentication, &settings.target());
        tokio::select! {
            biased;
            done = auth::authenticate(&mut handle, &settings, desk) => done?,
            () = desk.waited.run_out(LONGEST_LOGIN) => {
                return Err(Error::failed(format!(
                    "{} did not come to an end with the login within {} s (phase: authentication)",
                    settings.target(),
                    LONGEST_LOGIN.as_secs()
                )));
            }
        }
        let handle = Arc::new(handle);
        let watch = keep_watch(Arc::clone(&handle), Arc::clone(&meter), keepalive(&settings));
        tokio::spawn(async move {
            tokio::select! {
                () = killed.cancelled() => {}
                error = watch => {
                    vigil::tell(&ended_tx, error);
                    killed.cancel();
                }
            }
        });
        let ended = Ending::new(ended);
        Ok(Self {
            handle,
            settings,
            routes,
            meter,
            porch,
            seats,
            lobby,
            ears,
            tunnel,
            turned_down,
            ended,
            kill,
            program: None,
        })
    }

    /// Waits until it is lost and says how.
    pub async fn lost(&mut self) -> Error {
        let mut error = self.ended.wait().await;
        if let Some(program) = &mut self.program
            && let Some(words) = program.last_words().await
        {
            error.message = format!("{} (the ProxyCommand {words})", error.message);
        }
        error
    }

    /// How it was lost, if it was.
    pub fn is_lost(&mut self) -> Option<Error> {
        self.ended.look()
    }

    /// Our address of the wire; none behind a program or in a tunnel.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.meter.local_address()
    }

    /// Says good-bye and waits for the end of the connection, at most for `patience`.
    pub async fn close(self, patience: Duration) {
        let Self { handle, mut ended, kill, program, .. } = self;
        let farewell = async {
            let _ = handle.disconnect(Disconnect::ByApplication, "", "").await;
            ended.wait().await;
        };
        let _ = timeout(patience, farewell).await;
        drop(kill);
        if let Some(program) = program {
            program.end().await;
        }
    }
}

/// Large files take a while, and a home folder on a dead server for ever: the loop goes on meanwhile.
async fn known_hosts(settings: &Arc<Settings>, desk: &Desk) -> Result<KnownHosts> {
    let (settings, memory) = (Arc::clone(settings), Arc::clone(&desk.memory));
    let reading = tokio::task::spawn_blocking(move || KnownHosts::read(&settings, &memory.accepted));
    match timeout(PHASE_TIMEOUT, reading).await {
        Ok(read) => read.unwrap_or_else(|_| Err(Error::host_key("cannot read the known hosts: reclog failed"))),
        // A thread stays behind until the disk answers; the runtime bounds how many there are.
        Err(_) => Err(Error::failed(format!("the known hosts could not be read within {} s", PHASE_TIMEOUT.as_secs()))
            .hint("the folder they lie in does not answer; a network disk?")),
    }
}

/// After how long a silence the server is asked whether it lives, and how often.
fn keepalive(settings: &Settings) -> Option<(Duration, u32)> {
    settings.keepalive.map(|interval| (interval, u32::try_from(settings.keepalive_count).unwrap_or(u32::MAX)))
}

/// Returns when nobody answers any more.
async fn keep_watch(handle: Arc<Handle<Guest>>, meter: Arc<Meter>, keepalive: Option<(Duration, u32)>) -> Error {
    // What does not even get into the loop's queue has no answer either.
    let ask = || async { drop(timeout(QUEUED, handle.send_keepalive(true)).await) };
    let say = || async { drop(timeout(QUEUED, meter.brake.say()).await) };
    vigil::watch(&meter, keepalive, ask, say).await
}

fn library_config(settings: &Settings, known: &KnownHosts, distance: Distance) -> russh::client::Config {
    russh::client::Config {
        client_id: russh::SshId::Standard(concat!("SSH-2.0-reclog_", env!("CARGO_PKG_VERSION")).into()),
        limits: algorithms::library_limits(),
        window_size: distance.window(),
        maximum_packet_size: MAX_PACKET,
        preferred: algorithms::preferred(&settings.algorithms, &known.algorithms(), known.wants_certificates()),
        // Who is braked does not read the answers that the library would count.
        keepalive_interval: None,
        nodelay: true,
        ..russh::client::Config::default()
    }
}

/// Awaits `greeting` under a deadline for each phase.
async fn watch_phases<T>(
    greeting: impl Future<Output = T>,
    mut phases: watch::Receiver<Phase>,
    settings: &Settings,
    waited: &Waited,
    progress: Progress<'_>,
) -> Result<(T, Phase)> {
    tokio::pin!(greeting);
    let mut phase = Phase::Banner;
    let target = settings.target();
    progress(phase, &target);
    let mut deadline = Box::pin(waited.run_out(settings.connect_timeout));
    loop {
        tokio::select! {
            biased;
            done = &mut greeting => {
                return Ok((done, *phases.borrow()));
            }
            Ok(()) = phases.changed() => {
                phase = *phases.borrow_and_update();
                progress(phase, &target);
                deadline = Box::pin(waited.run_out(settings.connect_timeout));
            }
            () = &mut deadline => {
                return Err(Error::failed(format!(
                    "{} did not answer within {} s (phase: {})",
                    settings.target(),
                    settings.connect_timeout.as_secs(),
                    phase.as_str()
                ))
                .hint(match phase {
                    Phase::Banner => "something accepts connections there but does not speak SSH; is the port right (-p)?",
                    _ => "the server hangs, or something between you and it lets only small packets through (MTU)",
                }));
            }
        }
    }
}

fn greeting_error(settings: &Settings, error: &Stop, phase: Phase, why: &str) -> Error {
    let target = settings.target();
    match error {
        Stop::Ssh(russh::Error::NoCommonAlgo { kind, ours, theirs }) => Error::failed(format!(
            "{target} and reclog have no {kind:?} algorithm in common: it offers {}",
            auth::brief(&theirs.join(", "))
        ))
        .hint(format!("reclog offers {}", ours.join(", "))),
        Stop::Ssh(russh::Error::Version) => {
            Error::failed(format!("{target} does not speak SSH 2")).hint("is the port right (-p)?")
        }
        _ if phase == Phase::Banner => {
            Error::failed(format!("{target} ended the connection before it said that it speaks SSH: {why}"))
                .hint("is the port right (-p)? A server that is overloaded or has banned you (MaxStartups, fail2ban) does so, too")
        }
        _ => Error::failed(format!("cannot start an SSH connection to {target}: {why}")),
    }
}

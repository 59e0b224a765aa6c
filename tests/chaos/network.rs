//! The line between the collector and its jump host, and how it is broken.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::common::{Env, env::binary, find_program};

/// The jump host's end of the line between the two name spaces (addresses of RFC 2544, for tests).
const JUMP: &str = "198.18.0.1";

/// Where packets can be stopped.
pub enum Network {
    /// This process, with sshd and all senders, is in a network name space of its own; the collector is in another.
    Spaces(Spaces),
    /// Everything is in one, with a proxy between.
    Proxy(Proxy),
}

/// `home`: the collector's name space. It lives as long as the process that holds it, which ends with us.
pub struct Spaces {
    holder: Child,
    /// tc knows netem here: packets can also be late.
    netem: bool,
}

/// Whether this process is in name spaces of its own.
pub fn inside() -> bool {
    std::env::var_os("RECLOG_CHAOS_INSIDE").is_some()
}

/// Whether name spaces for network and mounts can be made here.
pub fn may_make_spaces() -> bool {
    let programs = ["unshare", "nsenter", "ip", "nft"].iter().all(|p| find_program(p).is_some());
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "--mount", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    programs && unshare.status().is_ok_and(|s| s.success())
}

impl Network {
    /// Sets it up; sshd comes later, see [`Network::sshd_line`].
    pub fn new() -> Self {
        if inside() { Self::Spaces(Spaces::new()) } else { Self::Proxy(Proxy::new()) }
    }

    /// What sshd must listen on besides the loopback interface.
    pub fn sshd_line(&self) -> Option<String> {
        matches!(self, Self::Spaces(_)).then(|| format!("ListenAddress {JUMP}"))
    }

    /// Where the collector finds the sshd of this port.
    pub fn way_to(&self, sshd: u16) -> (String, u16) {
        match self {
            Self::Spaces(_) => (JUMP.into(), sshd),
            Self::Proxy(proxy) => ("127.0.0.1".into(), proxy.lead_to(sshd)),
        }
    }

    /// reclog on the collector's side of the line.
    pub fn reclog(&self, env: &Env, args: &[&str]) -> Command {
        match self {
            Self::Spaces(spaces) => {
                let mut command = env.command("nsenter");
                command.arg(format!("--net=/proc/{}/ns/net", spaces.holder.id())).arg(binary()).args(args);
                command
            }
            Self::Proxy(_) => env.reclog(args),
        }
    }

    pub fn what(&self) -> &'static str {
        match self {
            Self::Spaces(Spaces { netem: true, .. }) => "network name spaces; nft drops, tc netem delays",
            Self::Spaces(_) => "network name spaces; nft drops packets (no tc netem here: none is late)",
            Self::Proxy(_) => "a cutting proxy (no network name spaces here: nothing is lost on the way, only late)",
        }
    }

    /// From now on nothing comes through, and nobody is told.
    pub fn cut(&self) {
        match self {
            Self::Spaces(spaces) => spaces.rule("drop"),
            Self::Proxy(proxy) => proxy.mode.store(CUT, Ordering::Relaxed),
        }
    }

    /// From now on some packets are lost, or late.
    pub fn disturb(&self) {
        match self {
            Self::Spaces(spaces) => {
                spaces.rule("numgen random mod 100 < 15 drop");
                if spaces.netem {
                    spaces.home("tc qdisc add dev home0 root netem delay 30ms 20ms");
                }
            }
            Self::Proxy(proxy) => proxy.mode.store(SLOW, Ordering::Relaxed),
        }
    }

    /// The line is good again.
    pub fn heal(&self) {
        match self {
            Self::Spaces(spaces) => {
                spaces.home("nft flush chain inet chaos in");
                sh("nft flush chain inet chaos in");
                if spaces.netem {
                    let _ = spaces.try_home("tc qdisc del dev home0 root");
                }
            }
            Self::Proxy(proxy) => proxy.mode.store(OPEN, Ordering::Relaxed),
        }
    }
}

impl Spaces {
    fn new() -> Self {
        // It ends when its input does, and its input ends with us.
        let mut holder = Command::new("unshare");
        holder.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let holder = holder.spawn().expect("unshare");
        let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
        let theirs = PathBuf::from(format!("/proc/{}/ns/net", holder.id()));
        crate::common::wait_until("the name space is there", crate::common::SOON, || {
            std::fs::read_link(&theirs).ok().filter(|space| *space != ours)
        });
        let mut spaces = Self { holder, netem: false };
        sh("ip link set lo up");
        sh(&format!("ip link add jump0 type veth peer name home0 netns {}", spaces.holder.id()));
        sh(&format!("ip address add {JUMP}/30 dev jump0"));
        sh("ip link set jump0 up");
        for line in ["ip link set lo up", "ip address add 198.18.0.2/30 dev home0", "ip link set home0 up"] {
            spaces.home(line);
        }
        // Both ends drop what arrives: whoever sends learns nothing, as on a line that is cut.
        for (device, here) in [("home0", false), ("jump0", true)] {
            let rules = format!(
                "nft 'add table inet chaos; add chain inet chaos first {{ type filter hook prerouting priority -300; }}; \
                 add chain inet chaos in; add rule inet chaos first iifname {device} jump in'"
            );
            if here { sh(&rules) } else { spaces.home(&rules) }
        }
        spaces.netem = find_program("tc").is_some() && spaces.try_home("tc qdisc add dev home0 root netem delay 1ms");
        if spaces.netem {
            spaces.home("tc qdisc del dev home0 root");
        }
        spaces
    }

    fn rule(&self, rule: &str) {
        let rule = format!("nft 'add rule inet chaos in {rule}'");
        self.home(&rule);
        sh(&rule);
    }

    fn try_home(&self, line: &str) -> bool {
        let enter = format!("nsenter --net=/proc/{}/ns/net sh -c", self.holder.id());
        let (program, args) = enter.split_once(' ').unwrap();
        let mut command = Command::new(program);
        command.args(args.split(' ')).arg(line).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|s| s.success())
    }

    #[track_caller]
    fn home(&self, line: &str) {
        assert!(self.try_home(line), "at home: {line}");
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[track_caller]
fn sh(line: &str) {
    let output = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output().expect("sh");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

const OPEN: u8 = 0;
const SLOW: u8 = 1;
const CUT: u8 = 2;

/// Passes bytes on, or holds them back with all connections open.
pub struct Proxy {
    listener: TcpListener,
    mode: Arc<AtomicU8>,
}

impl Proxy {
    fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap(), mode: Arc::default() }
    }

    fn lead_to(&self, sshd: u16) -> u16 {
        let (listener, mode) = (self.listener.try_clone().unwrap(), Arc::clone(&self.mode));
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let mode = Arc::clone(&mode);
                std::thread::spawn(move || {
                    wait_while_cut(&mode);
                    let Ok(server) = TcpStream::connect(("127.0.0.1", sshd)) else { return };
                    for (from, to) in [(&client, &server), (&server, &client)] {
                        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                        let mode = Arc::clone(&mode);
                        std::thread::spawn(move || pump(from, to, &mode));
                    }
                });
            }
        });
        self.listener.local_addr().unwrap().port()
    }
}

fn wait_while_cut(mode: &AtomicU8) {
    while mode.load(Ordering::Relaxed) == CUT {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, mode: &AtomicU8) {
    let mut buffer = vec![0; 32 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if mode.load(Ordering::Relaxed) == SLOW {
            std::thread::sleep(Duration::from_millis(30));
        }
        wait_while_cut(mode);
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    wait_while_cut(mode);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

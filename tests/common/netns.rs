//! Machines and the network between them: network namespaces of this one, made for one test. A [`Cable`] has two of them, a
//! [`World`] three: home, the jump host, and outside.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::env::binary;
use super::{Env, Sshd, find_program};

/// The client's address.
pub const HERE: &str = "198.18.0.2";
/// Another address that the client may get.
pub const HERE_TOO: &str = "198.18.0.3";
/// The jump host's address. A network for tests (RFC 2544).
pub const THERE: &str = "198.18.0.1";

/// The namespaces `here` and `there`. `Drop` takes them away.
pub struct Cable {
    pub here: String,
    pub there: String,
}

impl Cable {
    /// None where this account may not make namespaces; the kernel's retransmissions of SYN are those of most machines.
    pub fn lay() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("rl{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let cable = Self { here: format!("{unique}h"), there: format!("{unique}t") };
        if !ip(&["netns", "add", &cable.here]) || !ip(&["netns", "add", &cable.there]) {
            return None;
        }
        assert!(ip(&["-n", &cable.here, "link", "add", "wire", "type", "veth", "peer", "wire", "netns", &cable.there]));
        for (name, address) in [(&cable.here, HERE), (&cable.there, THERE)] {
            assert!(ip(&["-n", name, "address", "add", &format!("{address}/24"), "dev", "wire"]));
            assert!(ip(&["-n", name, "link", "set", "lo", "up"]));
            assert!(ip(&["-n", name, "link", "set", "wire", "up"]));
            // Newer kernels send the first ones every second; most do not.
            let old = "/proc/sys/net/ipv4/tcp_syn_linear_timeouts";
            inside(name, "sh", &["-c", &format!("[ ! -e {old} ] || echo 0 > {old}")]);
        }
        Some(cable)
    }

    /// Every packet is lost from now on, and nobody is told.
    pub fn cut(&self) {
        let rules = "add table inet cut
            add chain inet cut in { type filter hook input priority 0; policy drop; }
            add chain inet cut out { type filter hook output priority 0; policy drop; }
            add rule inet cut in iif lo accept
            add rule inet cut out oif lo accept";
        inside(&self.there, "nft", &[rules]);
    }

    /// Packets get through again.
    pub fn mend(&self) {
        inside(&self.there, "nft", &["delete table inet cut"]);
    }

    /// `ip ARGS` for the client's machine.
    pub fn ip_here(&self, args: &[&str]) {
        assert!(ip(&[&["-n", &self.here], args].concat()), "ip {args:?}");
    }

    /// reclog on the client's machine.
    pub fn reclog(&self, env: &Env, args: &[String]) -> Command {
        in_space(env, &self.here, args)
    }

    /// A sender on the jump host: whether the port took this line and said that it has it all.
    pub fn send(&self, port: u16, line: &str) -> bool {
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && printf '%s\\n' '{line}' >&3");
        let mut sender = Command::new("ip");
        sender.args(["netns", "exec", &self.there, "bash", "-c", &script]);
        sender.output().is_ok_and(|o| o.status.success())
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        ip(&["netns", "delete", &self.here]);
        ip(&["netns", "delete", &self.there]);
    }
}

fn ip(args: &[&str]) -> bool {
    let ip = find_program("ip").expect("ip");
    Command::new(ip).args(args).output().is_ok_and(|o| o.status.success())
}

/// What it printed.
#[track_caller]
fn inside(namespace: &str, program: impl AsRef<OsStr>, args: &[&str]) -> String {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program).args(args);
    let output = command.output().expect("ip");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The jump host of a [`World`] over IPv6. A network for examples (RFC 3849).
pub const THERE_6: &str = "2001:db8:77::1";
/// The client of a [`World`].
pub const HOME: &str = HERE;
/// The same over IPv6.
pub const HOME_6: &str = "2001:db8:77::2";
/// The senders' machine of a [`World`].
pub const OUTSIDE: &str = "198.18.0.9";
/// The same over IPv6.
pub const OUTSIDE_6: &str = "2001:db8:77::9";
/// A name that every machine of a [`World`] knows, with both addresses of the jump host.
pub const NAME: &str = "jump.test";
/// The jump host behind NAT: its own address, which nobody outside knows.
pub const INNER: &str = "10.9.0.2";

/// Three machines on one network: home (the client), the jump host with an sshd, and outside (the senders). `Drop` takes them
/// away, with whoever still runs in them.
pub struct World {
    // Before its namespace goes.
    sshd: Option<Sshd>,
    pub home: String,
    pub jump: String,
    pub outside: String,
    /// Behind NAT: the machine of the sshd; `jump` is the router then.
    inner: Option<String>,
}

impl World {
    /// With these lines of sshd_config. None where this account may not make namespaces, and it is said that the test `name` is
    /// left out.
    pub fn lay(name: &str, lines: &[&str]) -> Option<Self> {
        let mut world = Self::wires(name, false)?;
        let both = [&["ListenAddress ::"], lines].concat();
        world.sshd = Some(Sshd::in_namespace(&world.jump, "0.0.0.0", &both));
        Some(world)
    }

    /// The same, but the sshd runs behind a router that has the jump host's addresses and hands the SSH port on, and nothing
    /// else.
    pub fn behind_nat(name: &str, lines: &[&str]) -> Option<Self> {
        let mut world = Self::wires(name, true)?;
        let inner = world.inner.clone().expect("made above");
        world.sshd = Some(Sshd::in_namespace(&inner, INNER, lines));
        world.hand_on(world.sshd().port);
        Some(world)
    }

    fn wires(name: &str, nat: bool) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("rw{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let [home, jump, outside, inner] = ["h", "j", "o", "i"].map(|end| format!("{unique}{end}"));
        let world = Self { sshd: None, home, jump, outside, inner: nat.then_some(inner) };
        if !world.spaces().all(|space| ip(&["netns", "add", space])) {
            super::lacks(name, "network namespaces (as root)", "iproute2");
            return None;
        }
        for space in world.spaces() {
            assert!(ip(&["-n", space, "link", "set", "lo", "up"]));
            // Names, without touching those of this machine: ip-netns(8) lays these files over /etc.
            let etc = format!("/etc/netns/{space}");
            std::fs::create_dir_all(&etc).expect("/etc/netns");
            let hosts = format!("127.0.0.1 localhost\n::1 localhost\n{THERE} {NAME}\n{THERE_6} {NAME}\n");
            std::fs::write(format!("{etc}/hosts"), hosts).expect("hosts");
        }
        // Both ends meet on a bridge of the jump host.
        assert!(ip(&["-n", &world.jump, "link", "add", "net", "type", "bridge"]));
        for (space, port) in [(&world.home, "home"), (&world.outside, "outside")] {
            let peer = ["type", "veth", "peer", port, "netns", &world.jump];
            assert!(ip(&[&["-n", space, "link", "add", "net"][..], &peer].concat()));
            assert!(ip(&["-n", &world.jump, "link", "set", port, "master", "net", "up"]));
        }
        let addresses =
            [(&world.home, HOME, HOME_6), (&world.jump, THERE, THERE_6), (&world.outside, OUTSIDE, OUTSIDE_6)];
        for (space, v4, v6) in addresses {
            assert!(ip(&["-n", space, "link", "set", "net", "up"]));
            assert!(ip(&["-n", space, "address", "add", &format!("{v4}/24"), "dev", "net"]));
            // Usable at once: nobody else has it.
            assert!(ip(&["-n", space, "address", "add", &format!("{v6}/64"), "dev", "net", "nodad"]));
        }
        if let Some(inner) = &world.inner {
            let peer = ["type", "veth", "peer", "inner", "netns", &world.jump];
            assert!(ip(&[&["-n", inner, "link", "add", "net"][..], &peer].concat()));
            assert!(ip(&["-n", inner, "address", "add", &format!("{INNER}/24"), "dev", "net"]));
            assert!(ip(&["-n", inner, "link", "set", "net", "up"]));
            assert!(ip(&["-n", &world.jump, "address", "add", "10.9.0.1/24", "dev", "inner"]));
            assert!(ip(&["-n", &world.jump, "link", "set", "inner", "up"]));
            assert!(ip(&["-n", inner, "route", "add", "default", "via", "10.9.0.1"]));
            inside(&world.jump, "sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
            world.nft("add table ip nat; add chain ip nat pre { type nat hook prerouting priority -100; }");
        }
        Some(world)
    }

    fn spaces(&self) -> impl Iterator<Item = &String> {
        [&self.home, &self.jump, &self.outside].into_iter().chain(&self.inner)
    }

    /// The sshd of the jump host.
    pub fn sshd(&self) -> &Sshd {
        self.sshd.as_ref().expect("it runs")
    }

    /// Makes the jump host the host `jump` of this environment's ssh_config, by `address`: [`THERE`], [`THERE_6`] or [`NAME`].
    pub fn trust(&self, env: &Env, address: &str) {
        let sshd = self.sshd();
        env.trust(sshd);
        let key = sshd.host_key_public("ed25519");
        env.write("known_hosts", format!("[{address}]:{} {key}\n", sshd.port));
        let config = super::read_text(env.path("ssh_config"));
        let lines = config.lines().map(|line| match line.trim_start().strip_prefix("HostName ") {
            Some(_) => format!("  HostName {address}\n"),
            None => format!("{line}\n"),
        });
        let config: String = lines.collect();
        env.write("ssh_config", config);
    }

    /// reclog at home.
    pub fn reclog(&self, env: &Env, args: &[String]) -> Command {
        in_space(env, &self.home, args)
    }

    /// `reclog up jump ARGS --json` at home, which must succeed.
    #[track_caller]
    pub fn up(&self, env: &Env, args: &[&str]) -> super::Collector {
        let args = env.to_jump(&["up", "jump"], &[args, &["--json"]].concat());
        env.started(super::Bg::spawn(self.reclog(env, &args)).wait())
    }

    /// Any program on the jump host, which must succeed; its output.
    #[track_caller]
    pub fn there(&self, program: &str, args: &[&str]) -> String {
        inside(&self.jump, program, args)
    }

    /// Any program on the machine outside, which must succeed; its output.
    #[track_caller]
    pub fn outside(&self, program: &str, args: &[&str]) -> String {
        inside(&self.outside, program, args)
    }

    /// A sender outside: whether the port took this line and said that it has it all.
    pub fn send(&self, address: &str, port: u16, line: &str) -> bool {
        let script = format!("exec 3<>/dev/tcp/{address}/{port} && printf '%s\\n' '{line}' >&3");
        let mut sender = Command::new("ip");
        sender.args(["netns", "exec", &self.outside, "timeout", "5", "bash", "-c", &script]);
        sender.output().is_ok_and(|o| o.status.success())
    }

    /// A program on the jump host (behind NAT: on its router) that runs until the test ends.
    pub fn daemon_there(&self, program: &str, args: &[&str]) -> super::Daemon {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.jump, program]).args(args);
        super::Daemon::start(&mut command)
    }

    /// Commands for the firewall of the jump host, or of its router.
    #[track_caller]
    pub fn nft(&self, rules: &str) {
        inside(&self.jump, "nft", &[rules]);
    }

    /// `verdict` (`drop`, `reject`, `reject with tcp reset`) for what comes to this port from other machines.
    #[track_caller]
    pub fn guard(&self, port: u16, verdict: &str) {
        self.nft(&format!(
            "add table inet guard; add chain inet guard in {{ type filter hook input priority 0; }}; \
             add rule inet guard in iif != lo tcp dport {port} {verdict}"
        ));
    }

    /// [`World::guard`] is over.
    #[track_caller]
    pub fn unguard(&self) {
        self.nft("delete table inet guard");
    }

    /// Counts connections from home to this port over IPv4, from now on.
    #[track_caller]
    pub fn count(&self, port: u16) {
        self.nft(&format!(
            "add table inet tally; add chain inet tally in {{ type filter hook input priority -10; }}; \
             add rule inet tally in ip saddr {HOME} tcp dport {port} tcp flags & (syn | ack) == syn counter"
        ));
    }

    /// How many there were.
    #[track_caller]
    pub fn counted(&self) -> u64 {
        let table = inside(&self.jump, "nft", &["list table inet tally"]);
        let (_, rest) = table.split_once("packets ").expect("a counter");
        rest.split(' ').next().and_then(|n| n.parse().ok()).expect("a figure")
    }

    /// Behind NAT: the router hands this port on.
    #[track_caller]
    pub fn hand_on(&self, port: u16) {
        self.nft(&format!("add rule ip nat pre ip daddr {THERE} tcp dport {port} dnat to {INNER}"));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.sshd = None;
        for space in self.spaces() {
            ip(&["netns", "delete", space]);
            let _ = std::fs::remove_dir_all(format!("/etc/netns/{space}"));
        }
    }
}

fn in_space(env: &Env, space: &str, args: &[String]) -> Command {
    let mut command = env.command("ip");
    command.args(["netns", "exec", space]).arg(binary()).args(args);
    command
}

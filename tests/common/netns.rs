//! Two machines and a cable between them: network namespaces of this one, made for one test.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::env::binary;
use super::{Env, find_program};

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
        let mut command = env.command("ip");
        command.args(["netns", "exec", &self.here]).arg(binary()).args(args);
        command
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

#[track_caller]
fn inside(namespace: &str, program: impl AsRef<OsStr>, args: &[&str]) {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program).args(args);
    let output = command.output().expect("ip");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

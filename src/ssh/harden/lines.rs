//! The least that a key needs, as lines for authorized_keys and sshd_config. Pure.

use crate::plan::{Relay, StreamPlan, bracketed, is_loopback};

/// Where a relay has its own forward: a port that the server chooses.
const RELAY: &str = "127.0.0.1:*";
/// Nobody listens there (tcpmux is extinct): authorized_keys has no word for "none".
const NOWHERE: &str = "127.0.0.1:1";

/// What a profile needs of the jump host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The account.
    pub user: String,
    /// The key, as in authorized_keys; `None`: not known here.
    pub key: Option<String>,
    /// What is listened on, as `PermitListen` has it: `55514`, `localhost:55514`, `*` for any port.
    pub listens: Vec<String>,
    /// Whether one of them is to be reached from outside.
    pub public: bool,
    /// Whether a Unix socket is listened on.
    pub socket: bool,
    /// Whether a helper is started: a command has to be allowed.
    pub command: bool,
}

/// The lines, and what they cost.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Advice {
    /// One line.
    pub authorized_keys: String,
    /// A block, for the end of the file.
    pub sshd_config: String,
    /// What is to be known before they are pasted, a sentence each: who is locked out, what the key may do all the same.
    pub warnings: Vec<String>,
    /// What does not work any more, or stays open, a sentence each.
    pub notes: Vec<String>,
}

impl Need {
    /// What `streams` need for `user`.
    #[must_use]
    pub fn of(streams: &[StreamPlan], user: &str, key: Option<String>) -> Self {
        let mut need =
            Self { user: user.into(), key, listens: Vec::new(), public: false, socket: false, command: false };
        for stream in streams {
            if stream.transport.socket().is_some() {
                need.socket = true;
                continue;
            }
            let relayed = stream.relay != Relay::Never;
            need.command |= relayed;
            if relayed {
                need.listens(RELAY.into());
            }
            // `auto` tries without first.
            if stream.transport.has_tcp() && stream.relay != Relay::Always {
                need.public |= !is_loopback(&stream.bind);
                need.listens(place(&stream.bind, stream.port));
            }
        }
        need
    }

    fn listens(&mut self, place: String) {
        if !self.listens.contains(&place) {
            self.listens.push(place);
        }
    }

    /// Whether the key must be able to open any port at `bind` that it likes.
    #[must_use]
    pub fn any_port(&self, loopback: bool) -> bool {
        self.listens.iter().any(|place| *place == "*" || (loopback && place.ends_with(":*")))
    }

    /// The ports that are named.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.listens.iter().filter_map(|place| place.rsplit(':').next()?.parse().ok()).collect()
    }

    /// The lines.
    #[must_use]
    pub fn advice(&self) -> Advice {
        Advice {
            authorized_keys: self.authorized_keys(),
            sshd_config: self.sshd_config(),
            warnings: self.warnings(),
            notes: self.notes(),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let user = &self.user;
        let mut warnings = Vec::new();
        let all = if self.command { "have a terminal" } else { "log in" };
        if user == "root" {
            warnings.push(format!(
                "STOP: this is for root. With the block nobody can {all} as root any more, and this may be your only way into \
                 that machine: make an account of its own for reclog, and name it: reclog harden ACCOUNT@HOST"
            ));
        } else {
            warnings.push(format!(
                "with the block nobody can {all} as {user} any more, you neither: use an account of its own, not one that \
                 people work with"
            ));
        }
        if self.any_port(false) {
            warnings.push(
                "with port 0 the jump host chooses, so the key may open ANY port: name one (--remote-port)".into(),
            );
        }
        warnings
    }

    fn authorized_keys(&self) -> String {
        let mut options = vec!["restrict".to_owned(), "port-forwarding".into()];
        options.extend(self.listens.iter().map(|place| format!("permitlisten=\"{place}\"")));
        if self.listens.is_empty() {
            options.push(format!("permitlisten=\"{NOWHERE}\""));
        }
        options.push(format!("permitopen=\"{NOWHERE}\""));
        if !self.command {
            options.push("command=\"/bin/false\"".into());
        }
        format!("{} {}", options.join(","), self.key.as_deref().unwrap_or("<your public key>"))
    }

    fn sshd_config(&self) -> String {
        let forwarding = if self.listens.is_empty() { "no" } else { "remote" };
        let mut lines = vec![format!("AllowTcpForwarding {forwarding}")];
        if !self.listens.is_empty() {
            lines.push(format!("PermitListen {}", self.listens.join(" ")));
        }
        lines.push("PermitOpen none".into());
        lines.push(format!("GatewayPorts {}", if self.public { "clientspecified" } else { "no" }));
        lines.push(format!("AllowStreamLocalForwarding {}", if self.socket { "remote" } else { "no" }));
        for keyword in ["AllowAgentForwarding", "X11Forwarding", "PermitTunnel", "PermitTTY"] {
            lines.push(format!("{keyword} no"));
        }
        if !self.command {
            lines.extend(["ForceCommand /bin/false".into(), "MaxSessions 0".into()]);
        }
        lines.extend(["ClientAliveInterval 15".into(), "ClientAliveCountMax 3".into()]);
        format!("Match User {}\n    {}", pattern(&self.user), lines.join("\n    "))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "PermitOpen none, permitopen: reclog cannot look behind its port from the jump host itself, so a program that \
             has the port over one address family stays unseen, and a fault is located less well"
                .into(),
        ];
        if self.command {
            notes.push(
                "the relay needs a command (python3 or perl), so whoever has the key has a shell: an account of its own \
                 keeps that harmless"
                    .into(),
            );
        } else {
            notes.push(
                "ForceCommand, MaxSessions 0, command=: without a shell a port that a lost connection still holds is not \
                 taken back, it is waited for (ClientAliveInterval and ClientAliveCountMax make that 45 s); no --relay"
                    .into(),
            );
        }
        if self.socket {
            notes.push(
                "no keyword names the sockets that may be made, and the key alone cannot forbid others: the account's \
                 rights on folders are the only bound; one that is left behind is removed with StreamLocalBindUnlink yes"
                    .into(),
            );
        } else {
            notes.push(
                "authorized_keys alone cannot keep the key from making Unix sockets where the account may make files: that \
                 takes AllowStreamLocalForwarding no"
                    .into(),
            );
        }
        notes
    }
}

/// As `PermitListen` and `permitlisten` have it.
fn place(bind: &str, port: u16) -> String {
    let port = if port == 0 { "*".to_owned() } else { port.to_string() };
    // sshd compares the host with what was asked for, letter by letter; a port alone is any host.
    if bind == "*" { port } else { format!("{}:{port}", bracketed(bind)) }
}

/// The name of an account as a pattern that fits it alone.
fn pattern(user: &str) -> String {
    if user.contains(char::is_whitespace) { format!("\"{user}\"") } else { user.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Transport;

    fn stream(bind: &str, port: u16, relay: Relay, transport: Transport) -> StreamPlan {
        StreamPlan { bind: bind.into(), port, relay, transport, ..StreamPlan::example() }
    }

    fn advice(streams: &[StreamPlan]) -> Advice {
        Need::of(streams, "log", Some("ssh-ed25519 AAAA me".into())).advice()
    }

    #[test]
    fn one_port_and_nothing_else() {
        let advice = advice(&[stream("*", 55514, Relay::Never, Transport::Tcp)]);
        assert_eq!(
            advice.authorized_keys,
            "restrict,port-forwarding,permitlisten=\"55514\",permitopen=\"127.0.0.1:1\",command=\"/bin/false\" \
             ssh-ed25519 AAAA me"
        );
        let block = &advice.sshd_config;
        for line in
            ["Match User log\n", " PermitListen 55514\n", " GatewayPorts clientspecified\n", " PermitOpen none\n"]
        {
            assert!(block.contains(line), "{block}");
        }
        assert!(
            block.contains("ForceCommand /bin/false") && block.contains("AllowStreamLocalForwarding no"),
            "{block}"
        );
    }

    #[test]
    fn each_stream_adds_what_it_needs() {
        let all = advice(&[
            stream("*", 0, Relay::Never, Transport::Tcp),
            stream("localhost", 7, Relay::Never, Transport::Tcp),
            stream("::1", 0, Relay::Never, Transport::Tcp),
        ]);
        assert!(all.sshd_config.contains("PermitListen * localhost:7 [::1]:*\n"), "{}", all.sshd_config);
        assert!(all.warnings.iter().any(|warning| warning.contains("ANY port")));
        assert!(all.warnings[0].contains("nobody can log in as log any more"), "{:?}", all.warnings);

        let inside = advice(&[stream("localhost", 7, Relay::Never, Transport::Tcp)]);
        assert!(inside.sshd_config.contains("GatewayPorts no"), "{}", inside.sshd_config);

        let relayed = advice(&[stream("*", 7, Relay::Always, Transport::TcpAndUdp)]);
        assert!(relayed.sshd_config.contains("PermitListen 127.0.0.1:*\n"), "{}", relayed.sshd_config);
        assert!(!relayed.sshd_config.contains("ForceCommand") && !relayed.authorized_keys.contains("command="));
        assert!(relayed.warnings[0].contains("have a terminal as log"), "{:?}", relayed.warnings);
        let auto = advice(&[stream("*", 7, Relay::Auto, Transport::Tcp)]);
        assert!(auto.sshd_config.contains("PermitListen 127.0.0.1:* 7\n"), "{}", auto.sshd_config);

        let socket = advice(&[stream("", 0, Relay::Never, Transport::Unix("/run/log.sock".into()))]);
        assert!(socket.sshd_config.contains("AllowTcpForwarding no\n"), "{}", socket.sshd_config);
        assert!(socket.sshd_config.contains("AllowStreamLocalForwarding remote\n"), "{}", socket.sshd_config);
        assert!(!socket.sshd_config.contains("PermitListen"), "{}", socket.sshd_config);
    }

    #[test]
    fn who_would_be_locked_out_is_told_and_root_is_told_to_stop() {
        let streams = [stream("*", 7, Relay::Never, Transport::Tcp)];
        let of = |user| Need::of(&streams, user, None).advice().warnings;
        assert!(matches!(&of("log")[..], [one] if one.contains("nobody can log in as log") && !one.contains("STOP")));
        assert!(matches!(&of("root")[..], [one] if one.starts_with("STOP: this is for root")));
    }

    #[test]
    fn a_key_that_is_not_known_here_has_a_place() {
        let need = Need::of(&[stream("*", 7, Relay::Never, Transport::Tcp)], "x y", None);
        assert!(need.advice().authorized_keys.ends_with(" <your public key>"));
        assert!(need.advice().sshd_config.starts_with("Match User \"x y\"\n"));
    }
}

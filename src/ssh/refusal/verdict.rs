//! What to ask a server that refused a port, and what its answers mean. Pure.
//!
//! The table was found by asking OpenSSH 9.2 under each of its rules. Other servers have fewer rules, and are understood
//! as far as they answer alike. A permission that names ports (`PermitListen`, `permitlisten`) never covers port 0, so a
//! granted port 0 means that no rule is in the way.

use crate::error::Error;
use crate::escape::escape_str;

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// Would you open this port? 0: any.
    Forward { bind: &'a str, port: u16 },
    /// Would you connect to this port on your own loopback interface?
    Connect { port: u16 },
}

/// The answer to either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Open,
    /// It was tried: nobody listens.
    Closed,
    /// It may not be.
    Forbidden,
    /// No answer, or none that says anything.
    Unclear,
}

/// What was answered so far.
#[derive(Debug, Default)]
pub struct Answers {
    /// Any port at the same address.
    any: Option<Answer>,
    /// A connection to the port; of port 0, to one where nobody listens.
    connect: Option<Answer>,
    /// Any port at `localhost`.
    any_local: Option<Answer>,
    /// The port at `localhost`.
    local: Option<Answer>,
}

/// The most likely reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody listens there.
    Taken,
    /// Only root may open it.
    NeedsRoot,
    /// Either of these two.
    TakenOrNeedsRoot,
    /// Forwarding is switched off altogether.
    ForwardingOff,
    /// A list of ports that lacks this one, or forwarding in the other direction only.
    PortNotListed,
    /// The port is allowed for `localhost` alone.
    LocalhostOnly,
    /// The address is none of the server's.
    NoSuchAddress,
    /// The server's answers do not tell.
    Unknown,
}

/// Whose rules are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// sshd_config and authorized_keys.
    OpenSsh,
    /// Options of the command line, and fewer of authorized_keys.
    Dropbear,
    /// Whatever it has.
    Other,
}

impl Server {
    /// The server that calls itself `software`.
    #[must_use]
    pub fn of(software: &str) -> Self {
        match software {
            s if s.starts_with("OpenSSH") => Self::OpenSsh,
            s if s.starts_with("dropbear") => Self::Dropbear,
            _ => Self::Other,
        }
    }
}

/// Where nobody listens: tcpmux, long gone.
const NOBODY: u16 = 1;

impl Answers {
    /// What to ask next about `port` on `bind`; `None`: enough is known.
    #[must_use]
    pub fn next<'a>(&self, bind: &'a str, port: u16) -> Option<Question<'a>> {
        let forward = |bind, port| Some(Question::Forward { bind, port });
        let connect = Some(Question::Connect { port: if port == 0 { NOBODY } else { port } });
        match (self.any, self.connect) {
            // Port 0 is what was refused.
            (None, None) if port == 0 => connect,
            (None, None) => forward(bind, 0),
            (Some(Answer::Open), None) if port < 1024 => connect,
            (Some(Answer::Open), _) => None,
            (_, None) => connect,
            (_, Some(Answer::Closed)) => match (self.any_local, self.local) {
                (None, _) if names_an_address(bind) => forward("localhost", 0),
                (Some(Answer::Open), _) => None,
                (_, None) if bind != "localhost" && port != 0 => forward("localhost", port),
                _ => None,
            },
            (_, Some(_)) => None,
        }
    }

    /// Keeps the answer to a question of [`Answers::next`].
    pub fn record(&mut self, question: &Question<'_>, answer: Answer) {
        let place = match question {
            Question::Connect { .. } => &mut self.connect,
            // The first question about port 0 is the one at the address itself.
            Question::Forward { port: 0, .. } if self.any.is_none() && self.connect.is_none() => &mut self.any,
            Question::Forward { port: 0, .. } => &mut self.any_local,
            Question::Forward { .. } => &mut self.local,
        };
        *place = Some(answer);
    }

    /// What the answers mean for `port` on `bind`.
    #[must_use]
    pub fn verdict(&self, bind: &str, port: u16) -> Verdict {
        let low = port != 0 && port < 1024;
        match (self.any, self.connect) {
            (Some(Answer::Open), Some(Answer::Open)) => Verdict::Taken,
            (Some(Answer::Open), Some(Answer::Closed)) if low => Verdict::NeedsRoot,
            (Some(Answer::Open), _) if low => Verdict::TakenOrNeedsRoot,
            (Some(Answer::Open), _) => Verdict::Taken,
            (_, Some(Answer::Open)) if port != 0 => Verdict::Taken,
            // Of port 0: somebody does listen there, which says as much.
            (_, Some(Answer::Closed | Answer::Open)) => match (self.any_local, self.local) {
                (Some(Answer::Open), _) if names_an_address(bind) => Verdict::NoSuchAddress,
                (_, Some(Answer::Open)) => Verdict::LocalhostOnly,
                _ => Verdict::PortNotListed,
            },
            (_, Some(Answer::Forbidden)) => Verdict::ForwardingOff,
            (_, Some(Answer::Unclear) | None) => Verdict::Unknown,
        }
    }
}

/// Whether `bind` is one address, which a machine has or has not.
fn names_an_address(bind: &str) -> bool {
    !matches!(bind, "*" | "" | "localhost")
}

impl Verdict {
    /// Whether somebody may listen on the port.
    #[must_use]
    pub fn maybe_taken(self) -> bool {
        matches!(self, Self::Taken | Self::TakenOrNeedsRoot | Self::Unknown)
    }

    /// The error for `port` on `bind`, which `target` refused to open for `user`.
    #[must_use]
    pub fn error(self, server: Server, target: &str, user: &str, bind: &str, port: u16) -> Error {
        let refused = |why: &str| Error::refused(format!("{target} refused to open port {port} on {bind}: {why}"));
        let who = format!("`ss -ltnp 'sport = :{port}'` on the jump host shows who listens");
        let root = format!("only root may open ports below 1024 there: choose one from 1024 on, not {port}");
        match self {
            Self::Taken => refused("most likely somebody listens on that port already")
                .hint(who)
                .hint("or choose another port with --remote-port; 0 lets the jump host choose"),
            Self::NeedsRoot => refused("most likely because ports below 1024 need root").hint(root),
            Self::TakenOrNeedsRoot => {
                refused("most likely because ports below 1024 need root, or somebody listens on it already")
                    .hint(root)
                    .hint(who)
            }
            Self::NoSuchAddress => refused("most likely that is no address of the jump host")
                .hint("`ip address` there shows its own; without --bind all of them are meant"),
            Self::ForwardingOff | Self::PortNotListed | Self::LocalhostOnly => {
                let error = match server {
                    Server::OpenSsh => self.by_openssh(refused, user, port),
                    Server::Dropbear => self.by_dropbear(refused),
                    Server::Other => refused("most likely its rules forbid it")
                        .hint("let whoever runs that SSH server allow remote port forwarding (tcpip-forward)"),
                };
                if port != 0 && port < 1024 { error.hint(root) } else { error }
            }
            Self::Unknown => {
                let error = Error::refused(format!("{target} refused to open port {port} on {bind}"));
                let error = if port != 0 && port < 1024 { error.hint(root) } else { error };
                error.hint(format!("the port may be taken there: {who}")).hint(format!(
                    "or its rules forbid it: sshd_config AllowTcpForwarding, DisableForwarding, PermitListen; \
                     authorized_keys restrict, no-port-forwarding, permitlisten=\"{}\"",
                    listed(port)
                ))
            }
        }
    }

    /// The rules of sshd_config(5) and sshd(8), AUTHORIZED_KEYS.
    fn by_openssh(self, refused: impl Fn(&str) -> Error, user: &str, port: u16) -> Error {
        let (user, listed) = (escape_str(user), listed(port));
        let key_line =
            format!("in authorized_keys there, before the key: restrict,port-forwarding,permitlisten=\"{listed}\"");
        let server_line =
            |line: &str| format!("this allows it in sshd_config there: Match User {user}, and below it {line}");
        let error = match self {
            Self::LocalhostOnly => refused(
                "its rules allow that port on localhost only: PermitListen in sshd_config, or permitlisten before the key \
                 in authorized_keys",
            )
            .hint("if the senders run on the jump host itself: --bind localhost")
            .hint(server_line(&format!("PermitListen {listed}"))),
            Self::PortNotListed if port == 0 => refused(
                "most likely its rules allow certain ports only: PermitListen in sshd_config, or permitlisten before the \
                 key in authorized_keys; or AllowTcpForwarding local",
            )
            .hint("name a port that is allowed, with --remote-port: such a rule never lets the jump host choose")
            .hint(server_line(&format!("AllowTcpForwarding remote and PermitListen {listed}"))),
            Self::PortNotListed => refused(
                "most likely its rules allow other ports only: PermitListen in sshd_config, or permitlisten before the key \
                 in authorized_keys; or AllowTcpForwarding local",
            )
            .hint(server_line(&format!("AllowTcpForwarding remote and PermitListen {listed}"))),
            _ => refused(
                "most likely its rules forbid forwarding: AllowTcpForwarding no or DisableForwarding yes in sshd_config, or \
                 restrict or no-port-forwarding before the key in authorized_keys",
            )
            .hint(server_line("AllowTcpForwarding remote and DisableForwarding no")),
        };
        error.hint(key_line)
    }

    /// The rules of dropbear(8).
    fn by_dropbear(self, refused: impl Fn(&str) -> Error) -> Error {
        let why = match self {
            Self::PortNotListed => "most likely it runs with the option -k, which forbids it",
            _ => {
                "most likely its rules forbid it: its options -k and -j, or restrict or no-port-forwarding before the key \
                 in authorized_keys"
            }
        };
        refused(why).hint("run dropbear without -k there; the key's line must not say no-port-forwarding or restrict")
    }
}

/// `port` as it stands in a rule.
fn listed(port: u16) -> String {
    if port == 0 { "PORT".to_owned() } else { port.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers the questions as a server would of which `any` … are the answers, and returns the verdict and how many
    /// questions it took.
    fn asked(
        bind: &str,
        port: u16,
        any: Answer,
        connect: Answer,
        any_local: Answer,
        local: Answer,
    ) -> (Verdict, usize) {
        let (mut answers, mut count) = (Answers::default(), 0);
        while let Some(question) = answers.next(bind, port) {
            count += 1;
            assert!(count <= 4, "{answers:?} asks on");
            let answer = match question {
                Question::Connect { .. } => connect,
                Question::Forward { bind: at, port: 0 } if at == bind => any,
                Question::Forward { bind: "localhost", port: 0 } => any_local,
                Question::Forward { bind: "localhost", .. } => local,
                other @ Question::Forward { .. } => panic!("{other:?}"),
            };
            answers.record(&question, answer);
        }
        (answers.verdict(bind, port), count)
    }

    #[test]
    fn the_answers_of_openssh_lead_to_its_rule() {
        use Answer::{Closed, Forbidden as No, Open};
        for (bind, port, any, connect, any_local, local, verdict, questions) in [
            // The port is taken; AllowTcpForwarding remote, or PermitOpen none, and taken.
            ("*", 5514, Open, Open, Open, No, Verdict::Taken, 1),
            ("*", 5514, Open, No, Open, No, Verdict::Taken, 1),
            // PermitListen 5514, and taken.
            ("*", 5514, No, Open, No, No, Verdict::Taken, 2),
            // AllowTcpForwarding no, DisableForwarding yes, restrict, no-port-forwarding.
            ("*", 5514, No, No, No, No, Verdict::ForwardingOff, 2),
            // AllowTcpForwarding local, PermitListen and permitlisten of another port.
            ("*", 5514, No, Closed, No, No, Verdict::PortNotListed, 3),
            ("localhost", 5514, No, Closed, No, No, Verdict::PortNotListed, 2),
            ("192.0.2.7", 5514, No, Closed, No, No, Verdict::PortNotListed, 4),
            // permitlisten="localhost:5514".
            ("*", 5514, No, Closed, No, Open, Verdict::LocalhostOnly, 3),
            ("127.0.0.1", 5514, No, Closed, No, Open, Verdict::LocalhostOnly, 4),
            // Not an address of that machine.
            ("192.0.2.7", 5514, No, Closed, Open, Open, Verdict::NoSuchAddress, 3),
            // A user who is not root.
            ("*", 514, Open, Closed, Open, No, Verdict::NeedsRoot, 2),
            ("*", 514, Open, Open, Open, No, Verdict::Taken, 2),
            ("*", 514, Open, No, Open, No, Verdict::TakenOrNeedsRoot, 2),
            // A port that the jump host is to choose.
            ("*", 0, No, Closed, No, No, Verdict::PortNotListed, 1),
            ("*", 0, No, Open, No, No, Verdict::PortNotListed, 1),
            ("*", 0, No, No, No, No, Verdict::ForwardingOff, 1),
        ] {
            let found = asked(bind, port, any, connect, any_local, local);
            assert_eq!(found, (verdict, questions), "{bind} {port} {any:?} {connect:?} {any_local:?} {local:?}");
        }
    }

    #[test]
    fn a_server_that_does_not_answer_gets_no_rule_imputed() {
        use Answer::Unclear;
        assert_eq!(asked("*", 5514, Unclear, Unclear, Unclear, Unclear), (Verdict::Unknown, 2));
        assert_eq!(Answers::default().verdict("*", 5514), Verdict::Unknown);
    }

    #[test]
    fn every_verdict_is_a_refusal_with_a_way_out() {
        use Verdict as V;
        for verdict in [
            V::Taken,
            V::NeedsRoot,
            V::TakenOrNeedsRoot,
            V::ForwardingOff,
            V::PortNotListed,
            V::LocalhostOnly,
            V::NoSuchAddress,
            V::Unknown,
        ] {
            let servers = [Server::OpenSsh, Server::Dropbear, Server::Other];
            for (port, server) in [0, 514, 5514].into_iter().flat_map(|p| servers.map(|s| (p, s))) {
                let error = verdict.error(server, "log@jump", "log\x1b", "*", port);
                assert_eq!(error.kind.exit_code(), 4);
                assert!(error.message.starts_with(&format!("log@jump refused to open port {port} on *")), "{error:?}");
                assert!(error.hint_text().is_some_and(|h| !h.contains('\x1b')), "{error:?}");
            }
        }
    }
}

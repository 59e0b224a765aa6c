//! Why the jump host refused to open a Unix socket. Pure.

use super::Refused;
use super::verdict::Server;
use crate::error::Error;
use crate::escape::escape_str;
use crate::ssh::server_process::There;

/// What is known about a refused socket.
#[derive(Debug, Clone, Copy)]
pub struct Socket<'a> {
    /// `user@host:port`.
    pub target: &'a str,
    /// The login name there.
    pub user: &'a str,
    /// As the server calls itself.
    pub software: &'a str,
    pub path: &'a str,
}

impl Socket<'_> {
    fn refused(&self, why: &str) -> Error {
        Error::refused(format!("{} refused to open the socket {}: {why}", self.target, escape_str(self.path)))
    }

    /// The line that removes a leftover.
    fn remove(&self) -> String {
        format!("on the jump host: rm {}", shell_word(self.path))
    }

    /// `answers`: somebody let us in there. `there`: what a shell saw; `None` without one.
    #[must_use]
    pub fn why(&self, answers: bool, there: Option<There>) -> Refused {
        let choose = "choose another `remote_socket`";
        let (error, maybe_taken) = match there {
            _ if answers => (self.taken(), true),
            Some(There::Live) => (self.taken(), true),
            Some(There::Stale | There::Removed) => (
                self.refused("the socket of an earlier connection stands there and cannot be removed")
                    .hint(self.remove()),
                true,
            ),
            Some(There::Foreign) => {
                (self.refused("another account's socket stands there").hint(self.remove()).hint(choose), false)
            }
            Some(There::Other) => (self.refused("a file that is no socket stands there").hint(choose), false),
            Some(There::NoFolder) => (self.refused("its folder does not exist there").hint(choose), false),
            Some(There::Closed) => {
                let user = escape_str(self.user);
                (self.refused(&format!("{user} may not write to its folder there")).hint(choose), false)
            }
            Some(There::Nothing) => (self.rules("most likely its rules forbid it"), false),
            None => {
                // Whoever reads it in the health of a collector sees no hints.
                let error = self.rules(&format!(
                    "the socket file of an earlier connection may stand there (`rm {}` removes it), or its folder is not \
                     there, or its rules forbid it",
                    shell_word(self.path)
                ));
                (error.hint(format!("where a leftover is in the way, {}", self.remove())).hint(unlink()), true)
            }
        };
        Refused { error, maybe_taken }
    }

    fn taken(&self) -> Error {
        self.refused("somebody listens there already, and is left alone")
            .hint(format!("`ss -lxp src {}` on the jump host shows who listens", shell_word(self.path)))
            .hint("or choose another `remote_socket`")
    }

    fn rules(&self, why: &str) -> Error {
        if Server::of(self.software) != Server::OpenSsh {
            let software = escape_str(self.software);
            return self
                .refused(&format!("{why}; {software} may not know such sockets at all"))
                .hint("Unix sockets need OpenSSH on the jump host; a port (`remote_port`) does not");
        }
        let user = escape_str(self.user);
        let rules = "AllowStreamLocalForwarding or DisableForwarding in sshd_config, or restrict or no-port-forwarding before \
                     the key in authorized_keys";
        self.refused(&format!("{why}: {rules}"))
            .hint(format!(
                "this allows it in sshd_config there: Match User {user}, and below it AllowStreamLocalForwarding remote and \
                 DisableForwarding no"
            ))
            .hint("in authorized_keys there, before the key: restrict,port-forwarding")
    }

    /// The error for a socket that a connection held which was lost; `shell`: one for the account would help.
    #[must_use]
    pub fn still_held(&self, shell: bool) -> Error {
        let error = self
            .refused(&format!(
                "most likely the connection that was lost still holds it there, or has left its file (`rm {}` removes it); \
                 `StreamLocalBindUnlink yes` in sshd_config there makes that no matter",
                shell_word(self.path)
            ))
            .hint(self.remove())
            .hint(unlink());
        if shell { error.hint("with a login shell for the account, reclog removes the file itself") } else { error }
    }

    /// A socket whose file is still there after it was given back.
    #[must_use]
    pub fn left(&self) -> String {
        format!(
            "the file of the socket {} is left on {}, where reclog could not remove it; {}",
            escape_str(self.path),
            self.target,
            self.remove()
        )
    }

    /// A socket that other accounts may write to.
    #[must_use]
    pub fn wide(&self) -> String {
        format!(
            "other accounts of {} may connect to the socket {}; the line `StreamLocalBindMask 0177` in its sshd_config keeps \
             them out",
            self.target,
            escape_str(self.path)
        )
    }
}

fn unlink() -> &'static str {
    "or for sshd_config there, a line: `StreamLocalBindUnlink yes`"
}

/// `path` as one word of a shell, safe to show and to paste.
fn shell_word(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", escape_str(path).replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: Socket =
        Socket { target: "log@jump:22", user: "log", software: "OpenSSH_9.2", path: "/run/user/1000/log.sock" };

    #[test]
    fn every_refusal_has_a_way_out() {
        use There::{Closed, Foreign, Live, NoFolder, Nothing, Other, Removed, Stale};
        let all = [Nothing, Removed, Stale, Live, Foreign, Other, NoFolder, Closed];
        for (there, answers) in all.map(Some).into_iter().chain([None]).flat_map(|t| [(t, true), (t, false)]) {
            let Refused { error, maybe_taken } = SOCKET.why(answers, there);
            assert_eq!(error.kind.exit_code(), 4, "{error:?}");
            assert!(error.message.contains("/run/user/1000/log.sock"), "{error:?}");
            assert!(error.hint_text().is_some(), "{error:?}");
            let taken = answers || matches!(there, None | Some(Live | Stale | Removed));
            assert_eq!(maybe_taken, taken, "{error:?}");
        }
        let unknown = SOCKET.why(false, None).error.hint_text().unwrap();
        for line in ["rm /run/user/1000/log.sock", "StreamLocalBindUnlink yes", "AllowStreamLocalForwarding remote"] {
            assert!(unknown.contains(line), "{unknown}");
        }
    }

    #[test]
    fn what_is_pasted_stays_one_word() {
        assert_eq!(shell_word("/a/b.sock"), "/a/b.sock");
        assert_eq!(shell_word("/a b"), "'/a b'");
        assert_eq!(shell_word("/a'$(id)"), "'/a'\\''$(id)'");
    }
}

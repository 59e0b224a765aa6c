//! What tells one process of the jump host from all others, and how its scripts say so. Pure.

/// The most that one script may print.
pub const LONGEST_OUTPUT: usize = 4096;
/// Digits of a number that is taken for one.
const MOST_DIGITS: usize = 20;

/// The process of the SSH server that serves one connection: the one that holds its forwarded ports. A number is given to
/// another process sooner or later; number, start and boot together never are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its number there.
    pub pid: u32,
    /// Its start in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start: u64,
    /// The boot of that machine (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// The number of the namespace in which `pid` counts; `-` where it cannot be read.
    pub space: String,
    /// What it calls itself, `sshd` and the like.
    pub name: String,
    /// The most that the kernel there keeps of one sender for it, in bytes (`net.ipv4.tcp_rmem`).
    pub(super) receive_buffer: Option<u64>,
}

impl Identity {
    /// The most that the kernel there may have taken from one sender and not yet given to the server, in bytes.
    #[must_use]
    pub fn receive_buffer(&self) -> Option<u64> {
        self.receive_buffer
    }

    /// The fields of a line: boot, namespace, number, start, name, user, receive buffer. Whatever is not exactly that is
    /// none: the line comes from a stranger, and parts of it go back to him in a command.
    fn parse(fields: &[&str]) -> Option<Self> {
        let [boot, space, pid, start, name, user, receive_buffer] = *fields else { return None };
        let hex = |c: char| c.is_ascii_hexdigit() || c == '-';
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        let valid = boot.len() == 36
            && boot.chars().all(hex)
            && (space == "-" || number(space).is_some())
            && name.len() <= 16
            && name.chars().all(plain)
            && number(user).is_some();
        let pid = u32::try_from(number(pid)?).ok().filter(|pid| *pid > 1)?;
        valid.then_some(Self {
            pid,
            start: number(start)?,
            boot: boot.to_owned(),
            space: space.to_owned(),
            name: name.to_owned(),
            receive_buffer: number(receive_buffer),
        })
    }
}

impl Identity {
    /// As a line that [`Identity::from_line`] reads.
    #[must_use]
    pub fn to_line(&self) -> String {
        let Self { pid, start, boot, space, name, receive_buffer } = self;
        let receive_buffer = receive_buffer.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
        // Whose it is, the jump host knows.
        format!("{boot} {space} {pid} {start} {name} 0 {receive_buffer}")
    }

    /// Reads a line of [`Identity::to_line`]; whatever is not exactly one is none.
    #[must_use]
    pub fn from_line(line: &str) -> Option<Self> {
        Self::parse(&line.split(' ').collect::<Vec<_>>())
    }
}

/// Digits alone: no sign, no space.
fn number(text: &str) -> Option<u64> {
    (text.len() <= MOST_DIGITS && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// What became of an old process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It had gone by itself, or the machine was booted since.
    Gone,
    /// It was ended.
    Ended,
    /// It was ended, and took no less than SIGKILL: it was stopped, or hung.
    Killed,
    /// It is there and could not be ended.
    Kept,
    /// Its number counts in another namespace: it cannot be told whether it is there.
    Elsewhere,
    /// It serves the new connection, too: it is not to be ended.
    Own,
}

impl Fate {
    /// Whether it holds no port any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Gone | Self::Ended | Self::Killed)
    }

    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "gone" => Self::Gone,
            "ended" => Self::Ended,
            "killed" => Self::Killed,
            "kept" => Self::Kept,
            "elsewhere" => Self::Elsewhere,
            "self" => Self::Own,
            _ => return None,
        })
    }
}

/// What a script said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The process of the connection on which it ran.
    pub identity: Option<Identity>,
    /// What became of each old one: number, start, fate.
    pub fates: Vec<(u32, u64, Fate)>,
    /// It came to its end.
    pub done: bool,
}

impl Said {
    /// Reads the whole lines of `output` that begin with `mark`. Others are the account's own; two identities are none.
    #[must_use]
    pub fn parse(output: &[u8], mark: &str) -> Self {
        let (mut said, mut found) = (Self::default(), 0);
        for line in output.split_inclusive(|b| *b == b'\n') {
            let Some(line) = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok()) else { continue };
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                [first, "is", ref fields @ ..] if first == mark => {
                    found += 1;
                    said.identity = Identity::parse(fields).filter(|_| found == 1);
                }
                [first, "was", pid, start, fate] if first == mark => {
                    let pid = number(pid).and_then(|pid| u32::try_from(pid).ok());
                    if let (Some(pid), Some(start), Some(fate)) = (pid, number(start), Fate::parse(fate)) {
                        said.fates.push((pid, start, fate));
                    }
                }
                [first, "done"] if first == mark => said.done = true,
                _ => {}
            }
        }
        said
    }

    /// What became of `who`; `None`: it was not said.
    #[must_use]
    pub fn fate(&self, who: &Identity) -> Option<Fate> {
        self.fates.iter().find(|(pid, start, _)| (*pid, *start) == (who.pid, who.start)).map(|(_, _, fate)| *fate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = "m1 is 6f1e2a3b-0000-4111-8222-0123456789ab 4026531836 4711 99887 sshd-session 0 6291456\n";

    fn said(output: &str) -> Said {
        Said::parse(output.as_bytes(), "m1")
    }

    #[test]
    fn a_line_is_found_among_the_noise_of_an_account() {
        let said = said(&format!("Welcome!\nm2 is no line\n{LINE}m1 was 12 34 ended\nm1 was 13 34 gone\nm1 done\n"));
        let who = said.identity.clone().unwrap();
        assert_eq!((who.pid, who.start, who.name.as_str()), (4711, 99887, "sshd-session"));
        assert_eq!(who.receive_buffer(), Some(6_291_456));
        assert_eq!(said.fate(&Identity { pid: 12, start: 34, ..who.clone() }), Some(Fate::Ended));
        assert_eq!(said.fate(&Identity { pid: 12, start: 35, ..who }), None);
        assert!(said.done);
        assert_eq!(self::said(&LINE.replace("6291456", "-")).identity.unwrap().receive_buffer(), None);
    }

    #[test]
    fn whatever_is_not_exactly_that_is_no_identity() {
        for (from, to) in [
            ("m1", "m2"),
            ("m1", " m1"),
            ("\n", ""),
            ("\n", " \n"),
            ("4711", "1"),
            ("4711", "-1"),
            ("4711", "4711;reboot"),
            ("4711", "99999999999"),
            ("99887", "0x1"),
            ("99887", "+99887"),
            ("99887", "999999999999999999999"),
            ("sshd-session", "sshd$(x)"),
            ("sshd-session", "sshd session"),
            ("4026531836", "pid:[4026531836]"),
            ("6f1e2a3b-", "6f1e2a3b'"),
            ("6f1e2a3b-", ""),
            (" 0 ", " root "),
        ] {
            assert_eq!(said(&LINE.replacen(from, to, 1)).identity, None, "{from:?} → {to:?}");
        }
        assert_eq!(said(&format!("{LINE}{LINE}")).identity, None, "one process serves a connection, not two");
    }

    proptest! {
        #[test]
        fn no_output_is_too_odd(output in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Said::parse(&output, "m1");
            let _ = Said::parse(&[b"m1 is ", &output[..]].concat(), "m1");
        }
    }
}

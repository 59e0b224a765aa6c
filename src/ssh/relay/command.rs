//! What starts the relay, and the orders that it gets. Pure.
//!
//! The command obeys the rules of [`crate::ssh::server_process`]: one word of single quotes for `/bin/sh`, no single quote, no
//! backslash, no exclamation mark and no new line in it. It is what all users of the jump host may see; the program and the
//! secret come by stdin.

use crate::plan::Transport;

/// Looks for an interpreter and says which it is. Python reads as many bytes of program as the first line says; perl reads up
/// to `__END__`. Both are sent nothing more until they have said that they run: what a reader has read ahead is lost to the
/// program.
const START: &str = "ulimit -n $(ulimit -H -n) 2>/dev/null; cd /; \
     if python3 -I -S -c \"import select,socket,struct,sys;sys.exit(sys.version_info<(3,6))\" </dev/null 2>/dev/null; \
     then echo MARK python3; \
     exec python3 -I -S -c \"import sys;f=sys.stdin.buffer;exec(f.read(int(f.readline())).decode())\"; \
     elif perl -e \"use Socket 2;use IO::Handle;exit 0\" </dev/null 2>/dev/null; \
     then echo MARK perl; exec perl -; \
     else echo MARK none; fi";

const PYTHON: &str = include_str!("helper.py");
const PERL: &str = include_str!("helper.pl");

/// The command, which says with `mark` what it found.
#[must_use]
pub fn start(mark: &str) -> String {
    format!("exec /bin/sh -c '{}'", START.replace("MARK", mark))
}

/// What `interpreter`, as the command named it, is to be sent; `None`: there is none.
#[must_use]
pub fn program(interpreter: &str) -> Option<String> {
    match interpreter {
        "python3" => Some(format!("{}\n{PYTHON}", PYTHON.len())),
        "perl" => Some(format!("{PERL}\n__END__\n")),
        _ => None,
    }
}

/// What an order to open a port says.
#[derive(Debug, Clone, Copy)]
pub struct Open<'a> {
    /// The stream's number.
    pub stream: u16,
    /// Connections, or datagrams, or both.
    pub transport: &'a Transport,
    /// The address; `*` is every interface.
    pub bind: &'a str,
    /// 0: the relay chooses.
    pub port: u16,
    /// The port of the forward on the loopback interface.
    pub target: u16,
    /// So many seconds a port that is taken is tried again.
    pub patience: u64,
}

impl Open<'_> {
    /// The order; `None` for an address that cannot be one.
    #[must_use]
    pub fn order(&self) -> Option<String> {
        let Self { stream, transport, bind, port, target, patience } = self;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-' | b'_' | b'%' | b'*');
        let kind = match (transport.has_tcp(), transport.has_udp()) {
            (true, true) => "both",
            (false, true) => "udp",
            _ => "tcp",
        };
        let valid = !bind.is_empty() && bind.bytes().all(plain);
        valid.then(|| format!("open {stream} {kind} {bind} {port} {target} {patience}\n"))
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It is open.
    At {
        /// The port.
        port: u16,
        /// Address families that the jump host lacks: `v4`, `v6`.
        lacks: Vec<String>,
    },
    /// It is not.
    Not {
        /// The name of the system's error.
        code: String,
        /// The address family; `-`: neither.
        family: String,
        /// `tcp` or `udp`; `-`: neither.
        transport: String,
        /// The system's words.
        why: String,
    },
}

impl Opened {
    /// The answer for the stream of this number; `None`: the line is none.
    #[must_use]
    pub fn parse(line: &str, stream: u16) -> Option<Self> {
        let (verb, rest) = line.split_once(' ')?;
        let (number, rest) = rest.split_once(' ')?;
        if number.parse() != Ok(stream) {
            return None;
        }
        match verb {
            "opened" => {
                let (port, lacks) = rest.split_once(' ')?;
                let lacks = lacks.split(',').filter(|family| matches!(*family, "v4" | "v6"));
                let port = port.parse().ok().filter(|port| *port != 0)?;
                Some(Self::At { port, lacks: lacks.map(str::to_owned).collect() })
            }
            "failed" => {
                let (code, rest) = rest.split_once(' ')?;
                let (family, rest) = rest.split_once(' ')?;
                let (transport, why) = rest.split_once(' ')?;
                let [code, family, transport, why] = [code, family, transport, why].map(str::to_owned);
                Some(Self::Not { code, family, transport, why })
            }
            _ => None,
        }
    }
}

/// The process of a relay: number, start and boot together are never another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process(String);

impl Process {
    /// Of the line by which it says that it runs; `None` where the system does not tell, or it is no such line.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.strip_prefix("ready ")?.split(' ').collect();
        let digits = |text: &str| !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
        let [pid, start, boot] = words[..] else { return None };
        let boot = boot.len() == 36 && boot.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        (digits(pid) && digits(start) && boot).then(|| Self(words.join(" ")))
    }

    /// The order to end it.
    #[must_use]
    pub fn end(&self) -> String {
        format!("end {}\n", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_one_word_for_any_shell() {
        let command = start("reclog-1");
        let script = command.strip_prefix("exec /bin/sh -c '").and_then(|c| c.strip_suffix('\'')).unwrap();
        assert!(!script.contains(['\'', '\\', '!', '\n']), "{script}");
        assert!(script.contains("echo reclog-1 python3") && !script.contains("MARK"));
    }

    #[test]
    fn programs_are_sent_as_they_are_read() {
        let python = program("python3").unwrap();
        let (length, text) = python.split_once('\n').unwrap();
        assert_eq!((length.parse(), text), (Ok(PYTHON.len()), PYTHON));
        assert!(PYTHON.is_ascii() && PERL.is_ascii(), "bytes and characters are the same");
        assert!(program("perl").unwrap().ends_with("\n__END__\n"));
        assert!(!PERL.contains("__END__"));
        assert_eq!(program("none"), None);
    }

    #[test]
    fn an_order_is_one_line_of_plain_words() {
        let open = |bind| {
            let transport = &Transport::TcpAndUdp;
            Open { stream: 3, transport, bind, port: 514, target: 4711, patience: 10 }.order()
        };
        assert_eq!(open("*").as_deref(), Some("open 3 both * 514 4711 10\n"));
        assert_eq!(open("fe80::1%eth0").as_deref(), Some("open 3 both fe80::1%eth0 514 4711 10\n"));
        for bad in ["", "a b", "a\nshut", "é", "a\0"] {
            assert_eq!(open(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn answers_are_taken_for_what_they_are() {
        let at = |port, lacks: &[&str]| Some(Opened::At { port, lacks: lacks.iter().map(|l| (*l).into()).collect() });
        assert_eq!(Opened::parse("opened 3 514 -", 3), at(514, &[]));
        assert_eq!(Opened::parse("opened 3 514 v6", 3), at(514, &["v6"]));
        let failed = Opened::parse("failed 3 EADDRINUSE v6 udp Address already in use", 3).unwrap();
        let Opened::Not { code, family, transport, why } = failed else { panic!("{failed:?}") };
        let told = (&*code, &*family, &*transport, &*why);
        assert_eq!(told, ("EADDRINUSE", "v6", "udp", "Address already in use"));
        for bad in ["opened 4 514 -", "opened 3 0 -", "opened 3 514", "opened 3 65536 -", "shut", "", "failed 3 E"] {
            assert_eq!(Opened::parse(bad, 3), None, "{bad:?}");
        }
    }

    #[test]
    fn a_process_is_ended_by_what_it_said_of_itself_and_by_nothing_else() {
        let boot = "6f1e2a3b-0000-4111-8222-0123456789ab";
        let line = format!("ready 4711 99887 {boot}");
        assert_eq!(Process::parse(&line).unwrap().end(), format!("end 4711 99887 {boot}\n"));
        for (from, to) in [("4711", "-1"), ("4711", "*"), ("99887", ""), ("-", ""), (boot, "x"), ("ready ", "")] {
            assert_eq!(Process::parse(&line.replacen(from, to, 1)), None, "{from:?} → {to:?}");
        }
        assert_eq!(Process::parse(&format!("{line} x")), None);
    }
}

//! What to paste on another machine so that a line arrives.
//!
//! Every snippet sends one line and ends by itself, in any shell, without waiting for an answer. Pure text.

use std::path::Path;

use super::args::SenderArg;
use super::place::Place;
use crate::error::{Error, Result};
use crate::plan::bracketed;

/// The shortest sender line, for the block of `up`. bash understands it; sockets need socat. `None` for a socket whose path
/// is not safe to paste.
#[must_use]
pub fn short(place: &Place) -> Option<String> {
    let there = place.only_on().map_or(String::new(), |host| format!("   (run this on {})", harmless(host)));
    Some(match place {
        Place::Inside { .. } => short(&place.from_inside())? + &there,
        Place::Tcp { host, port } | Place::Both { host, port } => {
            format!("echo hello > /dev/tcp/{}/{port}", harmless(host))
        }
        Place::Udp { host, port } => format!("echo hello > /dev/udp/{}/{port}", harmless(host)),
        Place::Socket { path, .. } => {
            format!("echo hello | socat -u - UNIX-CONNECT:{}{there}", plain(path)?)
        }
    })
}

/// The snippet for `sender` that reaches `place`, ending with a line end; for rsyslog a configuration fragment. `udp`: by
/// datagrams, where the place takes both.
///
/// # Errors
/// Usage, when the program cannot reach such a place.
pub fn snippet(sender: SenderArg, place: &Place, udp: bool) -> Result<String> {
    match place {
        Place::Tcp { .. } if udp => {
            Err(Error::usage(format!("{} takes no UDP", place.text())).hint("without --udp the snippet is for TCP"))
        }
        Place::Udp { host, port } => Ok(over_udp(sender, host, *port)),
        Place::Both { host, port } if udp => Ok(over_udp(sender, host, *port)),
        Place::Tcp { host, port } | Place::Both { host, port } => Ok(over_tcp(sender, host, *port)),
        Place::Socket { path, .. } => to_socket(sender, path),
        Place::Inside { .. } => snippet(sender, &place.from_inside(), udp),
    }
}

/// The file that snippets read the keyword from, where the sender runs: the word itself stands in no snippet.
pub const KEYWORD_FILE: &str = "reclog.keyword";

/// As [`snippet`], with the keyword said first. It is passed on by what a shell does itself, so that no list of processes
/// shows it.
///
/// # Errors
/// Usage, when the program cannot reach such a place, or says nothing before its messages.
pub fn with_keyword(sender: SenderArg, place: &Place) -> Result<String> {
    let (to, host, port) = match place {
        Place::Inside { .. } => return with_keyword(sender, &place.from_inside()),
        Place::Tcp { host, port } | Place::Both { host, port } => (None, harmless(host), *port),
        // Where it can be reached at all, and by whom, is the same as without.
        Place::Socket { path, .. } => {
            to_socket(sender, path)?;
            (plain(path), String::new(), 0)
        }
        Place::Udp { .. } => return Err(Error::usage(format!("{} takes no keyword: it is UDP", place.text()))),
    };
    let say = |name: &str| {
        format!("word=$(cat {KEYWORD_FILE}) && {{ printf \"%s\\n\" \"$word\"; echo \"hello from {name}\"; }}")
    };
    let machine = "$(hostname)";
    Ok(match (sender, to) {
        (SenderArg::Bash, _) => format!("bash -c '{} > /dev/tcp/{host}/{port}'\n", say("$HOSTNAME")),
        (SenderArg::Nc, Some(path)) => format!("sh -c '{} | nc -w 2 -U {path}'\n", say(machine)),
        (SenderArg::Nc, None) => format!("sh -c '{} | nc -w 2 {host} {port}'\n", say(machine)),
        (SenderArg::Socat, Some(path)) => format!("sh -c '{} | socat -u - UNIX-CONNECT:{path}'\n", say(machine)),
        (SenderArg::Socat, None) => {
            format!("sh -c '{} | socat -u - \"TCP:{}:{port}\"'\n", say(machine), bracketed(&host))
        }
        (SenderArg::Python, to) => {
            let connect = match to {
                Some(path) => format!("s = socket.socket(socket.AF_UNIX); s.connect(\"{path}\"); "),
                None => format!("s = socket.create_connection((\"{host}\", {port}), 10); "),
            };
            format!(
                "python3 -c 'import socket; \
                 word = open(\"{KEYWORD_FILE}\", \"rb\").read().rstrip(b\"\\r\\n\"); \
                 {connect}\
                 s.sendall(word + (\"\\nhello from \" + socket.gethostname() + \"\\n\").encode()); \
                 s.close()'\n"
            )
        }
        (SenderArg::Logger | SenderArg::Rsyslog, _) => {
            let name = if sender == SenderArg::Logger { "logger" } else { "rsyslog" };
            return Err(Error::usage(format!("{name} cannot send a keyword: it says nothing before its messages"))
                .hint("these can: --sender bash, nc, socat or python")
                .hint("a stream of its own, without a keyword and with `allow`, takes what it sends"));
        }
    })
}

fn over_tcp(sender: SenderArg, host: &str, port: u16) -> String {
    let host = &harmless(host);
    match sender {
        // /dev/tcp is bash's own, so bash has to be named: the line may be pasted into dash, zsh or fish.
        SenderArg::Bash => format!("bash -c 'echo \"hello from $HOSTNAME\" > /dev/tcp/{host}/{port}'\n"),
        // After the end of its input, OpenBSD's netcat wants -N to end, the traditional one -q, each refuses the
        // other's; -w 2 (two seconds of silence) ends all of them.
        SenderArg::Nc => format!("echo \"hello from $(hostname)\" | nc -w 2 {host} {port}\n"),
        SenderArg::Socat => format!("echo \"hello from $(hostname)\" | socat -u - 'TCP:{}:{port}'\n", bracketed(host)),
        SenderArg::Python => format!(
            "python3 -c 'import socket; \
             s = socket.create_connection((\"{host}\", {port}), 10); \
             s.sendall((\"hello from \" + socket.gethostname() + \"\\n\").encode()); \
             s.close()'\n"
        ),
        // Without --octet-count every message ends with LF; --rfc5424 is the default of newer ones only.
        SenderArg::Logger => format!("logger --tcp --rfc5424 --server {host} --port {port} \"hello\"\n"),
        SenderArg::Rsyslog => rsyslog(host, port),
    }
}

fn over_udp(sender: SenderArg, host: &str, port: u16) -> String {
    let host = &harmless(host);
    match sender {
        SenderArg::Bash => format!("bash -c 'echo \"hello from $HOSTNAME\" > /dev/udp/{host}/{port}'\n"),
        SenderArg::Nc => format!("echo \"hello from $(hostname)\" | nc -u -w 2 {host} {port}\n"),
        SenderArg::Socat => format!("echo \"hello from $(hostname)\" | socat -u - 'UDP:{}:{port}'\n", bracketed(host)),
        SenderArg::Python => format!(
            "python3 -c 'import socket; \
             f, t, p, _, a = socket.getaddrinfo(\"{host}\", {port}, type=socket.SOCK_DGRAM)[0]; \
             socket.socket(f, t, p).sendto((\"hello from \" + socket.gethostname() + \"\\n\").encode(), a)'\n"
        ),
        SenderArg::Logger => format!("logger --udp --rfc5424 --server {host} --port {port} \"hello\"\n"),
        // Nothing is queued or tried again: a datagram is sent, and whether it arrives nobody knows.
        SenderArg::Rsyslog => format!(
            "# For example as /etc/rsyslog.d/90-reclog.conf; then: systemctl restart rsyslog
*.* action(type=\"omfwd\"
    target=\"{host}\" port=\"{port}\" protocol=\"udp\"
    template=\"RSYSLOG_SyslogProtocol23Format\"
)
"
        ),
    }
}

fn to_socket(sender: SenderArg, path: &Path) -> Result<String> {
    let others = "these can: --sender python, logger, socat or nc";
    let Some(path) = plain(path) else {
        return Err(Error::usage(format!(
            "no snippet can be printed: the path {} has characters that mean something to a shell",
            crate::escape::escape_str(&path.display().to_string())
        ))
        .hint("choose a path of letters, digits and `/._-+@`"));
    };
    match sender {
        SenderArg::Bash => Err(Error::usage("bash cannot connect to a Unix socket").hint(others)),
        SenderArg::Nc => Ok(format!("echo \"hello from $(hostname)\" | nc -w 2 -U {path}\n")),
        SenderArg::Socat => Ok(format!("echo \"hello from $(hostname)\" | socat -u - UNIX-CONNECT:{path}\n")),
        SenderArg::Python => Ok(format!(
            "python3 -c 'import socket; \
             s = socket.socket(socket.AF_UNIX); \
             s.connect(\"{path}\"); \
             s.sendall((\"hello from \" + socket.gethostname() + \"\\n\").encode()); \
             s.close()'\n"
        )),
        // It tries datagrams first and then a connection; with errors off it would say nothing when both fail.
        SenderArg::Logger => Ok(format!("logger --socket {path} --socket-errors=on \"hello\"\n")),
        SenderArg::Rsyslog => {
            Err(Error::usage("rsyslog cannot connect to a Unix socket: its omuxsock sends datagrams")
                .hint("a stream with a port on the loopback interface takes what rsyslog sends: `bind: 127.0.0.1`")
                .hint(others))
        }
    }
}

/// A queue of its own and no time to wait for a place in it: rsyslog goes on with its local files when nobody is there,
/// tries again for ever, and drops the newest messages once the queue is full.
fn rsyslog(host: &str, port: u16) -> String {
    format!(
        "# For example as /etc/rsyslog.d/90-reclog.conf; then: systemctl restart rsyslog
*.* action(type=\"omfwd\"
    target=\"{host}\" port=\"{port}\" protocol=\"tcp\"
    TCP_Framing=\"traditional\" template=\"RSYSLOG_SyslogProtocol23Format\"
    queue.type=\"LinkedList\" queue.size=\"10000\" queue.timeoutEnqueue=\"0\"
    action.resumeRetryCount=\"-1\" action.resumeInterval=\"10\"
)
"
    )
}

/// A line for `send`, which waits until it is acknowledged.
///
/// # Errors
/// Usage, where the place is no TCP port.
pub fn acked(place: &Place, keyword: bool) -> Result<String> {
    let file = if keyword { format!(" --keyword-file {KEYWORD_FILE}") } else { String::new() };
    match place {
        Place::Inside { .. } => acked(&place.from_inside(), keyword),
        Place::Tcp { host, port } | Place::Both { host, port } => {
            let host = bracketed(&harmless(host)).to_string();
            Ok(format!("echo \"hello from $(hostname)\" | reclog send \"{host}:{port}\" --ack{file}\n"))
        }
        _ => Err(Error::usage("its senders have to speak RELP, which is for TCP ports")),
    }
}

/// What senders that speak RELP are told: of those that are known here only rsyslog does.
///
/// # Errors
/// Usage, when another one is asked for, or the place is no TCP port.
pub fn relp(sender: Option<SenderArg>, place: &Place) -> Result<String> {
    match (sender.unwrap_or(SenderArg::Rsyslog), place) {
        (SenderArg::Rsyslog, Place::Tcp { host, port } | Place::Both { host, port }) => Ok(rsyslog_relp(host, *port)),
        _ => Err(Error::usage(
            "its senders have to speak RELP, and of those that are known here only rsyslog does, to a TCP port",
        )
        .hint("reclog how --sender rsyslog")
        .hint("`reclog send HOST:PORT --ack` speaks it, too")),
    }
}

/// As [`rsyslog`], for RELP. What is not acknowledged when rsyslog ends is kept on its disk.
fn rsyslog_relp(host: &str, port: u16) -> String {
    let host = harmless(host);
    format!(
        "# For example as /etc/rsyslog.d/90-reclog.conf, with the package rsyslog-relp; then: systemctl restart rsyslog
module(load=\"omrelp\")
*.* action(type=\"omrelp\"
    target=\"{host}\" port=\"{port}\"
    template=\"RSYSLOG_SyslogProtocol23Format\"
    queue.type=\"LinkedList\" queue.size=\"10000\" queue.timeoutEnqueue=\"0\"
    queue.filename=\"reclog-{port}\" queue.saveOnShutdown=\"on\"
    action.resumeRetryCount=\"-1\" action.resumeInterval=\"10\"
)
"
    )
}

/// `host` with everything replaced that no host name or address has (letters, digits, `.`, `-`, `_`, `:` and `%` are
/// what they are made of): it comes from files and is pasted into shells.
fn harmless(host: &str) -> String {
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let fine = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    let clean: String = host.chars().map(|c| if fine(c) { c } else { '_' }).collect();
    // Not an option of anything either.
    if clean.starts_with('-') { format!("_{clean}") } else { clean }
}

/// A path that means itself to every shell and program here; socat takes `:` and `,` for its own.
fn plain(path: &Path) -> Option<&str> {
    let fine = |c: char| c.is_alphanumeric() || "/._-+@".contains(c);
    path.to_str().filter(|path| path.starts_with('/') && path.chars().all(fine))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    fn tcp(sender: SenderArg, host: &str, port: u16) -> String {
        snippet(sender, &Place::Tcp { host: host.into(), port }, false).unwrap()
    }

    fn udp(sender: SenderArg, host: &str, port: u16) -> String {
        snippet(sender, &Place::Udp { host: host.into(), port }, false).unwrap()
    }

    fn socket(path: &str) -> Place {
        Place::Socket { path: path.into(), on: None }
    }

    #[test]
    fn a_keyword_is_read_from_a_file_and_who_cannot_send_it_says_who_can() {
        for place in [Place::Tcp { host: "jump".into(), port: 7 }, socket("/run/x")] {
            for sender in [SenderArg::Nc, SenderArg::Socat, SenderArg::Python] {
                let text = with_keyword(sender, &place).unwrap();
                assert!(text.contains(KEYWORD_FILE) && text.lines().count() == 1, "{text}");
            }
            for sender in [SenderArg::Logger, SenderArg::Rsyslog] {
                let error = with_keyword(sender, &place).unwrap_err();
                assert_eq!(error.kind.exit_code(), 2);
            }
        }
        assert!(with_keyword(SenderArg::Bash, &socket("/run/x")).is_err());
        assert!(with_keyword(SenderArg::Nc, &socket("/run/a b")).is_err());
        assert!(with_keyword(SenderArg::Nc, &Place::Udp { host: "jump".into(), port: 7 }).is_err());
        let inside = Place::Inside { place: Box::new(Place::Tcp { host: "jump".into(), port: 7 }), on: "jump".into() };
        assert!(with_keyword(SenderArg::Bash, &inside).unwrap().contains("/dev/tcp/localhost/7"));
    }

    #[test]
    fn ipv6_is_written_as_each_program_wants_it() {
        let of = |sender| tcp(sender, "2001:db8::1", 55514);
        assert!(of(SenderArg::Bash).contains("/dev/tcp/2001:db8::1/55514"));
        assert!(of(SenderArg::Nc).ends_with("nc -w 2 2001:db8::1 55514\n"));
        assert!(of(SenderArg::Socat).ends_with("'TCP:[2001:db8::1]:55514'\n"));
        assert!(of(SenderArg::Python).contains("(\"2001:db8::1\", 55514)"));
        assert!(of(SenderArg::Logger).contains("--server 2001:db8::1 --port 55514"));
        assert!(of(SenderArg::Rsyslog).contains("target=\"2001:db8::1\" port=\"55514\""));
        assert_eq!(tcp(SenderArg::Socat, "[::1]", 1), tcp(SenderArg::Socat, "::1", 1));
        let of = |sender| udp(sender, "2001:db8::1", 55514);
        assert!(of(SenderArg::Bash).contains("/dev/udp/2001:db8::1/55514"));
        assert!(of(SenderArg::Socat).ends_with("'UDP:[2001:db8::1]:55514'\n"));
        assert!(of(SenderArg::Rsyslog).contains("protocol=\"udp\""));
    }

    #[test]
    fn a_host_never_becomes_a_command() {
        let gated = |sender, host: &str, port| {
            with_keyword(sender, &Place::Tcp { host: host.into(), port }).unwrap_or_default()
        };
        let all = |s| [(s, tcp as fn(_, &str, _) -> _), (s, udp), (s, gated)];
        for (sender, of) in SenderArg::value_variants().iter().flat_map(all) {
            let plain = of(*sender, "jump", 1);
            for host in ["$(id)", "a;b", "a'b", "a\"b", "a b", "`id`", "a\nb", "a|b", "a/../b", "-oX", "a\\b"] {
                let text = of(*sender, host, 1);
                let syntax = |t: &str| t.chars().filter(|c| "$();'\"`|\\/\n ".contains(*c)).collect::<String>();
                assert_eq!(syntax(&text), syntax(&plain), "{host:?} in {text}");
            }
        }
    }

    #[test]
    fn a_path_never_becomes_a_command() {
        for path in
            ["/a b", "/a'b", "/$(id)", "/a;b", "/a`b", "/a\\b", "/a\"b", "/a\nb", "/a:b", "/a,b", "/a|b", "/a!b"]
        {
            for sender in SenderArg::value_variants() {
                assert!(snippet(*sender, &socket(path), false).is_err(), "{path:?}");
            }
            assert_eq!(short(&socket(path)), None, "{path:?}");
        }
    }

    #[test]
    fn all_but_rsyslog_are_one_line() {
        for sender in SenderArg::value_variants().iter().filter(|s| **s != SenderArg::Rsyslog) {
            for text in [tcp(*sender, "jump.example.org", 55514), udp(*sender, "jump.example.org", 55514)] {
                assert!(text.ends_with('\n') && text.lines().count() == 1, "{text}");
            }
        }
    }

    #[test]
    fn a_place_that_takes_both_is_reached_by_either() {
        let both = Place::Both { host: "jump".into(), port: 7 };
        for sender in SenderArg::value_variants() {
            assert_eq!(snippet(*sender, &both, false).unwrap(), tcp(*sender, "jump", 7));
            assert_eq!(snippet(*sender, &both, true).unwrap(), udp(*sender, "jump", 7));
        }
        let error = snippet(SenderArg::Bash, &Place::Tcp { host: "jump".into(), port: 7 }, true).unwrap_err();
        assert_eq!(error.kind.exit_code(), 2);
    }

    #[test]
    fn who_cannot_reach_a_socket_says_who_can() {
        for sender in [SenderArg::Bash, SenderArg::Rsyslog] {
            let error = snippet(sender, &socket("/run/x"), false).unwrap_err();
            assert_eq!(error.kind.exit_code(), 2);
            assert!(error.hint_text().unwrap().contains("--sender python"), "{error:?}");
        }
    }
}

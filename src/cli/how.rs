//! `how`: what to paste on another machine so that a line arrives.
//!
//! Every snippet sends one line and ends by itself, in any shell, without waiting for an answer. Pure text.

use super::args::{HowArgs, SenderArg};
use super::pick;
use super::printer::Printer;
use crate::collector::live;
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::plan::{Framing, bracketed};

/// Prints the snippet for a running stream and nothing else.
pub async fn run(args: &HowArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let (collector, streams) = pick::streams(args.name.as_deref(), paths, printer).await?;
    if streams.len() > 1 {
        let names: Vec<String> = streams.iter().map(|s| format!("{}/{}", collector.name, s.name)).collect();
        return Err(Error::usage(format!("the collector \"{}\" has several streams", collector.name))
            .hint(format!("name one: {}", names.join(", "))));
    }
    let Some(stream) = streams.first() else { return Ok(()) };
    let host = live::sender_host(collector.target.as_deref().map(host_of), &stream.bind);
    if stream.framing == Framing::Relp.as_str() {
        if args.sender != SenderArg::Rsyslog {
            return Err(Error::usage("its senders speak RELP, and of those that are known here only rsyslog does")
                .hint(relp_hint(&collector.name)));
        }
        return printer.data(&rsyslog_relp(&host, stream.remote_port));
    }
    printer.data(&snippet(args.sender, &host, stream.remote_port))
}

/// The host in `user@host:port`, brackets of IPv6 removed.
fn host_of(target: &str) -> &str {
    let host = target.rsplit_once('@').map_or(target, |(_, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

/// The shortest sender line, for the block of `up`; bash understands it.
#[must_use]
pub fn short(host: &str, port: u16) -> String {
    format!("echo hello > /dev/tcp/{}/{port}", harmless(host))
}

/// What is said instead where senders have to speak RELP.
#[must_use]
pub fn relp_hint(collector: &str) -> String {
    format!("reclog how {collector} --sender rsyslog")
}

/// The snippet for `sender` that reaches `host`:`port`, ending with a line end; for rsyslog a configuration fragment.
/// `host` is a name or an address, IPv6 without brackets.
#[must_use]
pub fn snippet(sender: SenderArg, host: &str, port: u16) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn ipv6_is_written_as_each_program_wants_it() {
        let of = |sender| snippet(sender, "2001:db8::1", 55514);
        assert!(of(SenderArg::Bash).contains("/dev/tcp/2001:db8::1/55514"));
        assert!(of(SenderArg::Nc).ends_with("nc -w 2 2001:db8::1 55514\n"));
        assert!(of(SenderArg::Socat).ends_with("'TCP:[2001:db8::1]:55514'\n"));
        assert!(of(SenderArg::Python).contains("(\"2001:db8::1\", 55514)"));
        assert!(of(SenderArg::Logger).contains("--server 2001:db8::1 --port 55514"));
        assert!(of(SenderArg::Rsyslog).contains("target=\"2001:db8::1\" port=\"55514\""));
        assert_eq!(snippet(SenderArg::Socat, "[::1]", 1), snippet(SenderArg::Socat, "::1", 1));
    }

    #[test]
    fn a_host_never_becomes_a_command() {
        for sender in SenderArg::value_variants() {
            let plain = snippet(*sender, "jump", 1);
            for host in ["$(id)", "a;b", "a'b", "a\"b", "a b", "`id`", "a\nb", "a|b", "a/../b", "-oX", "a\\b"] {
                let text = snippet(*sender, host, 1);
                let syntax = |t: &str| t.chars().filter(|c| "$();'\"`|\\/\n ".contains(*c)).collect::<String>();
                assert_eq!(syntax(&text), syntax(&plain), "{host:?} in {text}");
            }
        }
    }

    #[test]
    fn all_but_rsyslog_are_one_line() {
        for sender in SenderArg::value_variants().iter().filter(|s| **s != SenderArg::Rsyslog) {
            let text = snippet(*sender, "jump.example.org", 55514);
            assert!(text.ends_with('\n') && text.lines().count() == 1, "{text}");
        }
    }
}

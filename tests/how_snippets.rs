//! Every snippet of `how`, run by the real program against a real listener.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reclog::cli::args::SenderArg;
use reclog::cli::place::Place;
use reclog::cli::snippets::{KEYWORD_FILE, snippet, with_keyword};

/// Longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether `program` is here; a missing one skips the test, or fails it under `RECLOG_TEST_STRICT=1`.
fn has(program: &str) -> bool {
    let folders = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = std::env::split_paths(&folders).any(|folder| folder.join(program).is_file());
    if !found {
        assert!(std::env::var_os("RECLOG_TEST_STRICT").is_none_or(|v| v != "1"), "{program} is not installed");
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The next connection, or a failed test.
fn accept(listener: &TcpListener, what: &str) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return stream;
            }
            Err(_) => assert!(start.elapsed() < PATIENCE, "nobody connected: {what}"),
        }
        std::thread::yield_now();
    }
}

/// What arrives when the snippet is pasted into `shell`, up to the end that the sender makes.
fn received(sender: SenderArg, shell: &str, ip: IpAddr) -> String {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let place = Place::Tcp { host: ip.to_string(), port: listener.local_addr().unwrap().port() };
    let line = snippet(sender, &place, false).unwrap();
    let mut running = Running(Command::new(shell).arg("-c").arg(&line).stdin(Stdio::null()).spawn().unwrap());
    let mut text = String::new();
    accept(&listener, &line).read_to_string(&mut text).unwrap();
    assert!(running.0.wait().unwrap().success(), "{line}");
    text
}

fn arrives_from_every_shell(sender: SenderArg, program: &str) {
    if !has(program) {
        return;
    }
    // At the same time: netcat takes two seconds to end.
    std::thread::scope(|scope| {
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            for shell in ["sh", "bash", "zsh", "fish"].into_iter().filter(|shell| has(shell)) {
                scope.spawn(move || {
                    let text = received(sender, shell, ip);
                    let whole = text.contains("hello") && text.ends_with('\n') && text.lines().count() == 1;
                    assert!(whole, "{shell}: {text:?}");
                });
            }
        }
    });
}

/// What arrives when the snippet is pasted beside a file with the keyword, whose bytes are `file`.
fn received_with_keyword(sender: SenderArg, shell: &str, ip: IpAddr, file: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(KEYWORD_FILE), file).unwrap();
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let place = Place::Tcp { host: ip.to_string(), port: listener.local_addr().unwrap().port() };
    let line = with_keyword(sender, &place).unwrap();
    let mut command = Command::new(shell);
    command.arg("-c").arg(&line).current_dir(folder.path()).stdin(Stdio::null());
    let mut running = Running(command.spawn().unwrap());
    let mut text = String::new();
    accept(&listener, &line).read_to_string(&mut text).unwrap();
    assert!(running.0.wait().unwrap().success(), "{line}");
    text
}

#[test]
fn the_keyword_is_said_first_whatever_ends_its_file() {
    std::thread::scope(|scope| {
        for (sender, program) in [
            (SenderArg::Bash, "bash"),
            (SenderArg::Nc, "nc"),
            (SenderArg::Socat, "socat"),
            (SenderArg::Python, "python3"),
        ] {
            let shells = ["sh", "bash", "zsh", "fish"].into_iter().filter(|shell| has(program) && has(shell));
            for (shell, ip) in
                shells.zip([Ipv4Addr::LOCALHOST.into(), IpAddr::from(Ipv6Addr::LOCALHOST)].into_iter().cycle())
            {
                for file in [&b"a b\\n%s $x"[..], b"a b\\n%s $x\n"] {
                    scope.spawn(move || {
                        let text = received_with_keyword(sender, shell, ip, file);
                        let lines: Vec<&str> = text.lines().collect();
                        assert_eq!((lines.len(), lines[0]), (2, "a b\\n%s $x"), "{sender:?} {shell}: {text:?}");
                        assert!(lines[1].contains("hello") && text.ends_with('\n'), "{sender:?} {shell}: {text:?}");
                    });
                }
            }
        }
    });
}

#[test]
fn bash_sends_a_line() {
    arrives_from_every_shell(SenderArg::Bash, "bash");
}

#[test]
fn netcat_sends_a_line_and_ends() {
    arrives_from_every_shell(SenderArg::Nc, "nc");
}

#[test]
fn socat_sends_a_line() {
    arrives_from_every_shell(SenderArg::Socat, "socat");
}

#[test]
fn python_sends_a_line() {
    arrives_from_every_shell(SenderArg::Python, "python3");
}

#[test]
fn logger_sends_a_line_without_octet_count() {
    arrives_from_every_shell(SenderArg::Logger, "logger");
    if has("logger") {
        let text = received(SenderArg::Logger, "sh", Ipv4Addr::LOCALHOST.into());
        assert!(text.starts_with("<13>1 "), "{text:?}");
    }
}

#[test]
fn rsyslog_sends_lines() {
    if !has("rsyslogd") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let place = Place::Tcp { host: "::1".into(), port: listener.local_addr().unwrap().port() };
    let fragment = snippet(SenderArg::Rsyslog, &place, false).unwrap();
    let (socket, configuration) = (folder.path().join("log"), folder.path().join("rsyslog.conf"));
    let input = format!(
        "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{}\")\n",
        socket.display()
    );
    std::fs::write(&configuration, input + &fragment).unwrap();
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let rsyslogd = |arguments: &[&str]| {
        let mut command = Command::new("rsyslogd");
        command.env("PATH", &path).arg("-f").arg(&configuration).args(arguments);
        command.arg("-i").arg(folder.path().join("pid")).stdin(Stdio::null()).stdout(Stdio::null());
        command
    };

    let checked = rsyslogd(&["-N1"]).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && !said.contains("error") && !said.contains("warn"), "{said}");

    let _running = Running(rsyslogd(&["-n"]).stderr(Stdio::null()).spawn().unwrap());
    let client = UnixDatagram::unbound().unwrap();
    let start = Instant::now();
    while client.connect(&socket).is_err() {
        assert!(start.elapsed() < PATIENCE, "rsyslogd never made its socket");
        std::thread::yield_now();
    }
    for word in ["first", "second"] {
        client.send(format!("<13>test: {word}").as_bytes()).unwrap();
    }
    let mut lines = BufReader::new(accept(&listener, &fragment)).lines().map(Result::unwrap);
    for word in ["first", "second"] {
        // rsyslog tells of its own start, too.
        let line = lines.find(|line| line.contains("test")).unwrap();
        assert!(line.starts_with("<13>1 ") && line.ends_with(word), "{line}");
    }
}

//! What goes wrong before anything runs: the exit code, the sentence, the hint, and that nothing is left behind.

mod common;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use common::sshd::keygen;
use common::{Bg, Env, Run, SOON, Sshd, accept, free_port, wait_until};
use rustix::process::Signal;

/// `up` to `target` without any configuration file, to its end.
fn up_to(env: &Env, target: &str, more: &[&str]) -> Run {
    let out = env.arg("out");
    let run = env.run(&[&["up", target, "-F", "no_config", "--remote-port", "5", "--out", &out], more].concat());
    env.assert_nothing_left();
    run
}

#[test]
fn a_host_name_that_does_not_exist() {
    let env = Env::new();
    up_to(&env, "no-such-host.invalid", &[]).fails(1).hinted().says("no-such-host.invalid");
}

#[test]
fn a_refused_connection_names_address_and_port() {
    let (env, port) = (Env::new(), free_port().to_string());
    let run = up_to(&env, "127.0.0.1", &["-p", &port]).fails(1).hinted();
    run.says("127.0.0.1").says(port).matches("(?i)refused");
}

#[test]
fn a_host_that_does_not_answer_ends_at_connect_timeout() {
    let env = Env::new();
    // A queue of one that is full: further SYNs are dropped, as a firewall does.
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    let limit = Duration::from_millis(300);
    while let Ok(stream) = TcpStream::connect_timeout(&address, limit) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue never fills");
    }
    let start = Instant::now();
    let run = up_to(&env, "127.0.0.1", &["-p", &address.port().to_string(), "-o", "ConnectTimeout=1"]);
    run.fails(1).hinted().matches("(?i)connect").matches("(?i)time|answer");
    assert!(start.elapsed() < Duration::from_secs(8), "ConnectTimeout=1 took {:?}", start.elapsed());
}

/// Accepts connections and says nothing.
fn mute_server() -> (u16, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap().port(), listener)
}

#[test]
fn a_server_that_never_speaks_is_named_with_the_phase() {
    let env = Env::new();
    let (port, _listener) = mute_server();
    let run = up_to(&env, "127.0.0.1", &["-p", &port.to_string(), "-o", "ConnectTimeout=1"]);
    run.fails(1).hinted().says("banner");
}

#[test]
fn a_server_that_speaks_something_else_is_not_taken_for_ssh() {
    let env = Env::new();
    let (port, listener) = mute_server();
    let server = std::thread::spawn(move || {
        let mut stream = accept(&listener);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // What the client says is read to its end: a close with unread bytes would be a reset.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    up_to(&env, "127.0.0.1", &["-p", &port.to_string(), "-o", "ConnectTimeout=3"]).fails(1).hinted();
    server.join().unwrap();
}

#[test]
fn an_interrupt_before_up_is_done_ends_with_130() {
    let env = Env::new();
    let (port, listener) = mute_server();
    let (port, out) = (port.to_string(), env.arg("out"));
    for more in [&[][..], &["--foreground"]] {
        let args = ["up", "127.0.0.1", "-p", &port, "-F", "no_config", "--remote-port", "5", "--out", &out];
        let up = env.spawn(&[&args, more].concat());
        // The collector has connected: it waits for the banner now.
        let _connection = accept(&listener);
        for pid in env.processes() {
            env.expect(pid);
        }
        up.signal(Signal::INT);
        let run = up.wait_for(SOON);
        assert_eq!(run.status.code(), Some(130), "{run:?}");
        assert_eq!(run.stdout, "");
        env.assert_nothing_left();
    }
}

#[test]
fn a_command_of_the_configuration_that_hangs_is_not_waited_for() {
    let env = Env::new();
    let out = env.arg("out");
    for more in [&[][..], &["--foreground"]] {
        let pid = env.path("work/pid");
        let _ = std::fs::remove_file(&pid);
        let config = env.write("work/config", "Match exec \"echo $$ > pid; exec sleep 1000\"\n");
        let args = ["up", "127.0.0.1", "-F", config.to_str().unwrap(), "--remote-port", "5", "--out", &out];
        let mut up = env.reclog(&[&args, more].concat());
        // As a terminal has it: Ctrl-C reaches the whole group.
        std::os::unix::process::CommandExt::process_group(&mut up, 0);
        let up = Bg::spawn(up);
        let command = common::wait_for_text(&pid, "\n").trim().parse().unwrap();
        for pid in env.processes() {
            env.expect(pid);
        }
        let group = rustix::process::Pid::from_raw(i32::try_from(up.pid()).unwrap()).unwrap();
        rustix::process::kill_process_group(group, Signal::INT).unwrap();
        let run = up.wait_for(Duration::from_secs(5));
        assert_eq!(run.status.code(), Some(130), "{run:?}");
        wait_until("the command is gone", SOON, || (!common::procs::alive(command)).then_some(()));
        env.assert_nothing_left();
    }
}

#[test]
fn a_key_that_is_not_accepted_and_no_key_at_all() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let config = common::read_text(env.path("ssh_config"));
    keygen(&env.path("stranger"), "ed25519");
    for identity in [env.arg("stranger"), env.arg("no-such-key")] {
        let other = config.replace(sshd.user_key("ed25519").to_str().unwrap(), &identity);
        env.write("ssh_config", other);
        let run = env.up_run(&["--remote-port", "0", "--out", &env.arg("out")]);
        run.fails(4).hinted().says("127.0.0.1").matches("(?i)key|authenti");
        env.assert_nothing_left();
    }
}

#[test]
fn a_forward_that_the_jump_host_forbids() {
    require!("sshd");
    let policies =
        ["PermitListen 127.0.0.1:1", "AllowTcpForwarding no", "AllowTcpForwarding local", "DisableForwarding yes"];
    for policy in policies {
        let (env, sshd, port) = (Env::new(), Sshd::with_lines(&[policy]), free_port().to_string());
        env.trust(&sshd);
        eprintln!("with {policy}");
        let run = env.up_run(&["--remote-port", &port, "--out", &env.arg("out")]);
        run.fails(4).hinted().says(&port).matches("PermitListen|AllowTcpForwarding");
        env.assert_nothing_left();
    }
}

#[test]
fn a_key_without_the_right_to_forward() {
    require!("sshd");
    let (env, sshd, port) = (Env::new(), Sshd::start(), free_port().to_string());
    sshd.user_key_with("ed25519", "restrict");
    env.trust(&sshd);
    env.up_run(&["--remote-port", &port, "--out", &env.arg("out")]).fails(4).hinted().says(&port);
    env.assert_nothing_left();
}

#[test]
fn a_port_that_somebody_on_the_jump_host_has() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let taken = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let run = env.up_run(&["--bind", "127.0.0.1", "--remote-port", &port, "--out", &env.arg("out")]);
    run.fails(4).hinted().says(&port);
    env.assert_nothing_left();
}

#[test]
fn a_local_port_that_is_taken() {
    let env = Env::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    env.run(&["listen", &address, "--out", &env.arg("out")]).fails(1).hinted().says(address);
    env.assert_nothing_left();
}

#[test]
fn an_output_that_is_no_file() {
    let env = Env::new();
    std::fs::create_dir(env.path("folder")).unwrap();
    let fifo = env.command("mkfifo").arg(env.path("fifo")).status().unwrap();
    assert!(fifo.success());
    let cases = [
        (env.arg("folder"), "(?i)folder|directory"),
        (env.arg("fifo"), "(?i)fifo|pipe|regular file"),
        ("/dev/null".to_owned(), "(?i)device|regular file"),
        (env.arg("none/file"), "(?i)no such|not exist"),
        ("/proc/reclog.log".to_owned(), "."),
    ];
    for (out, reason) in cases {
        let run = env.run(&["listen", "127.0.0.1:0", "--out", &out]);
        run.fails(1).hinted().says(&out).matches(reason);
        env.assert_nothing_left();
    }
}

#[test]
fn an_output_that_cannot_be_opened_opens_no_port() {
    require!("sshd");
    let (env, sshd, port) = (Env::new(), Sshd::start(), free_port());
    env.trust(&sshd);
    env.up_run(&["--remote-port", &port.to_string(), "--out", &env.arg("none/file")]).fails(1).says("none/file");
    assert!(!common::listening(port));
    assert!(!sshd.log().contains("Accepted publickey"), "nobody is bothered before the file is open");
    env.assert_nothing_left();
}

#[test]
fn what_clap_and_the_plan_refuse() {
    let env = Env::new();
    let out = env.arg("out");
    let cases: [&[&str]; 10] = [
        &["up", "host", "--remote-port", "70000", "--out", &out],
        &["up", "host", "--remote-port", "x", "--out", &out],
        &["up", "host:99999", "--remote-port", "5", "--out", &out],
        &["up", "host", "--remote-port", "5", "--out", &out, "--no-such-flag"],
        &["up", "host", "--remote-port", "5", "--out", &out, "--max-line", "lots"],
        &["up", "host", "--remote-port", "5", "--out", &out, "--name", "a/b"],
        &["up", "host", "--remote-port", "5", "--out", &out, "--drain-timeout", "soon"],
        &["up", "host", "--out", &out],
        &["listen", "70000", "--out", &out],
        &["dwon"],
    ];
    for args in cases {
        env.run(args).fails(2);
        assert!(!env.path("out").exists(), "{args:?} made the file");
    }
    env.assert_nothing_left();
}

/// Flags about who may send, shapes and outputs, and what is said about them.
#[test]
fn what_makes_no_sense_at_a_port_or_behind_it() {
    let env = Env::new();
    let out = env.arg("out");
    let cases: [(&str, &[&str], &str); 18] = [
        ("127.0.0.1:0", &["--allow", "10.0.0.5/8"], "--allow: `10.0.0.5/8` has bits behind its mask"),
        ("127.0.0.1:0", &["--deny", "jump.example.org"], "--deny: `jump.example.org` is no network"),
        ("127.0.0.1:0", &["--max-rate", "1MB/m"], "--max-rate: `1MB/m` is no size a second"),
        ("127.0.0.1:0", &["--max-new", "0"], "--max-new: `0` is not between"),
        ("127.0.0.1:0", &["--idle-timeout", "1ms"], "--idle-timeout: `1ms` is not between"),
        ("127.0.0.1:0", &["--prefix", "{peer_ip}"], "--prefix: {peer_ip} is no placeholder here"),
        ("127.0.0.1:0", &["--prefix", "x", "--format", "json"], "--prefix has no place in the format json"),
        ("127.0.0.1:0", &["--prefix", "x", "--framing", "raw"], "--prefix puts text before records"),
        ("127.0.0.1:0", &["--out", "-"], "a collector in the background has none"),
        ("127.0.0.1:0", &["--out", "-", "--foreground", "--json"], "--json and the output - both"),
        ("127.0.0.1:0", &["--out", "http://example.org/"], "--out: `http://example.org/` cannot be used"),
        ("127.0.0.1:0", &["--out", "{date}/../x"], "--out: `{date}/../x` cannot be used: `..` has no place"),
        ("127.0.0.1:0", &["--out", &out], "twice"),
        ("127.0.0.1:0", &["--out", "syslog+udp://localhost", "--framing", "raw"], "--out names a syslog daemon"),
        ("udp:127.0.0.1:0", &["--keyword-file", "word"], "--keyword-file is said at the beginning of a connection"),
        ("udp:127.0.0.1:0", &["--framing", "relp"], "UDP has no way back"),
        ("unix:/tmp/reclog-never", &["--allow", "::1"], "--allow is about addresses"),
        ("unix:/tmp/reclog-never", &["--max-per-address", "3"], "--max-per-address is about addresses"),
    ];
    for (place, more, says) in cases {
        env.run(&[&["listen", place, "--out", &out], more].concat()).fails(2).says(says);
        assert!(!env.path("out").exists(), "{more:?} made the file");
    }
    for (more, says) in [
        (&["--framing", "relp"][..], "--framing relp acknowledges what is stored"),
        (&["--rotate-size", "1MB"], "--rotate-size is about files"),
        (&["--sync", "always"], "--sync is about files"),
    ] {
        env.run(&[&["listen", "127.0.0.1:0", "--out", "exec:cat"], more].concat()).fails(2).hinted().says(says);
    }
    // Also where a profile says so, and before anything is started.
    env.write("config/profiles/p.yaml", "streams: { main: { listen: '127.0.0.1:0', out: '-' } }\n");
    env.run(&["up", "p"]).fails(2).hinted().says("--foreground");
    env.run(&["profile", "check", "p"]).ok();
    env.assert_nothing_left();
}

#[test]
fn an_ssh_config_that_is_missing_or_wrong() {
    let env = Env::new();
    let out = env.arg("out");
    let up = |more: &[&str]| env.run(&[&["up", "host", "--remote-port", "5", "--out", &out], more].concat());
    up(&["-F", "/no/such/config"]).fails(2).says("/no/such/config");
    let config = env.write("config_bad", "Host *\n  Port twenty-two\n");
    up(&["-F", config.to_str().unwrap()]).fails(2).matches("(?i)port").says("twenty-two");
    let config = env.write("config_open", "Host \"never closed\n");
    up(&["-F", config.to_str().unwrap()]).fails(2).says("config_open").matches(r"(:1\b|line 1)");
    env.assert_nothing_left();
}

/// A misspelt keyword would otherwise be a setting that silently does not hold; ssh(1) stops there, too.
#[test]
fn a_keyword_that_ssh_does_not_have() {
    let env = Env::new();
    let out = env.arg("out");
    let up = |more: &[&str]| env.run(&[&["up", "host", "--remote-port", "5", "--out", &out], more].concat());
    up(&["-F", "no_config", "-o", "NoSuchKeyword=1"]).fails(2).matches("(?i)NoSuchKeyword");
    let config = env.write("config_bad", "Host *\n  Prot 22\n");
    up(&["-F", config.to_str().unwrap()]).fails(2).says("config_bad").matches("(?i)prot").matches(r"(:2\b|line 2)");
    env.assert_nothing_left();
}

#[test]
fn a_profile_with_a_mistake_is_shown_where_it_is() {
    let env = Env::new();
    let check = |text: &str, place: &str, words: &[&str]| {
        env.write("config/profiles/bad.yaml", text);
        let run = env.run(&["up", "bad"]).fails(2).says("bad.yaml").matches(place);
        words.iter().fold(run, |run, word| run.says(word));
        env.assert_nothing_left();
    };
    let streams = "target: jump\nstreams:\n  main:\n";
    check(
        &format!("{streams}    remote_prt: 5\n    out: /tmp/x\n"),
        "line 4, column 5",
        &["remote_prt", "remote_port"],
    );
    check(&format!("{streams}    remote_port: many\n    out: /tmp/x\n"), "line 4, ", &["many"]);
    check(
        &format!("{streams}    remote_port: 5\n    max_line: 5 parsecs\n    out: /tmp/x\n"),
        "line 5, ",
        &["parsecs"],
    );
    check("target: jump\nstreams: [\n", "line [23], ", &[]);
    let here = "streams:\n  main:\n    listen: '127.0.0.1:0'\n    out: /tmp/x\n";
    for (line, place, words) in [
        ("allow: 10.0.0.5/8", "line 5, column 12", &["10.0.0.0/8"][..]),
        ("keywords: { nginx: }", "line 5, ", &["no file is named; leave the key out"]),
        ("keyword_file: '-'", "line 5, column 19", &["--keyword-file -"]),
        ("prefix: '{pear} '", "line 5, column 13", &["{pear}", "{peer}"]),
        ("max_rate: 1MB/day", "line 5, column 15", &["1MB/day"]),
        ("max_per_addres: 3", "line 5, column 5", &["max_per_address"]),
    ] {
        check(&format!("{here}    {line}\n"), place, words);
    }
}

#[test]
fn a_runtime_path_too_long_for_a_socket() {
    let env = Env::new();
    let deep = env.path(format!("run/{}", "d".repeat(110)));
    let mut listen = env.reclog(&["listen", "127.0.0.1:0", "--out", &env.arg("out"), "--name", "c"]);
    listen.env("RECLOG_RUNTIME_DIR", &deep);
    common::Bg::spawn(listen).wait().fails(1).hinted().says("RECLOG_RUNTIME_DIR");
    env.assert_nothing_left();
}

#[test]
fn a_folder_without_the_right_to_write() {
    require!("setpriv");
    let env = Env::new();
    if rustix::process::geteuid().is_root() {
        // As nobody, in an environment of nobody's: everything below the folder must be theirs.
        let chown = env.command("chown").args(["-R", "65534:65534"]).arg(env.path(".")).status().unwrap();
        assert!(chown.success());
    }
    let closed = env.path("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
    let target = env.arg("closed/file");
    let run = if rustix::process::geteuid().is_root() {
        let copy = env.path("reclog");
        std::fs::copy(common::env::binary(), &copy).unwrap();
        let mut setpriv = env.command("setpriv");
        setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy);
        setpriv.args(["listen", "127.0.0.1:0", "--out", &target]);
        common::Bg::spawn(setpriv).wait()
    } else {
        env.run(&["listen", "127.0.0.1:0", "--out", &target])
    };
    run.fails(1).hinted().says(&target).matches("(?i)permission");
    wait_until("nothing is left", SOON, || env.runtime_files().is_empty().then_some(()));
}

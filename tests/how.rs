//! `how`: each printed snippet is run as it is by the program it is for, and its line is found in the file.

mod common;

use common::{Daemon, Env, SOON, Sshd, find_program, read_text, wait_until};

/// What `how` prints for `sender`: the snippet and nothing else.
fn snippet(env: &Env, sender: &str) -> String {
    let how = env.run(&["how", "c", "--sender", sender]).ok();
    assert!(!how.stdout.trim().is_empty(), "{how:?}");
    assert!(!how.stdout.contains('\x1b'), "no colours: it is to be pasted");
    how.stdout
}

/// Pastes the snippet into bash and waits for its line.
fn paste(env: &Env, sender: &str) {
    let text = snippet(env, sender);
    // The word that the snippet sends: the reader of the file must find it again.
    assert!(text.contains("hello"), "{sender}: a snippet says hello: {text}");
    let before = read_text(env.path("f")).lines().count();
    let bash = env.command("bash").args(["-c", &text]).output().unwrap();
    let stderr = String::from_utf8_lossy(&bash.stderr);
    assert!(bash.status.success(), "{sender}: {text}\n{stderr}");
    wait_until(&format!("the line of {sender} is in the file"), SOON, || {
        let now = read_text(env.path("f"));
        let new: Vec<&str> = now.lines().skip(before).collect();
        (now.ends_with('\n') && new.len() == 1 && new[0].contains("hello")).then_some(())
    });
}

/// Runs a real rsyslogd with the printed fragment at the end of its configuration and logs through its socket.
fn paste_into_rsyslog(env: &Env) {
    let fragment = snippet(env, "rsyslog");
    let (socket, pid) = (env.path("devlog"), env.path("rsyslogd.pid"));
    std::fs::create_dir_all(env.path("rsyslog")).unwrap();
    let config = format!(
        "global(workDirectory=\"{}\")\nmodule(load=\"imuxsock\" SysSock.Use=\"off\")\n\
         input(type=\"imuxsock\" Socket=\"{}\" CreatePath=\"on\")\n{fragment}\n",
        env.path("rsyslog").display(),
        socket.display()
    );
    let config = env.write("rsyslog.conf", config);
    let rsyslogd = find_program("rsyslogd").unwrap();
    let check = env.command(&rsyslogd).args(["-N1", "-f"]).arg(&config).output().unwrap();
    let told = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success(), "rsyslogd refuses the fragment:\n{fragment}\n{told}");
    let mut daemon = env.command(&rsyslogd);
    let _daemon = Daemon::start(daemon.args(["-n", "-f"]).arg(&config).arg("-i").arg(&pid));
    wait_until("rsyslogd listens", SOON, || std::os::unix::net::UnixDatagram::unbound().ok()?.connect(&socket).ok());
    let logger =
        env.command("logger").arg("-u").arg(&socket).args(["-t", "app", "hello from rsyslog"]).output().unwrap();
    assert!(logger.status.success(), "{}", String::from_utf8_lossy(&logger.stderr));
    let text = common::wait_for_text(env.path("f"), "hello from rsyslog");
    let line = text.lines().find(|l| l.contains("hello from rsyslog")).unwrap();
    assert!(line.contains("app"), "the tag is there, too: {line}");
}

/// The test `NAME` for one program, on a local port and through a jump host.
macro_rules! paste_tests {
    ($($name:ident: $sender:literal needs $($program:literal),+;)+) => {$(
        mod $name {
            use super::*;

            #[test]
            fn sends_to_a_local_port() {
                require!("bash", $($program),+);
                let env = Env::new();
                env.listen(&["--out", &env.arg("f"), "--name", "c"]);
                run(&env, $sender);
                env.down("c");
            }

            #[test]
            fn sends_datagrams_to_a_local_port() {
                require!("bash", $($program),+);
                let env = Env::new();
                let out = env.arg("f");
                env.started(env.run(&["listen", "udp:0", "--out", &out, "--name", "c", "--json"]));
                run(&env, $sender);
                env.down("c");
            }

            #[test]
            fn sends_through_a_jump_host() {
                require!("sshd", "bash", $($program),+);
                let (env, sshd) = (Env::new(), Sshd::start());
                env.trust(&sshd);
                env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c"]);
                run(&env, $sender);
                env.down("c");
            }
        }
    )+};
}

fn run(env: &Env, sender: &str) {
    if sender == "rsyslog" { paste_into_rsyslog(env) } else { paste(env, sender) }
}

paste_tests! {
    bash: "bash" needs "bash";
    nc: "nc" needs "nc";
    socat: "socat" needs "socat";
    python: "python" needs "python3";
    logger: "logger" needs "logger";
    rsyslog: "rsyslog" needs "rsyslogd", "logger";
}

#[test]
fn programs_that_can_send_to_a_socket_do() {
    require!("bash", "nc", "socat", "python3", "logger");
    let env = Env::new();
    let place = format!("unix:{}", env.arg("log.sock"));
    env.started(env.run(&["listen", &place, "--out", &env.arg("f"), "--name", "c", "--json"]));
    for sender in ["nc", "socat", "python", "logger"] {
        paste(&env, sender);
    }
    assert_eq!(env.run(&["how"]).ok().stdout, snippet(&env, "python"), "bash cannot");
    for sender in ["bash", "rsyslog"] {
        env.run(&["how", "c", "--sender", sender]).fails(2).says("cannot connect to a Unix socket").hinted();
    }
    // The line of the block, too.
    let line = format!("echo hello | socat -u - UNIX-CONNECT:{}", env.arg("log.sock"));
    assert!(env.command("bash").args(["-c", &line]).status().unwrap().success());
    wait_until("its line is there", SOON, || read_text(env.path("f")).lines().any(|l| l == "hello").then_some(()));
    env.down("c");
}

#[test]
fn a_socket_on_the_jump_host_says_where_to_send_from() {
    require!("sshd", "bash", "nc", "socat", "python3", "logger");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (config, socket, out) = (env.arg("ssh_config"), env.arg("log.sock"), env.arg("f"));
    let profile = format!(
        "target: jump\nssh: {{config: {config}}}\nstreams:\n  main:\n    remote_socket: {socket}\n    out: {out}\n"
    );
    env.write("config/profiles/c.yaml", profile);
    env.started(env.run(&["up", "c", "--json"]));
    for sender in ["nc", "socat", "python", "logger"] {
        env.run(&["how", "c", "--sender", sender]).ok().says("run this on 127.0.0.1");
        paste(&env, sender);
    }
    env.down("c");
}

#[test]
fn a_port_on_loopback_says_where_to_send_from() {
    require!("sshd", "bash");
    for (lines, bind) in [(&[][..], "127.0.0.1"), (&["GatewayPorts no"], "*")] {
        let (env, sshd) = (Env::new(), Sshd::with_lines(lines));
        env.trust(&sshd);
        let args = ["--remote-port", "0", "--bind", bind, "--out", &env.arg("f"), "--name", "c"];
        let up = env.up_run(&args).ok();
        env.expect(env.processes()[0]);
        let send = up.stdout.lines().find(|line| line.contains("send ")).unwrap();
        assert!(send.contains("/dev/tcp/127.0.0.1/"), "{send}");
        assert!(send.ends_with("   (run this on 127.0.0.1)"), "{send}");
        let how = env.run(&["how", "c"]).ok().says("run this on 127.0.0.1");
        assert!(how.stdout.contains("/dev/tcp/127.0.0.1/"), "{}", how.stdout);
        run(&env, "bash");
        env.down("c");
    }
}

#[test]
fn udp_is_for_streams_that_take_it() {
    let env = Env::new();
    env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    env.run(&["how", "c", "--udp"]).fails(2).says("takes no UDP").hinted();
    env.down("c");
    env.started(env.run(&["listen", "udp:0", "--out", &env.arg("f"), "--name", "c", "--json"]));
    assert!(snippet(&env, "bash").contains("/dev/udp/localhost/"));
    assert_eq!(env.run(&["how", "--udp"]).ok().stdout, env.run(&["how"]).ok().stdout);
    env.down("c");
}

#[test]
fn bash_is_the_sender_unless_told() {
    let env = Env::new();
    env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    assert_eq!(env.run(&["how"]).ok().stdout, snippet(&env, "bash"));
    assert_eq!(env.run(&["how", "c/main"]).ok().stdout, snippet(&env, "bash"));
    env.run(&["how", "nobody"]).fails(3).says("nobody");
    env.run(&["how", "c", "--sender", "pigeon"]).fails(2);
}

#[test]
fn a_stream_of_relp_with_a_keyword_is_for_send() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = Env::new();
    let word = env.write("reclog.keyword", "sesame\n");
    std::fs::set_permissions(&word, std::fs::Permissions::from_mode(0o600)).unwrap();
    let args = ["--out", &env.arg("f"), "--name", "c", "--framing", "relp", "--keyword-file", word.to_str().unwrap()];
    let up = env.listen(&args);
    env.run(&["how", "c", "--sender", "rsyslog"]).fails(2).hinted().says("reclog send HOST:PORT --ack");
    let line = env.run(&["how", "c"]).ok().says("holds the keyword").stdout;
    let end = format!(":{}\" --ack --keyword-file reclog.keyword\n", up.port());
    assert!(line.contains(" | reclog send \"") && line.ends_with(&end), "{line}");
    // As it stands, but for where the program and the file are.
    let line = line.replace("reclog send", &format!("{} send", env!("CARGO_BIN_EXE_reclog")));
    let run = env.command("sh").args(["-c", &line]).current_dir(word.parent().unwrap()).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    env.down("c");
    assert!(read_text(env.path("f")).starts_with("hello from "));
}

#[test]
fn a_stream_of_relp_is_for_rsyslog() {
    require!("rsyslogd", "logger", "omrelp.so");
    let env = Env::new();
    let up = env.run(&["listen", "127.0.0.1:0", "--out", &env.arg("f"), "--name", "c", "--framing", "relp"]).ok();
    env.expect(env.processes()[0]);
    assert!(
        up.stdout.contains("\n  send   reclog how c   (RELP: rsyslog and `reclog send --ack` speak it)\n"),
        "{up:?}"
    );
    paste_into_rsyslog(&env);
    env.run(&["how", "c", "--sender", "nc"]).fails(2).hinted().says("RELP");
    assert!(env.run(&["how", "c"]).ok().stdout.contains("omrelp"));
    env.run(&["down", "c", "--now"]).ok();
}

//! A first connection that cannot be made ends `up` at once; with `--keep-trying` it is tried on, in plain sight, until it
//! is up, refused for good, or nobody wants it any more.

mod common;

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use common::login::{locked_key, started_at, up_to};
use common::{Bg, Env, SOON, Sshd, Term, free_port, read, send, wait_until};
use rustix::process::Signal;

/// `up --keep-trying` of a collector `c` on `jump`, writing to `f`.
fn trying(env: &Env, more: &[&str]) -> Bg {
    let out = env.arg("f");
    let usual = ["--remote-port", "0", "--out", &out, "--name", "c", "--keep-trying"];
    let args = env.to_jump(&["up", "jump"], &[&usual[..], more].concat());
    env.spawn(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The collector that an `up` is still waiting for belongs to the test.
fn adopt(env: &Env) {
    env.processes().iter().for_each(|pid| env.expect(*pid));
}

/// A jump host that is away, and the environment that knows it.
fn away() -> (Env, Sshd) {
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    sshd.stop();
    (env, sshd)
}

#[test]
fn without_it_a_first_connection_that_fails_is_the_end() {
    require!("sshd");
    let (env, _sshd) = away();
    env.up_run(&["--remote-port", "0", "--out", &env.arg("f")]).fails(1).says("cannot connect to 127.0.0.1");
    env.assert_nothing_left();
    assert!(!env.path("f").exists());
}

#[test]
fn a_jump_host_that_is_away_at_first_is_waited_for() {
    require!("sshd");
    for more in [&[][..], &["--foreground"]] {
        let (env, sshd) = away();
        let mut up = trying(&env, &[&["--json"], more].concat());
        up.wait_stdout("not-yet");
        adopt(&env);
        let waiting = env.wait_state("c", "waiting");
        assert!(waiting["health"].to_string().contains("cannot connect to 127.0.0.1"), "{waiting}");
        assert!(up.running(), "{}", up.stderr());
        sshd.start_again();
        up.wait_stdout("\"event\":\"up\"");
        let port = env.wait_state("c", "up")["streams"][0]["remote_port"].as_u64().unwrap();
        assert_eq!(env.snapshot("c")["reconnects"], 0, "the first connection is none that came back");
        send(u16::try_from(port).unwrap(), "x\n");
        let foreground = !more.is_empty();
        let events = if foreground {
            env.down("c");
            up.wait().ok().events()
        } else {
            let events = up.wait().ok().events();
            env.down("c");
            events
        };
        let not_yet: Vec<_> = events.iter().filter(|e| e["event"] == "not-yet").collect();
        assert_eq!(not_yet[0]["kind"], "failed");
        assert!(not_yet[0]["message"].as_str().is_some_and(|m| m.contains("127.0.0.1")), "{not_yet:?}");
        assert!(not_yet[0]["hint"].is_string() && not_yet[0]["again_in_ms"].is_u64(), "{not_yet:?}");
        assert!((1u64..).zip(&not_yet).all(|(n, e)| e["attempts"] == n), "{not_yet:?}");
        assert_eq!(read(env.path("f")), b"x\n");
        env.assert_nothing_left();
    }
}

#[test]
fn a_person_sees_why_not_and_when_it_is_tried_again() {
    require!("sshd");
    let (env, _sshd) = away();
    let up = trying(&env, &[]);
    let line = wait_until("up says that it is not yet", SOON, || {
        up.stderr().lines().find(|l| l.contains("not yet: ")).map(str::to_owned)
    });
    adopt(&env);
    assert!(line.contains("cannot connect to 127.0.0.1") && line.contains("(Ctrl-C ends it)"), "{line:?}");
    assert!(regex::Regex::new("trying again in [0-9]+ s").unwrap().is_match(&line), "{line:?}");
    up.signal(Signal::INT);
    assert_eq!(up.wait_for(SOON).status.code(), Some(130));
    env.assert_nothing_left();
    assert!(!env.path("f").exists());
}

#[test]
fn ctrl_c_in_the_foreground_and_down_from_elsewhere_end_it() {
    require!("sshd");
    for foreground in [false, true] {
        for down in [false, true] {
            let (env, _sshd) = away();
            let mut up = trying(&env, if foreground { &["--json", "-f"] } else { &["--json"] });
            up.wait_stdout("not-yet");
            adopt(&env);
            if down {
                env.spawn(&["down", "c", "--json"]).wait_for(Duration::from_secs(5)).ok();
            } else {
                up.signal(Signal::INT);
            }
            let up = up.wait_for(Duration::from_secs(5));
            assert_eq!(up.status.code(), Some(130), "{up:?}");
            assert_eq!(up.last_event()["kind"], "interrupted", "{up:?}");
            env.assert_nothing_left();
            assert!(!env.path("f").exists());
        }
    }
}

#[test]
fn a_kick_ends_the_wait_for_the_first_connection() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    // Something listens and is no SSH server: nothing to knock for.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    env.trust(&sshd);
    let config = std::fs::read_to_string(env.path("ssh_config")).unwrap();
    let moved = config.replace(&format!("Port {}", sshd.port), &format!("Port {}", deaf.local_addr().unwrap().port()));
    env.write("ssh_config", moved + "  ConnectTimeout 1\n");
    let mut up = trying(&env, &["--json"]);
    let attempts = |n: usize, up: &mut Bg| up.wait_stdout(&format!("\"attempts\":{n}"));
    // By now the pause is 4 s at least.
    attempts(4, &mut up);
    adopt(&env);
    let kicked = std::time::Instant::now();
    env.run(&["kick", "c"]).ok();
    attempts(5, &mut up);
    assert!(kicked.elapsed() < Duration::from_millis(3500), "{:?}", kicked.elapsed());
    env.run(&["down", "c"]).ok();
    assert_eq!(up.wait_for(SOON).status.code(), Some(130));
}

#[test]
fn a_refused_login_and_an_unknown_host_key_fail_at_once_all_the_same() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let stranger = env.path("stranger");
    common::keygen(&stranger, "ed25519");
    let trusted = std::fs::read_to_string(env.path("ssh_config")).unwrap();
    let key = sshd.user_key("ed25519");
    env.write("ssh_config", trusted.replace(key.to_str().unwrap(), stranger.to_str().unwrap()));
    trying(&env, &[]).wait_for(SOON).fails(4).says("refused the key");
    env.write("ssh_config", trusted);
    env.write("known_hosts", "");
    trying(&env, &[]).wait_for(SOON).fails(5).says("not known");
    env.assert_nothing_left();
}

#[test]
fn a_port_that_is_taken_is_waited_for_and_nobody_is_asked_twice() {
    require!("sshd", "ssh-keygen", "setsid");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = locked_key(&sshd, "ed25519", "correct horse");
    let port = free_port();
    let holder = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let port = port.to_string();
    let mut up = up_to(&env, &sshd, &["-i", key.to_str().unwrap()]);
    let mut args: Vec<_> = up.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
    let zero = args.iter().position(|a| a == "--remote-port").unwrap() + 1;
    args[zero].clone_from(&port);
    args.push("--keep-trying".into());
    up = env.reclog(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let mut term = Term::start(&up);
    term.answers("Enter passphrase for key", "correct horse");
    for _ in 0..3 {
        term.shows("trying again in");
    }
    drop(holder);
    let (_, screen) = started_at(&env, term);
    assert_eq!(screen.matches("Enter passphrase").count(), 1, "{screen}");
    assert!(TcpStream::connect(("127.0.0.1", port.parse().unwrap())).is_ok());
    env.down("c");
    env.assert_nothing_left();
}

//! `down`, `down --now` and signals, in every state a collector can be in: it ends, soon, and nothing is left.

mod common;

use std::net::TcpListener;
use std::time::Duration;

use common::snapshot::{assert_settled, number};
use common::{Bg, Env, SOON, Sender, Sshd, accept, free_port, listening, procs, read, send, wait_until};
use rustix::process::Signal;

/// An end that waits for nobody takes less.
const AT_ONCE: Duration = Duration::from_secs(8);

/// How somebody ends a collector.
#[derive(Debug, Clone, Copy)]
enum Way {
    Down,
    Now,
    Twice,
    Term,
    TermThenDown,
}

const WAYS: [Way; 5] = [Way::Down, Way::Now, Way::Twice, Way::Term, Way::TermThenDown];

fn down(env: &Env, more: &[&str]) -> Bg {
    env.spawn(&[&["down", "c", "--json"], more].concat())
}

/// Ends the collector `c` of `pid`, and expects that `down` ends with `code`. Returns what it told, if there was a `down`
/// that must be answered.
#[track_caller]
fn end(env: &Env, pid: u32, way: Way, code: i32) -> Option<serde_json::Value> {
    let ended = |down: Bg| {
        let run = down.wait_for(AT_ONCE);
        assert_eq!(run.status.code(), Some(code), "{way:?}: {run:?}");
        run
    };
    let told = match way {
        Way::Down => Some(ended(down(env, &[])).last_event()),
        Way::Now => Some(ended(down(env, &["--now"])).last_event()),
        Way::Twice => {
            let both = [down(env, &[]), down(env, &[])];
            let told: Vec<_> = both.into_iter().flat_map(|d| ended(d).events()).collect();
            // The second one may come when it is over.
            assert!(told.iter().all(|t| t["streams"] == told[0]["streams"]), "{told:?}");
            told.into_iter().next()
        }
        Way::Term => {
            procs::signal(pid, Signal::TERM);
            None
        }
        Way::TermThenDown => {
            procs::signal(pid, Signal::TERM);
            let run = down(env, &[]).wait_for(AT_ONCE);
            assert!([0, code].map(Some).contains(&run.status.code()), "{run:?}");
            None
        }
    };
    wait_until(&format!("{way:?} ends it"), AT_ONCE, || (!procs::alive(pid)).then_some(()));
    env.assert_nothing_left();
    told
}

/// A collector that is up on a real jump host, with one record stored.
fn is_up(more: &[&str]) -> (Env, Sshd, u32, u16) {
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (port, out) = (free_port(), env.arg("f"));
    let usual = ["--remote-port", &port.to_string(), "--out", &out, "--name", "c"];
    let up = env.up(&[&usual[..], more].concat());
    send(port, "before\n");
    env.wait_stored("c", 7);
    (env, sshd, up.pid, port)
}

/// What was there before is there, and is what was told.
#[track_caller]
fn assert_kept(env: &Env, told: Option<serde_json::Value>) {
    assert_eq!(read(env.path("f")), b"before\n");
    if let Some(told) = told {
        assert_settled(&told["streams"][0], &env.path("f"));
    }
}

#[test]
fn while_the_first_connection_is_being_made() {
    for way in WAYS {
        let env = Env::new();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port().to_string();
        let (no_config, out) = (env.arg("work/no_config"), env.arg("f"));
        let to = ["up", "someone@127.0.0.1", "-p", &port, "-F", &no_config];
        let up = env.spawn(&[&to[..], &["--remote-port", "0", "--out", &out, "--name", "c"]].concat());
        let _open = accept(&silent);
        let pid = u32::try_from(number(&env.wait_state("c", "connecting")["pid"])).unwrap();
        env.expect(pid);
        end_with_up(&env, pid, way, up);
    }
}

#[test]
fn while_the_first_connection_is_waited_for() {
    for way in WAYS {
        let env = Env::new();
        let (port, no_config, out) = (free_port().to_string(), env.arg("work/no_config"), env.arg("f"));
        let to = ["up", "someone@127.0.0.1", "-p", &port, "-F", &no_config, "--keep-trying"];
        let up = env.spawn(&[&to[..], &["--remote-port", "0", "--out", &out, "--name", "c"]].concat());
        let pid = u32::try_from(number(&env.wait_state("c", "waiting")["pid"])).unwrap();
        env.expect(pid);
        end_with_up(&env, pid, way, up);
    }
}

/// Ends a collector that never was up, and the `up` that waits for it with it.
#[track_caller]
fn end_with_up(env: &Env, pid: u32, way: Way, up: Bg) {
    // The process of `up` is one of reclog's, too.
    let ended = std::thread::scope(|scope| {
        let up = scope.spawn(|| up.wait_for(SOON));
        end(env, pid, way, 0);
        up.join().expect("up ends")
    });
    assert_eq!(ended.status.code(), Some(130), "{way:?}: {ended:?}");
    assert!(!env.path("f").exists(), "a file that nothing was written to is left");
}

#[test]
fn while_it_is_up() {
    require!("sshd");
    for way in WAYS {
        let (env, _sshd, pid, port) = is_up(&[]);
        let told = end(&env, pid, way, 0);
        assert!(!listening(port), "{way:?}: the port is closed");
        assert_kept(&env, told);
    }
}

#[test]
fn while_it_waits_for_the_jump_host() {
    require!("sshd");
    for way in WAYS {
        let (env, sshd, pid, _) = is_up(&[]);
        sshd.stop();
        env.wait_state("c", "waiting");
        let told = end(&env, pid, way, 0);
        assert_kept(&env, told);
    }
}

#[test]
fn while_it_connects_again() {
    require!("sshd");
    for way in WAYS {
        let (env, sshd, pid, port) = is_up(&[]);
        let sessions = sshd.sessions();
        // The kernel takes the connection, and nobody says a word.
        let frozen = sshd.freeze();
        for pid in &sessions {
            procs::kill(*pid);
        }
        env.wait_state("c", "connecting");
        let told = end(&env, pid, way, 0);
        drop(frozen);
        assert_kept(&env, told);
        wait_until("the port is closed", SOON, || (!listening(port)).then_some(()));
    }
}

#[test]
fn when_it_gave_up() {
    require!("sshd");
    for way in WAYS {
        let (env, sshd, pid, _) = is_up(&[]);
        sshd.stop();
        sshd.replace_host_key("ed25519");
        sshd.start_again();
        let failed = env.wait_state("c", "failed");
        assert!(failed["health"].to_string().contains("ssh-keygen"), "it says what to do: {failed}");
        let told = end(&env, pid, way, 0);
        assert_kept(&env, told);
    }
}

#[test]
fn while_it_stalls() {
    require!("sshd");
    for way in WAYS {
        let (env, sshd) = (Env::new(), Sshd::start());
        env.trust(&sshd);
        let (port, out) = (free_port(), env.arg("f"));
        let port_text = port.to_string();
        let up = ["--remote-port", &port_text, "--out", &out, "--name", "c", "--drain-timeout", "1s", "--json"];
        let args = env.to_jump(&["up", "jump"], &up);
        // No file of it may grow beyond 64 KiB.
        let mut limited = env.command("sh");
        limited.args(["-c", "ulimit -f 128; exec \"$@\"", "sh"]).arg(common::env::binary()).args(args);
        let up = env.started(Bg::spawn(limited).wait());
        let mut sender = Sender::open(port);
        sender.write("x".repeat(99).as_bytes().iter().copied().chain([b'\n']).collect::<Vec<_>>().repeat(2000));
        env.wait_state("c", "stalled");
        env.wait_received("c", 200_000);
        let told = end(&env, up.pid, way, 1);
        assert!(!listening(port));
        let stored = read(env.path("f"));
        assert_eq!(stored.len(), 128 * 512, "{way:?}: what fits is there");
        if let Some(told) = told {
            assert_eq!(number(&told["lost"]), 200_000 - 128 * 512, "{way:?}: {told}");
        }
    }
}

/// A collector that drains and has ten minutes for it, for one sender that is in; and the `down` that waits.
fn drains() -> (Env, Sshd, u32, Sender, Bg) {
    let (env, sshd, pid, port) = is_up(&["--drain-timeout", "10min"]);
    let mut sender = Sender::open(port);
    sender.write("last");
    env.wait_received("c", 11);
    let first = down(&env, &[]);
    env.wait_state("c", "draining");
    (env, sshd, pid, sender, first)
}

#[test]
fn a_second_down_waits_with_the_first() {
    require!("sshd");
    let (env, _sshd, _, sender, mut first) = drains();
    let second = down(&env, &[]);
    env.run(&["kick", "c"]).fails(1).says("going down");
    assert!(first.running());
    sender.finish();
    let told = [first, second].map(|d| d.wait_for(AT_ONCE).ok().last_event());
    assert_eq!(told[0], told[1]);
    assert_eq!(read(env.path("f")), b"before\nlast\n");
    env.assert_nothing_left();
}

#[test]
fn down_now_ends_a_drain_at_once_for_everybody() {
    require!("sshd");
    let (env, _sshd, _, mut sender, first) = drains();
    let second = down(&env, &["--now"]);
    let told = [first, second].map(|d| d.wait_for(AT_ONCE).ok().last_event());
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0]["streams"][0]["senders"]["cut"], 1);
    assert!(sender.wait_closed());
    assert_eq!(read(env.path("f")), b"before\nlast\n");
    env.assert_nothing_left();
}

#[test]
fn one_signal_joins_a_drain_and_a_second_one_ends_it() {
    require!("sshd");
    for patient in [true, false] {
        let (env, _sshd, pid, sender, mut first) = drains();
        procs::signal(pid, Signal::TERM);
        // Whatever the signal does is done when this is answered.
        env.run(&["kick", "c"]).fails(1).says("going down");
        assert!(first.running(), "a machine that is shut down sends one, too");
        if patient {
            sender.finish();
            first.wait_for(AT_ONCE).ok();
            assert_eq!(read(env.path("f")), b"before\nlast\n");
        } else {
            procs::signal(pid, Signal::TERM);
            first.wait_for(AT_ONCE).fails(1).says("without its totals");
            assert!(read(env.path("f")).starts_with(b"before\n"));
        }
        env.assert_nothing_left();
    }
}

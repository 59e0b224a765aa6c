//! `--foreground`: one process, ended by a signal, with the same care as `down`.

mod common;

use common::{Bg, Env, SOON, Sender, Sshd, free_port, listening, read, send, wait_until};
use rustix::process::Signal;

/// A foreground collector `c` that is up, and its port.
fn foreground(env: &Env, more: &[&str]) -> (Bg, u16) {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let out = env.arg("f");
    let args = [&["listen", &address, "--foreground", "--out", &out, "--name", "c"], more].concat();
    let mut bg = env.spawn(&args);
    bg.wait_stdout("reclog down c");
    (bg, port)
}

#[test]
fn an_interrupt_in_the_foreground_drains_and_ends_with_zero() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let port = free_port();
    let args = env.to_jump(&["up", "jump", "-f"], &["--remote-port", &port.to_string(), "--out", "f.log"]);
    let mut bg = env.spawn(&args.iter().map(String::as_str).collect::<Vec<_>>());
    bg.wait_stdout("reclog down jump");
    assert_eq!(env.processes(), [bg.pid()], "--foreground is one process");
    send(port, "one\n");
    let mut open = Sender::open(port);
    open.write("two\nthr");
    env.wait_received("jump", 11);

    bg.signal(Signal::INT);
    wait_until("new senders are refused", SOON, || (!listening(port)).then_some(()));
    assert!(bg.running(), "an open sender may finish");
    open.write("ee\n");
    open.finish();
    bg.wait().ok();
    assert_eq!(read(env.path("work/f.log")), b"one\ntwo\nthree\n");
    env.assert_nothing_left();
}

#[test]
fn sigterm_in_the_foreground_is_a_drain_too() {
    let env = Env::new();
    let (bg, port) = foreground(&env, &[]);
    send(port, "x\n");
    bg.signal(Signal::TERM);
    bg.wait().ok();
    assert_eq!(read(env.path("f")), b"x\n");
    assert!(!listening(port));
    env.assert_nothing_left();
}

#[test]
fn sigterm_to_the_background_process_is_a_drain_too() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    send(collector.port(), "x\n");
    common::procs::signal(collector.pid, Signal::TERM);
    env.assert_nothing_left();
    assert_eq!(read(env.path("f")), b"x\n");
}

#[test]
fn a_second_signal_ends_at_once() {
    let env = Env::new();
    let (bg, port) = foreground(&env, &["--drain-timeout", "10min"]);
    let mut open = Sender::open(port);
    open.write("whole\n");
    env.wait_stored("c", 6);
    bg.signal(Signal::INT);
    env.wait_state("c", "draining");
    bg.signal(Signal::INT);
    bg.wait_for(SOON);
    assert!(open.wait_closed());
    assert!(read(env.path("f")).starts_with(b"whole\n"));
    env.assert_nothing_left();
}

#[test]
fn down_ends_a_foreground_collector() {
    let env = Env::new();
    let (bg, port) = foreground(&env, &[]);
    send(port, "x\n");
    env.down("c");
    bg.wait().ok();
    assert_eq!(read(env.path("f")), b"x\n");
    env.assert_nothing_left();
}

/// A tmux server of the test's own, with one window that runs a shell line. `Drop` ends it.
struct Terminal<'a>(&'a Env);

impl Terminal<'_> {
    #[track_caller]
    fn tmux(&self, args: &[&str]) {
        let mut tmux = self.0.command("tmux");
        let output = tmux.arg("-S").arg(self.0.path("tmux")).args(["-f", "/dev/null"]).args(args).output().unwrap();
        assert!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        let mut tmux = self.0.command("tmux");
        let _ = tmux.arg("-S").arg(self.0.path("tmux")).arg("kill-server").output();
    }
}

#[test]
fn ctrl_c_at_a_terminal_reaches_it_once() {
    require!("tmux");
    let env = Env::new();
    let (port, out, code) = (free_port(), env.arg("f"), env.arg("code"));
    let reclog = common::env::binary();
    // The shell is in the foreground, too: with a trap it outlives the signal and tells the exit code.
    let line = format!(
        "trap : INT; '{}' listen 127.0.0.1:{port} --foreground --drain-timeout 10min --out {out} --name c; echo $? > {code}; cat",
        reclog.display()
    );
    let terminal = Terminal(&env);
    terminal.tmux(&["new-session", "-d", "-x", "150", "-y", "30", "sh", "-c", &line]);
    let pid = wait_until("the collector listens", SOON, || {
        listening(port).then(|| env.processes().first().copied()).flatten()
    });
    env.expect(pid);
    let mut open = Sender::open(port);
    open.write("hal");
    env.wait_received("c", 3);
    terminal.tmux(&["send-keys", "C-c"]);
    env.wait_state("c", "draining");
    open.write("f\n");
    open.finish();
    common::wait_for_text(&code, "0\n");
    assert_eq!(read(out), b"half\n", "one Ctrl-C is one signal: the open sender may finish");
    env.assert_nothing_left();
}

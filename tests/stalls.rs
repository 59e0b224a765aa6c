//! A server that stops, or never stops, in any phase: `up` ends in time, names the phase, and has cost no memory.

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use common::{Bg, Env, Hostile, LATER, Run, Sshd, free_port};

/// `up` on `127.0.0.1:port`, to its end, and the most memory that it ever had, in KiB.
#[track_caller]
fn ended(env: &Env, mut up: Bg) -> (Run, u64) {
    let mut most = 0;
    common::wait_until("`up` ends", LATER, || {
        for pid in env.processes() {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB");
            most = most.max(line.trim().trim_end_matches(" kB").parse().unwrap_or(0));
        }
        (!up.running()).then_some(())
    });
    let run = up.wait();
    env.assert_nothing_left();
    assert!(!env.path("out").exists(), "a file that nothing was written to is left");
    (run, most)
}

/// What a server does with a connection.
type Manners = fn(TcpStream);

/// `up` with `ConnectTimeout 1` on a server of these manners.
#[track_caller]
fn up_on(manners: Manners) -> (Run, u64) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|stream| drop(std::thread::spawn(move || manners(stream))));
    });
    up_to(&port)
}

#[track_caller]
fn up_to(port: &str) -> (Run, u64) {
    let env = Env::new();
    let (config, out) = (env.arg("work/no_config"), env.arg("out"));
    let known = format!("UserKnownHostsFile={}", env.write("known_hosts", "").display());
    let to = ["up", "someone@127.0.0.1", "-p", port, "-F", &config, "-o", "ConnectTimeout=1", "-o", &known];
    let up = env.spawn(&[&to[..], &["--remote-port", "0", "--out", &out, "--name", "c"]].concat());
    ended(&env, up)
}

/// Whoever waits for ever.
fn hold(mut stream: TcpStream) {
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

#[test]
fn silence_before_the_banner_and_a_banner_that_drips_are_named() {
    let drip: Manners = |mut stream| {
        for byte in b"SSH-2.0-slow".iter().cycle() {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    for manners in [hold as Manners, drip] {
        let (run, _) = up_on(manners);
        run.fails(1).hinted().says("within 1 s (phase: banner)");
    }
}

#[test]
fn megabytes_before_the_banner_end_at_once_and_cost_no_memory() {
    let lines: Manners = |mut stream| while stream.write_all("words, words\r\n".repeat(1000).as_bytes()).is_ok() {};
    let line: Manners = |mut stream| while stream.write_all(&[b'x'; 16_000]).is_ok() {};
    let name: Manners = |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-");
        while stream.write_all(&[b'x'; 16_000]).is_ok() {}
    };
    let nothing: Manners = |mut stream| while stream.write_all(&[0; 16_000]).is_ok() {};
    for manners in [lines, line, name, nothing] {
        let (run, most) = up_on(manners);
        // At once: nobody has waited for the end of the deadline.
        assert!(!run.stderr.contains("within 1 s"), "{}", run.stderr);
        run.fails(1).hinted().says("127.0.0.1");
        assert!(most < 100 * 1024, "{most} KiB");
    }
}

#[test]
fn silence_in_the_key_exchange_is_named_wherever_it_begins() {
    require!("sshd");
    let after_the_banner: Manners = |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-silent\r\n");
        hold(stream);
    };
    let (run, _) = up_on(after_the_banner);
    run.fails(1).hinted().says("within 1 s (phase: key exchange)");

    // A real server behind somebody who lets its first packets through: KEXINIT, then the keys but for NEWKEYS.
    let sshd = Sshd::start();
    for packets in [1, 2] {
        let (listener, port) = (TcpListener::bind("127.0.0.1:0").unwrap(), sshd.port);
        let front = listener.local_addr().unwrap().port().to_string();
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let mut byte = [0];
            while byte != *b"\n" && server.read_exact(&mut byte).is_ok() {
                client.write_all(&byte).unwrap();
            }
            for _ in 0..packets {
                let mut length = [0; 4];
                server.read_exact(&mut length).unwrap();
                let mut rest = vec![0; u32::from_be_bytes(length) as usize];
                server.read_exact(&mut rest).unwrap();
                client.write_all(&[&length[..], &rest].concat()).unwrap();
            }
            hold(client);
            drop(server);
        });
        let env = Env::new();
        let known = sshd.known_hosts().replace(&sshd.port.to_string(), &front);
        let known = format!("UserKnownHostsFile={}", env.write("known_hosts", known).display());
        let (config, out) = (env.arg("work/no_config"), env.arg("out"));
        let to = ["up", "someone@127.0.0.1", "-p", &front, "-F", &config, "-o", "ConnectTimeout=1", "-o", &known];
        let up = env.spawn(&[&to[..], &["--remote-port", "0", "--out", &out, "--name", "c"]].concat());
        let (run, _) = ended(&env, up);
        run.fails(1).hinted().says("within 1 s (phase: key exchange)");
    }
}

#[test]
fn a_key_exchange_that_is_talked_through_for_ever_is_named_and_costs_no_memory() {
    let ignore: Manners = |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-talker\r\n");
        // SSH_MSG_IGNORE with an empty string (RFC 4253, sections 6 and 11.2), a thousand at a time.
        let packet = [0, 0, 0, 12, 6, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        while stream.write_all(&packet.repeat(1000)).is_ok() {}
    };
    let (run, most) = up_on(ignore);
    run.fails(1).hinted().says("within 1 s (phase: key exchange)");
    assert!(most < 100 * 1024, "{most} KiB");
}

#[test]
fn a_packet_of_gigabytes_is_not_waited_for() {
    let huge: Manners = |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-huge\r\n\xff\xff\xff\xf0\x06\x14");
        while stream.write_all(&[0; 16_000]).is_ok() {}
    };
    let (run, most) = up_on(huge);
    assert!(!run.stderr.contains("within 1 s"), "{}", run.stderr);
    run.fails(1).says("127.0.0.1");
    assert!(most < 100 * 1024, "{most} KiB");
}

/// Login and forward have 10 s each, whatever ConnectTimeout says: all of them at once.
#[test]
fn a_server_that_stops_or_never_stops_talking_in_the_login_or_after_the_request_is_named() {
    let one = |stall: &str, phase: &str| {
        let Some(server) = Hostile::start("a_server_that_stops", stall) else { return };
        let env = Env::new();
        server.trusted_by(&env);
        let args = env.to_jump(&["up", "jump"], &["--remote-port", &free_port().to_string(), "--out", &env.arg("out")]);
        let up = env.spawn(&args.iter().map(String::as_str).collect::<Vec<_>>());
        let (run, most) = ended(&env, up);
        assert!(run.stderr.len() < 500_000, "{stall}: {} bytes of talk", run.stderr.len());
        assert!(!run.stderr.contains('\x1b'), "{stall}: escapes reach the terminal");
        // The words themselves do.
        assert_eq!(run.stderr.contains("| \\x1b[31mwait"), stall == "banners", "{stall}: {}", run.stderr);
        run.fails(1).says(format!("(phase: {phase})"));
        assert!(most < 100 * 1024, "{stall}: {most} KiB");
    };
    std::thread::scope(|scope| {
        let stalls = [
            ("auth", "authentication"),
            ("ignore", "authentication"),
            ("banners", "authentication"),
            ("forward", "forward"),
        ];
        let all = stalls.map(|(stall, phase)| scope.spawn(move || one(stall, phase)));
        for test in all {
            test.join().expect("the test of one phase");
        }
    });
}

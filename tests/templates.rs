//! Outputs whose names are made of the sender and the time: many files, one writer, one ledger.

mod common;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::senders::{check_order, numbered};
use common::snapshot::{assert_balanced, number};
use common::{Env, SOON, procs, read_text, wait_for_text, wait_until};
use serde_json::{Value, json};

/// A connection from `127.0.x.y` to `port` here.
fn from(x: u8, y: u8, port: u16) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, x, y)), 0)).unwrap();
    connect(&socket, &SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)).unwrap();
    socket.into()
}

fn send_from(x: u8, y: u8, port: u16, text: &str) {
    from(x, y, port).write_all(text.as_bytes()).unwrap();
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// What must hold after `down`, with these files: every byte stored, forced to the disk and in one of them.
#[track_caller]
fn assert_all_there(stream: &Value, files: &[PathBuf]) {
    assert_balanced(stream);
    let ledger = &stream["ledger"];
    assert_eq!((&ledger["pending"], &ledger["synced"]), (&json!(0), &ledger["stored"]), "{ledger}");
    let size: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!(
        size,
        number(&ledger["stored"]) + number(&ledger["added"]),
        "the files and the ledger disagree: {ledger}"
    );
}

/// A folder for the files of a test.
fn logs(env: &Env) -> PathBuf {
    let logs = env.path("logs");
    std::fs::create_dir(&logs).unwrap();
    logs
}

#[test]
fn each_sender_has_a_file_of_its_own_by_address_and_day() {
    let env = Env::new();
    let logs = logs(&env);
    let out = env.arg("logs/{peer_ip}/{stream}/{date}.log");
    let collector = env.listen(&["--out", &out, "--name", "c"]);
    assert_eq!(files(&logs), Vec::<PathBuf>::new(), "nothing is made before it is needed");
    // Midnight may pass while this runs.
    let mut senders = [from(0, 1, collector.port()), from(0, 2, collector.port())];
    let mut sent = 0;
    for n in 0..200 {
        for (s, sender) in senders.iter_mut().enumerate() {
            sender.write_all(numbered(s, n).as_bytes()).unwrap();
            sent += numbered(s, n).len() as u64;
        }
    }
    drop(senders);
    env.wait_stored("c", sent);
    let output = env.stream("c")["outputs"][0].clone();
    assert_eq!((&output["path"], number(&output["bytes"])), (&json!(out), sent), "the sum of all that are open");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    let all = files(&logs);
    assert_all_there(&down["streams"][0], &all);
    for (s, ip) in ["127.0.0.1", "127.0.0.2"].into_iter().enumerate() {
        let ours: Vec<_> = all.iter().filter(|file| file.starts_with(logs.join(ip).join("main"))).collect();
        let text: String = ours.iter().map(read_text).collect();
        assert_eq!(text, (0..200).map(|n| numbered(s, n)).collect::<String>(), "{ip}");
        for file in ours {
            let name = file.file_name().unwrap().to_str().unwrap();
            let is_day = name.strip_suffix(".log").is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok());
            assert!(is_day, "{name}");
            assert_eq!((mode(file), mode(file.parent().unwrap()), mode(&logs.join(ip))), (0o600, 0o700, 0o700));
        }
    }
    env.assert_nothing_left();
}

#[test]
fn a_link_planted_below_the_fixed_part_is_never_followed() {
    let env = Env::new();
    let logs = logs(&env);
    let elsewhere = env.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("x.log"), "mine\n").unwrap();
    symlink(&elsewhere, logs.join("127.0.0.1")).unwrap();
    std::fs::create_dir(logs.join("127.0.0.2")).unwrap();
    symlink(elsewhere.join("x.log"), logs.join("127.0.0.2/x.log")).unwrap();
    let collector = env.listen(&["--out", &env.arg("logs/{peer_ip}/x.log"), "--name", "c"]);
    for (y, link) in [(1, logs.join("127.0.0.1")), (2, logs.join("127.0.0.2/x.log"))] {
        send_from(0, y, collector.port(), "here\n");
        let told = env.wait_state("c", "stalled");
        let said = told["health"][0].as_str().unwrap_or_default();
        assert!(said.contains("a symbolic link") && said.contains(link.to_str().unwrap()), "{told}");
        assert_eq!(files(&elsewhere).len(), 1);
        assert_eq!(read_text(elsewhere.join("x.log")), "mine\n", "written to through a link");
        std::fs::remove_file(&link).unwrap();
        env.wait_state("c", "up");
        wait_for_text(logs.join(format!("127.0.0.{y}/x.log")), "here\n");
    }
    env.down("c");
    let audit = env.run(&["audit", "c", "--event", "stall"]).ok();
    audit.prints(logs.join("127.0.0.1/x.log").to_str().unwrap());
    assert_eq!(read_text(elsewhere.join("x.log")), "mine\n");
}

#[test]
fn more_senders_than_files_may_be_open_lose_and_double_nothing() {
    const ADDRESSES: usize = 300;
    let env = Env::new();
    let logs = logs(&env);
    let collector = env.listen(&["--out", &env.arg("logs/{peer_ip}.log"), "--name", "c", "--sync", "never"]);
    let at = |s: usize| (u8::try_from(1 + s / 100).unwrap(), u8::try_from(1 + s % 100).unwrap());
    let mut sent = 0;
    // Twice, so that each file is opened again.
    for half in 0..2 {
        for s in 0..ADDRESSES {
            let text: String = (half * 5..half * 5 + 5).map(|n| numbered(s, n)).collect();
            let (x, y) = at(s);
            send_from(x, y, collector.port(), &text);
            sent += text.len() as u64;
        }
        env.wait_stored("c", sent);
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", collector.pid)).unwrap().flatten();
    let open = open.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.starts_with(&logs))).count();
    assert!((100..=256).contains(&open), "{open} files are open");
    assert_eq!(number(&env.stream("c")["ledger"]["synced"]), 0, "nobody asked for it");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    let all = files(&logs);
    assert_eq!(all.len(), ADDRESSES);
    assert_all_there(&down["streams"][0], &all);
    for s in 0..ADDRESSES {
        let (x, y) = at(s);
        let text = read_text(logs.join(format!("127.0.{x}.{y}.log")));
        assert_eq!(text, (0..10).map(|n| numbered(s, n)).collect::<String>());
    }
}

#[test]
fn an_output_that_gets_no_more_descriptors_closes_the_idlest_file_and_goes_on() {
    const ADDRESSES: u8 = 30;
    let env = Env::new();
    let logs = logs(&env);
    // Datagrams: senders need no descriptors, so that the output can have them all.
    let out = env.arg("logs/{peer_ip}/{stream}/x.log");
    let collector = env.started(env.run(&["listen", "udp:127.0.0.1:0", "--out", &out, "--name", "c", "--json"]));
    let pid = rustix::process::Pid::from_raw(i32::try_from(collector.pid).unwrap());
    let nofile = rustix::process::Resource::Nofile;
    let open = std::fs::read_dir(format!("/proc/{}/fd", collector.pid)).unwrap().count() as u64;
    let all = rustix::process::prlimit(pid, nofile, rustix::process::getrlimit(nofile)).unwrap();
    let few = rustix::process::Rlimit { current: Some(open + 12), ..all };
    rustix::process::prlimit(pid, nofile, few).unwrap();
    for y in 1..=ADDRESSES {
        let sender = std::net::UdpSocket::bind((Ipv4Addr::new(127, 0, 0, y), 0)).unwrap();
        let text = numbered(y.into(), 0);
        sender.send_to(text.trim_end().as_bytes(), (Ipv4Addr::LOCALHOST, collector.port())).unwrap();
        wait_for_text(logs.join(format!("127.0.0.{y}/main/x.log")), &text);
    }
    rustix::process::prlimit(pid, nofile, all).unwrap();
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_balanced(&down["streams"][0]);
    assert_eq!(down["streams"][0]["records"], ADDRESSES, "{down}");
    assert_eq!(files(&logs).len(), usize::from(ADDRESSES));
}

#[test]
fn every_file_is_put_away_by_its_size_and_when_somebody_asks() {
    let env = Env::new();
    let logs = logs(&env);
    let out = env.arg("logs/{peer_ip}/x.log");
    let rotate = ["--rotate-size", "4KB", "--compress", "gzip", "--keep", "2"];
    let collector = env.listen(&[&["--out", &out, "--name", "c"][..], &rotate].concat());
    let mut sent = 0;
    for (s, y) in [1u8, 2].into_iter().enumerate() {
        let text: String = (0..300).map(|n| numbered(s, n)).collect();
        send_from(0, y, collector.port(), &text);
        sent += text.len() as u64;
    }
    env.wait_stored("c", sent);
    let packed = |y: u8| {
        let all = files(&logs.join(format!("127.0.0.{y}")));
        all.iter().filter(|file| file.extension().is_some_and(|e| e == "gz")).count() == 2 && all.len() == 3
    };
    for y in [1, 2] {
        wait_until("two archives are kept of each file, compressed", SOON, || packed(y).then_some(()));
    }
    let line = numbered(0, 300);
    for y in [1, 2] {
        send_from(0, y, collector.port(), &line);
    }
    env.wait_stored("c", sent + 2 * line.len() as u64);
    let answer = env.ask("c", "rotate");
    let mut named: Vec<_> = answer["outputs"].as_array().unwrap().iter().map(|out| out["output"].clone()).collect();
    named.sort_by_key(ToString::to_string);
    assert_eq!(named, [json!(logs.join("127.0.0.1/x.log")), json!(logs.join("127.0.0.2/x.log"))], "{answer}");
    for output in answer["outputs"].as_array().unwrap() {
        assert!(output["archive"].as_str().unwrap().starts_with(output["output"].as_str().unwrap()), "{output}");
    }
    env.down("c");
}

#[test]
fn half_a_line_that_a_kill_left_is_ended_in_its_own_file() {
    let env = Env::new();
    let logs = logs(&env);
    let out = env.arg("logs/{peer_ip}.log");
    let collector = env.listen(&["--out", &out, "--name", "c", "--sync", "always"]);
    let mut senders = [from(0, 1, collector.port()), from(0, 2, collector.port())];
    let mut n = 0;
    let before = wait_until("much is stored", SOON, || {
        for (s, sender) in senders.iter_mut().enumerate() {
            sender.write_all((n..n + 50).map(|n| numbered(s, n)).collect::<String>().as_bytes()).unwrap();
        }
        n += 50;
        let stream = env.stream("c");
        (number(&stream["ledger"]["synced"]) > 20_000).then_some(stream)
    });
    procs::kill(collector.pid);
    wait_until("the collector is gone", SOON, || (!procs::alive(collector.pid)).then_some(()));
    drop(senders);
    let files = [logs.join("127.0.0.1.log"), logs.join("127.0.0.2.log")];
    let left: Vec<String> = files.iter().map(read_text).collect();
    assert!(left.iter().map(|text| text.len() as u64).sum::<u64>() >= number(&before["ledger"]["stored"]));
    for text in &left {
        check_order(&text[..text.rfind('\n').map_or(0, |end| end + 1)]);
    }
    // As a kill in the middle of a write leaves it.
    std::fs::write(&files[1], format!("{}half", left[1])).unwrap();
    let again = env.listen(&["--out", &out, "--name", "c"]);
    for y in [1, 2] {
        send_from(0, y, again.port(), "fresh\n");
    }
    env.wait_stored("c", 12);
    env.down("c");
    let end = |text: &str| if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    assert_eq!(read_text(&files[0]), format!("{}{}fresh\n", left[0], end(&left[0])));
    assert_eq!(read_text(&files[1]), format!("{}half\nfresh\n", left[1]));
}

#[test]
fn a_full_disk_delays_but_loses_nothing_whichever_file_it_meets() {
    let env = Env::new();
    let disk = disk!(env, "8m");
    let out = env.arg("disk/{peer_ip}/x.log");
    let collector = env.listen(&["--out", &out, "--name", "c", "--min-free", "0"]);
    for y in [1, 2] {
        send_from(0, y, collector.port(), &numbered(usize::from(y), 0));
    }
    env.wait_stored("c", 2 * numbered(1, 0).len() as u64);
    disk.fill(16 * 1024);
    for y in [1u8, 2] {
        let text: String = (1..400).map(|n| numbered(usize::from(y), n)).collect();
        send_from(0, y, collector.port(), &text);
    }
    env.wait_state("c", "stalled");
    disk.free();
    env.wait_state("c", "up");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    let all = [1, 2].map(|y| env.path(format!("disk/127.0.0.{y}/x.log")));
    assert_all_there(&down["streams"][0], &all);
    for (y, file) in all.iter().enumerate() {
        assert_eq!(read_text(file), (0..400).map(|n| numbered(y + 1, n)).collect::<String>());
    }
}

#[test]
fn what_a_full_disk_did_not_take_stands_in_rescue_files_named_as_theirs() {
    let env = Env::new();
    let disk = disk!(env, "8m");
    let out = env.arg("disk/{peer_ip}/x.log");
    let collector = env.listen(&["--out", &out, "--name", "c", "--min-free", "0", "--drain-timeout", "1s"]);
    for y in [1, 2] {
        send_from(0, y, collector.port(), &numbered(usize::from(y), 0));
    }
    let first = 2 * numbered(1, 0).len() as u64;
    env.wait_stored("c", first);
    disk.fill(4096);
    let mut sent = first;
    for y in [1u8, 2] {
        let text: String = (1..200).map(|n| numbered(usize::from(y), n)).collect();
        send_from(0, y, collector.port(), &text);
        sent += text.len() as u64;
        env.wait_received("c", sent);
    }
    env.wait_state("c", "stalled");
    let down = env.spawn(&["down", "c", "--json"]).wait_for(SOON).fails(1).last_event();
    let stream = &down["streams"][0];
    assert_balanced(stream);
    assert_eq!(stream["ledger"]["discarded"], json!({"rescued": down["lost"]}));
    let rescue = PathBuf::from(down["rescue"].as_str().unwrap_or_else(|| panic!("no rescue: {down}")));
    for y in [1, 2] {
        let name = format!("127.0.0.{y}/x.log");
        let kept = std::fs::read_to_string(rescue.join(&name)).unwrap_or_default();
        let all = read_text(env.path("disk").join(&name)) + &kept;
        assert_eq!(all, (0..200).map(|n| numbered(y, n)).collect::<String>(), "{name}");
    }
    assert!(files(&rescue).iter().all(|file| mode(file) == 0o600));
    drop(disk);
    env.assert_nothing_left();
}

#[test]
fn up_fails_where_nothing_can_be_made_and_where_another_collector_writes() {
    let env = Env::new();
    let out = env.arg("logs/{peer_ip}/x.log");
    let listen = |name: &str| env.run(&["listen", "0", "--out", &out, "--name", name]);
    listen("c").fails(1).says(format!("the folder {}", env.path("logs").display())).hinted().says("mkdir -p");
    env.assert_nothing_left();
    logs(&env);
    env.listen(&["--out", &out, "--name", "c"]);
    listen("d").fails(1).says("written by the collector \"c\"").hinted();
    env.down("c");
}

#[test]
fn folders_that_are_cleared_away_are_made_again_when_they_are_needed_and_not_before() {
    let env = Env::new();
    let logs = logs(&env);
    let collector = env.listen(&["--out", &env.arg("logs/{peer_ip}/x.log"), "--name", "c"]);
    for y in [1, 2] {
        send_from(0, y, collector.port(), "one\n");
    }
    env.wait_stored("c", 8);
    std::fs::remove_dir_all(logs.join("127.0.0.1")).unwrap();
    env.wait_collector("c", "let go of it", |c| c["streams"][0]["outputs"][0]["bytes"] == 4);
    assert!(!logs.join("127.0.0.1").exists());
    send_from(0, 1, collector.port(), "two\n");
    assert_eq!(wait_for_text(logs.join("127.0.0.1/x.log"), "two\n"), "two\n");
    // The fixed part itself is not made: it may be a disk that is not there.
    std::fs::rename(&logs, env.path("away")).unwrap();
    env.wait_collector("c", "let go of all", |c| c["streams"][0]["outputs"][0]["bytes"] == 0);
    send_from(0, 1, collector.port(), "three\n");
    let told = env.wait_state("c", "stalled");
    assert!(told["health"][0].as_str().unwrap().contains("is gone"), "{told}");
    assert!(!logs.exists());
    std::fs::rename(env.path("away"), &logs).unwrap();
    env.wait_state("c", "up");
    wait_for_text(logs.join("127.0.0.1/x.log"), "two\nthree\n");
    env.down("c");
}

#[test]
fn tail_shows_the_files_written_last_and_follows_those_that_come() {
    let env = Env::new();
    logs(&env);
    let collector = env.listen(&["--out", &env.arg("logs/{peer_ip}/{stream}.log"), "--name", "c"]);
    let file = |y: u8| env.arg(&format!("logs/127.0.0.{y}/main.log"));
    let mut sent = 0;
    for (y, text) in [(1, "one\ntwo\n"), (2, "three\nfour\n")] {
        send_from(0, y, collector.port(), text);
        sent += text.len() as u64;
        env.wait_stored("c", sent);
    }
    // Times of files are coarse; what was written last must be.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
    std::fs::File::options().append(true).open(file(2)).unwrap().set_modified(later).unwrap();
    let shown = env.run(&["tail", "c", "-n", "3"]).ok();
    let (one, two) = (file(1), file(2));
    shown.prints(format!("==> {one} <==\ntwo\n\n==> {two} <==\nthree\nfour\n"));
    let filtered = env.run(&["tail", "c", "-n", "9", "-e", "^t"]).ok();
    filtered.prints(format!("==> {one} <==\ntwo\n\n==> {two} <==\nthree\n"));
    let mut follow = env.spawn(&["tail", "c", "-n", "1", "-f"]);
    follow.wait_stdout("four\n");
    send_from(0, 1, collector.port(), "five\n");
    follow.wait_stdout(&format!("\n==> {one} <==\nfive\n"));
    send_from(0, 3, collector.port(), "\x1b[2Jsix\n");
    follow.wait_stdout(&format!("\n==> {} <==\n\\x1b[2Jsix\n", file(3)));
    env.down("c");
    follow.wait_for(SOON);
}

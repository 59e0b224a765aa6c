use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::ledger::{CollectorSnapshot, State};

fn figures(health: &[&str], state: State) -> Figures {
    let snapshot = CollectorSnapshot {
        name: "c".into(),
        state,
        pid: 1,
        reclog: "0.1.0".into(),
        target: None,
        since: "2026-11-21T00:00:00Z".parse().unwrap(),
        reconnects: 0,
        last_error: None,
        last_error_kind: None,
        health: health.iter().map(|sentence| (*sentence).to_owned()).collect(),
        metrics: None,
        streams: Vec::new(),
    };
    Figures::new(Arc::new(move || snapshot.clone()))
}

fn local() -> MetricsPlace {
    MetricsPlace::Tcp { bind: "127.0.0.1".into(), port: 0 }
}

/// What the door at `place` answers to `request`; empty when it says nothing.
async fn answer(place: &str, request: &str) -> String {
    let (place, request) = (place.to_owned(), request.to_owned());
    let talk = move || -> io::Result<String> {
        let mut stream = TcpStream::connect(place)?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::task::spawn_blocking(talk).await.unwrap().unwrap_or_default()
}

async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn three_paths_are_answered_and_nothing_else_is() {
    let door = Door::open(&local()).await.unwrap();
    let place = door.sign().place();
    assert!(!place.ends_with(":0"), "{place}");
    let _attended = door.attend(figures(&["it \u{1b}[31mhurts"], State::Waiting));
    let get = async |path: &str| answer(&place, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    let metrics = get("/metrics?x=1").await;
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    assert!(
        metrics.contains("content-type: text/plain; version=0.0.4") && metrics.contains("\r\n\r\n# HELP"),
        "{metrics}"
    );
    let health = get("/healthz").await;
    assert!(
        health.starts_with("HTTP/1.1 503 ") && health.ends_with("hurts\n") && !health.contains('\u{1b}'),
        "{health}"
    );
    let ready = get("/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503 ") && ready.ends_with("the collector is waiting\n"), "{ready}");
    assert!(get("/").await.starts_with("HTTP/1.1 404 "));
    let head = answer(&place, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    let post = answer(&place, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").await;
    assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("allow: GET, HEAD"), "{post}");
    let open = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n";
    let open = answer(&place, open).await;
    assert!(
        open.contains("content-type: application/openmetrics-text; version=1.0.0") && open.ends_with("# EOF\n"),
        "{open}"
    );
    for bad in [
        "\x16\x03\x01 nonsense\r\n\r\n",
        "GET /metrics\r\n\r\n",
        &format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(99_999)),
    ] {
        assert!(!answer(&place, bad).await.contains(" 200 "), "{bad:.20}");
    }
}

#[tokio::test]
async fn a_healthy_collector_is_well_and_ready() {
    let door = Door::open(&local()).await.unwrap();
    let place = door.sign().place();
    let _attended = door.attend(figures(&[], State::Up));
    for path in ["/healthz", "/readyz"] {
        let said = answer(&place, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_says_nothing_keeps_nobody_out_and_goes_when_its_time_is_over() {
    let (mut clients, figures) = (Clients::default(), figures(&[], State::Up));
    let mut silent = Vec::new();
    for _ in 0..=MAX_CLIENTS {
        let (ours, theirs) = tokio::io::duplex(64);
        clients.enter(theirs, &figures);
        silent.push(ours);
    }
    let began = Instant::now();
    let end = async |client: &mut tokio::io::DuplexStream| {
        client.read_to_end(&mut Vec::new()).await.unwrap();
        began.elapsed()
    };
    assert_eq!(end(&mut silent[0]).await, Duration::ZERO, "the oldest makes room for one more");
    assert_eq!(end(&mut silent[1]).await, QUESTION);
    assert_eq!(end(&mut silent[MAX_CLIENTS]).await, QUESTION);
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_read_its_answer_goes_too() {
    let (mut clients, figures) = (Clients::default(), figures(&["x".repeat(4096).as_str()], State::Up));
    let (mut ours, theirs) = tokio::io::duplex(64);
    clients.enter(theirs, &figures);
    ours.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let began = Instant::now();
    while clients.tasks.try_join_next().is_none() {
        sleep(Duration::from_millis(100)).await;
    }
    assert!((QUESTION + ANSWER..QUESTION + ANSWER * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_it() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let error = Door::open(&MetricsPlace::Tcp { bind: "127.0.0.1".into(), port }).await.unwrap_err();
    assert_eq!(error.kind.exit_code(), 1);
    assert!(error.message.starts_with(&format!("cannot serve metrics at 127.0.0.1:{port}: ")), "{error:?}");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("ss -lntp")), "{error:?}");
}

#[tokio::test]
async fn a_door_that_was_broken_is_told_until_it_is_open_again() {
    let door = Door::open(&local()).await.unwrap();
    let (sign, place) = (door.sign(), door.sign().place());
    let Ok(Bound::Tcp(doors)) = &door.bound else { panic!("a port") };
    let fd = doors[0].as_fd().try_clone_to_owned().unwrap();
    let _attended = door.attend(figures(&[], State::Up));
    // As `ss -K` does; and the port is somebody else's before it can be had again.
    rustix::net::shutdown(&fd, rustix::net::Shutdown::Both).unwrap();
    drop(fd);
    let said = until(async || sign.trouble()).await;
    assert!(said.starts_with(&format!("metrics are not served at {place}: ")), "{said}");
    until(async || sign.trouble().is_none().then_some(())).await;
    assert!(answer(&place, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await.contains(" 200 "));
}

#[tokio::test]
async fn whoever_takes_over_opens_it_as_soon_as_that_is_possible() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = MetricsPlace::Tcp { bind: "127.0.0.1".into(), port: other.local_addr().unwrap().port() };
    let door = Door::open_in_time(&place).await;
    let sign = door.sign();
    let _attended = door.attend(figures(&[], State::Up));
    let said = until(async || sign.trouble()).await;
    assert_eq!(said, format!("metrics are not served at {place}: Address already in use"));
    drop(other);
    until(async || sign.trouble().is_none().then_some(())).await;
    let said = answer(&place.to_string(), "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(said.contains(" 200 "), "{said}");
}

#[tokio::test]
async fn a_socket_whose_name_was_taken_is_told_and_comes_back_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.sock");
    let place = MetricsPlace::Unix(path.clone());
    let door = Door::open(&place).await.unwrap();
    let sign = door.sign();
    let attended = door.attend(figures(&[], State::Up));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "somebody else's").unwrap();
    let said = until(async || sign.trouble().filter(|said| said.contains("no socket"))).await;
    assert!(said.starts_with(&format!("metrics are not served at unix:{}: ", path.display())), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody else's");
    std::fs::remove_file(&path).unwrap();
    until(async || sign.trouble().is_none().then_some(())).await;
    assert!(is_socket(&path));
    attended.shut().await;
    assert!(!path.exists(), "it goes with the door");
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket())
}

#[tokio::test]
async fn a_flood_comes_no_faster_than_its_pace() {
    let mut clients = Clients::default();
    tokio::time::pause();
    let began = Instant::now();
    for _ in 0..BURST + 100 {
        clients.breathe().await;
    }
    let took = began.elapsed();
    assert!((PACE * 95..PACE * 105).contains(&took), "{took:?}");
    sleep(Duration::from_secs(60)).await;
    let began = Instant::now();
    for _ in 0..BURST {
        clients.breathe().await;
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "after a pause nobody waits");
}

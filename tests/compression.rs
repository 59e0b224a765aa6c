//! `Compression yes`: fewer bytes on the wire, the same bytes in the file.

mod common;

use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::client::{Script, Stage};
use common::{SOON, Sshd};
use reclog::audit::Trail;
use reclog::intake::Intake;
use reclog::ledger::StreamLedger;
use reclog::plan::{Ends, Format, Framing, Limits, Output, Relay, Rotate, StreamPlan, Sync, Transport};
use reclog::sink::{Options, OutputFile, Sink};
use reclog::ssh::Connection;

/// What one sender sends: 100 MB of text that can be compressed, no two blocks alike.
const SENT: usize = 100_000_000;

fn text() -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut all = Vec::with_capacity(SENT + 100);
    while all.len() < SENT {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        all.extend(format!("{:08} host app[{}]: level=info took={}\n", all.len(), state >> 50, state >> 33).bytes());
    }
    all
}

/// A port that leads to `target`, and how many bytes came from there.
fn meter(target: u16) -> (u16, Arc<AtomicU64>) {
    use std::io::{Read, Write};
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let count: Arc<AtomicU64> = Arc::default();
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(("127.0.0.1", target)).unwrap();
        let (mut up, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut up, &mut to_server));
        let (mut from_server, mut client) = (server, client);
        let mut buffer = vec![0; 1 << 16];
        while let Ok(n @ 1..) = from_server.read(&mut buffer) {
            counted.fetch_add(n as u64, Ordering::Relaxed);
            if client.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
    });
    (port, count)
}

/// Sends `text` through a forward; returns what the file holds, and how many bytes came from the server.
fn through(compression: bool, kinds: &[&str], text: &[u8]) -> (Vec<u8>, u64) {
    let stage = Stage::new(Sshd::with_lines(kinds));
    stage.known(stage.sshd.known_hosts());
    let mut settings = stage.settings();
    settings.algorithms.compression = compression;
    let (port, count) = meter(stage.sshd.port);
    (settings.port, settings.host_key_alias) = (port, Some(stage.name()));
    let out = stage.path("out");
    let plan = StreamPlan {
        name: "main".into(),
        transport: Transport::Tcp,
        relay: Relay::Never,
        bind: "127.0.0.1".into(),
        port: 0,
        out: Output::file_at(&out),
        also: Vec::new(),
        format: Format::default(),
        keywords: Vec::new(),
        limits: Limits::default(),
        framing: Framing::Lines,
        ends: Ends::default(),
        max_line: 1 << 16,
        max_connections: 10,
        sync: Sync::Never,
        rotate: Rotate::default(),
        min_free: 0,
    };
    stage.runtime.block_on(async {
        let ledger = StreamLedger::new();
        let file = OutputFile::open(Path::new(&out)).unwrap_or_else(|_| panic!("an output"));
        let sink = Sink::start(file, ledger.clone(), Options::of(&plan, Trail::nowhere())).unwrap();
        let waker = tokio::spawn(sink.handle().run_waker());
        let intake = Intake::new(plan, ledger, sink.handle(), Trail::nowhere());
        let settings = Arc::new(settings);
        let mut connection =
            Connection::establish(settings, Script::nobody(), Arc::default(), &|_, _| ()).await.unwrap();
        let port = connection.ask(&intake, 0).await.unwrap().expect("a port");
        connection.open_doors().await;
        let bytes = text.to_vec();
        let sent = tokio::task::spawn_blocking(move || {
            use std::io::{Read, Write};
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.set_read_timeout(Some(SOON * 2)).unwrap();
            stream.write_all(&bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        });
        sent.await.unwrap();
        connection.close(SOON).await;
        let report = sink.finish(tokio_util::sync::CancellationToken::new()).await;
        assert_eq!(report.lost, 0, "{report:?}");
        waker.abort();
    });
    (std::fs::read(out).unwrap(), count.load(Ordering::Relaxed))
}

#[test]
fn a_hundred_megabytes_arrive_whole_through_compression_that_compresses() {
    require!("sshd", "ssh-keygen");
    let text = text();
    // The server renews the keys meanwhile: the dictionary of the compression begins anew or goes on, as it should.
    let (stored, on_the_wire) = through(true, &["RekeyLimit 10M"], &text);
    assert!(stored == text, "the file is another one: {} bytes of {}", stored.len(), text.len());
    assert!(on_the_wire < text.len() as u64 / 2, "{on_the_wire} bytes on the wire");
}

#[test]
fn a_server_without_compression_is_still_a_server_and_none_is_used_unasked() {
    require!("sshd", "ssh-keygen");
    let text = text();
    let end = text[..1_000_000].iter().rposition(|b| *b == b'\n').unwrap();
    let text = &text[..=end];
    for (wanted, line) in [(true, "Compression no"), (false, "Compression yes")] {
        let (stored, on_the_wire) = through(wanted, &[line], text);
        assert!(stored == text, "{line}");
        assert!(on_the_wire > text.len() as u64, "{line}: {on_the_wire} bytes on the wire");
    }
}

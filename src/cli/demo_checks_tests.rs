use super::*;

fn arrived() -> Vec<u8> {
    let mut file: Vec<u8> = Vec::new();
    let scripts = scripts();
    for n in 0..4 {
        for script in &scripts {
            file.extend(script[n].trim_end().as_bytes());
            file.push(b'\n');
        }
    }
    file
}

fn down(received: u64, stored: u64, pending: u64, added: u64) -> Down {
    let json = serde_json::json!({"event": "down", "name": "demo", "streams": [{
        "name": "main", "remote_port": 5, "bind": "127.0.0.1", "framing": "lines", "reach": "unproven",
        "reach_checked": null, "outputs": [{"path": "/tmp/demo.log", "bytes": 5, "rotations": 0}], "lost": 0,
        "senders": {"open": 0, "accepted": 3, "cut": 0, "rejected": {}}, "records": 12, "split": 0,
        "ledger": {"received": received, "stored": stored, "synced": stored, "pending": pending, "discarded": {}, "added": added},
    }]});
    down_event(format!("{json}\n").as_bytes()).unwrap()
}

#[test]
fn the_last_event_decides() {
    let up = b"{\"event\":\"connecting\"}\n{\"event\":\"up\",\"name\":\"demo\",\"pid\":7,\"streams\":[{\"name\":\"main\",\"remote_port\":55514}]}\n";
    assert_eq!(up_event(up).unwrap(), Up { port: 55514 });
    assert!(up_event(b"{\"event\":\"connecting\"}\n").is_err());
    assert!(up_event(b"hello\n").is_err());
    assert!(up_event(b"").is_err());
    let error =
        up_event(b"{\"event\":\"failed\",\"kind\":\"host-key\",\"message\":\"m\",\"hint\":\"a\\nb\"}").unwrap_err();
    assert_eq!((error.kind, error.hints.len()), (Kind::HostKey, 2));
}

#[test]
fn only_whole_lines_in_order_pass() {
    let good = arrived();
    assert!(lines(&good, &scripts()).is_ok());
    assert!(lines(&good[..good.len() - 1], &scripts()).unwrap_err().contains("line end"));
    let text = String::from_utf8(good).unwrap();
    let without = text.replace("toaster: line 4 of 4\n", "");
    assert_eq!(lines(without.as_bytes(), &scripts()), Err("1 lines are missing.".into()));
    let doubled = text.replace("router: line 2 of 4\n", "router: line 2 of 4\nrouter: line 2 of 4\n");
    let torn = text.replace("printer: line 1", "printer:\n line 1");
    let swapped = text.replace("line 1", "line X").replace("line 2", "line 1").replace("line X", "line 2");
    for bad in [doubled, torn, swapped] {
        assert!(lines(bad.as_bytes(), &scripts()).unwrap_err().contains("torn"), "{bad}");
    }
}

#[test]
fn every_byte_has_to_be_accounted_for() {
    assert!(ledger(&down(100, 100, 0, 1), 100, 101).is_ok());
    for (bad, size) in [
        (down(99, 99, 0, 1), 100),
        (down(100, 99, 1, 1), 101),
        (down(100, 100, 0, 0), 101),
        (down(100, 100, 0, 1), 100),
    ] {
        assert!(ledger(&bad, 100, size).unwrap_err().contains("sums"), "{bad:?}");
    }
}

#[test]
fn one_line_of_the_scripts_has_no_end() {
    let open = scripts().concat().iter().filter(|line| !line.ends_with('\n')).count();
    assert_eq!(open, 1);
    assert_eq!(bytes_of(&scripts()), arrived().len() as u64 - 1);
}

#[test]
fn sockets_and_locks_do_not_go_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    assert!(left_behind(folder.path()).is_empty());
    std::fs::create_dir_all(folder.path().join("state/run")).unwrap();
    std::fs::write(folder.path().join("state/run/demo.lock"), "").unwrap();
    assert_eq!(left_behind(folder.path()), ["demo.lock"]);
}

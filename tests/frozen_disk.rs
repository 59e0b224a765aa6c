//! A disk that neither takes bytes nor refuses them: the write just hangs, as on a dead network mount.

mod common;

use common::senders::numbered;
use common::snapshot::assert_balanced;
use common::{Env, read, send};

#[test]
fn a_write_that_hangs_is_a_stall_that_is_told_and_loses_nothing() {
    let env = Env::new();
    let disk = image!(env);
    let collector = env.listen(&["--out", &env.arg("disk/f"), "--name", "c", "--min-free", "0"]);
    let lines: String = (0..2000).map(|n| numbered(1, n)).collect();
    disk.freeze();
    send(collector.port(), &lines);

    let stalled = env.wait_state("c", "stalled");
    let health = stalled["health"].to_string();
    assert!(health.contains("disk/f") && health.contains("has not taken a byte"), "{health}");
    assert_balanced(&stalled["streams"][0]);

    disk.thaw();
    env.wait_stored("c", lines.len() as u64);
    let up = env.wait_state("c", "up");
    assert_eq!(up["health"], serde_json::json!([]));
    env.down("c");
    assert!(read(env.path("disk/f")) == lines.as_bytes());
}

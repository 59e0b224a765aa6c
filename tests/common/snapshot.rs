//! Reading `status --json`.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Env, LATER};

impl Env {
    /// The collector in the snapshot; `None` while it does not run.
    #[track_caller]
    pub fn find(&self, name: &str) -> Option<Value> {
        let run = self.run(&["status", "--json"]);
        let snapshot: Value = serde_json::from_str(&run.stdout).ok()?;
        let collectors = snapshot["collectors"].as_array()?.clone();
        let found = collectors.into_iter().find(|c| c["name"] == name)?;
        for stream in found["streams"].as_array().expect("streams") {
            assert_balanced(stream);
        }
        Some(found)
    }

    /// The collector in the snapshot, which must run.
    #[track_caller]
    pub fn snapshot(&self, name: &str) -> Value {
        self.find(name).unwrap_or_else(|| panic!("no collector {name} in the snapshot"))
    }

    /// Its first stream.
    #[track_caller]
    pub fn stream(&self, name: &str) -> Value {
        self.snapshot(name)["streams"][0].clone()
    }

    /// Waits until the collector is as `wanted` says.
    #[track_caller]
    pub fn wait_collector(&self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let now = self.find(name).unwrap_or_default();
            if wanted(&now) {
                return now;
            }
            assert!(start.elapsed() < LATER, "waited {LATER:?} in vain until {name} {what}; last seen: {now:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for a state.
    #[track_caller]
    pub fn wait_state(&self, name: &str, state: &str) -> Value {
        self.wait_collector(name, &format!("is {state}"), |c| c["state"] == state)
    }

    /// Waits until the first stream received at least `bytes`.
    #[track_caller]
    pub fn wait_received(&self, name: &str, bytes: u64) -> Value {
        let what = format!("received {bytes} bytes");
        self.wait_collector(name, &what, |c| number(&c["streams"][0]["ledger"]["received"]) >= bytes)
    }

    /// Waits until everything that the first stream received is stored.
    #[track_caller]
    pub fn wait_stored(&self, name: &str, bytes: u64) -> Value {
        let what = format!("stored {bytes} bytes");
        self.wait_collector(name, &what, |c| number(&c["streams"][0]["ledger"]["stored"]) >= bytes)
    }
}

/// A counter; 0 while there is no snapshot.
pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// The sum of a counter by reason.
pub fn sum(reasons: &Value) -> u64 {
    reasons.as_object().map(|r| r.values().map(number).sum()).unwrap_or_default()
}

/// `received = stored + pending + Σ discarded`: every byte is accounted for, at every moment.
#[track_caller]
pub fn assert_balanced(stream: &Value) {
    let ledger = &stream["ledger"];
    for key in ["received", "stored", "synced", "pending", "added"] {
        assert!(ledger[key].is_u64(), "ledger without {key}: {stream}");
    }
    let kept = number(&ledger["stored"]) + number(&ledger["pending"]) + sum(&ledger["discarded"]);
    assert_eq!(number(&ledger["received"]), kept, "bytes are missing from the ledger: {ledger}");
    assert!(number(&ledger["synced"]) <= number(&ledger["stored"]), "more synced than stored: {ledger}");
}

/// What must hold after `down` for a stream that began with an empty file: all of it stored, synced and in the file,
/// and what reclog added is told.
#[track_caller]
pub fn assert_settled(stream: &Value, file: &std::path::Path) {
    assert_balanced(stream);
    let ledger = &stream["ledger"];
    assert_eq!(ledger["pending"], 0, "{ledger}");
    assert_eq!(ledger["synced"], ledger["stored"], "{ledger}");
    let size = super::read(file).len() as u64;
    assert_eq!(
        size,
        number(&ledger["stored"]) + number(&ledger["added"]),
        "the file and the ledger disagree: {ledger}"
    );
    assert_eq!(stream["outputs"][0]["bytes"], size, "{stream}");
}

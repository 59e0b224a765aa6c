//! Requests that no verb of the command line makes as a test needs them.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::Env;

impl Env {
    /// The first answer of the collector `name` to `request`.
    #[track_caller]
    pub fn ask(&self, name: &str, request: &str) -> Value {
        let mut socket = UnixStream::connect(self.path(format!("run/{name}.sock"))).expect("a control socket");
        socket.set_read_timeout(Some(super::SOON)).unwrap();
        writeln!(socket, "{{\"request\":\"{request}\"}}").unwrap();
        let mut lines = BufReader::new(socket).lines();
        lines.next().expect("a hello").expect("a line");
        serde_json::from_str(&lines.next().expect("an answer").expect("a line")).expect("JSON")
    }

    /// The archives of the file `name` in the test's folder, oldest first.
    pub fn archives(&self, name: &str) -> Vec<std::path::PathBuf> {
        let file = self.path(name);
        let prefix = format!("{}.2", file.file_name().unwrap().to_str().unwrap());
        let mut all: Vec<_> = file.parent().unwrap().read_dir().unwrap().map(|e| e.unwrap().path()).collect();
        all.retain(|p| p.file_name().unwrap().to_str().unwrap().starts_with(&prefix));
        all.sort();
        all
    }
}

//! A server that does to its client what the test tells it, however wrong. See `tests/hostile/server.py`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use super::{Env, LATER, find_program};

/// The server. `Drop` ends it.
pub struct Hostile {
    child: Child,
    orders: ChildStdin,
    said: Receiver<Value>,
    pub port: u16,
    key: String,
}

/// A Python that has paramiko: the first of `PATH` need not be the system's.
fn python() -> Option<std::path::PathBuf> {
    let found = [find_program("python3"), Some("/usr/bin/python3".into())].into_iter().flatten();
    found.into_iter().find(|python| {
        let mut check = Command::new(python);
        check.args(["-c", "import paramiko"]).stdout(Stdio::null()).stderr(Stdio::null());
        check.status().is_ok_and(|s| s.success())
    })
}

impl Hostile {
    /// The server, stalling where `stall` says (`forward` or nowhere). `None`: the test is left out.
    pub fn start(test: &str, stall: &str) -> Option<Self> {
        let Some(python) = python() else {
            super::lacks(test, "paramiko", "python3-paramiko");
            return None;
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/server.py");
        let mut server = Command::new(python);
        server.args(["-W", "ignore", script, stall]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = server.spawn().unwrap();
        let (say, said) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            let values = lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
            values.into_iter().try_for_each(|value: Value| say.send(value))
        });
        let orders = child.stdin.take().unwrap();
        let mut server = Self { child, orders, said, port: 0, key: String::new() };
        let first = server.heard("port");
        server.port = first.as_u64().and_then(|p| u16::try_from(p).ok()).unwrap();
        Some(server)
    }

    /// Waits until it says something with this key, and returns the value.
    #[track_caller]
    pub fn heard(&mut self, key: &str) -> Value {
        loop {
            let said = self.said.recv_timeout(LATER).unwrap_or_else(|e| panic!("the server never said {key:?}: {e}"));
            if let Some(error) = said.get("error") {
                panic!("while waiting for {key:?}: {error}");
            }
            if let Some(host_key) = said["key"].as_str() {
                host_key.clone_into(&mut self.key);
            }
            if let Some(value) = said.get(key) {
                return value.clone();
            }
        }
    }

    /// Gives an order and waits for what came of it.
    #[track_caller]
    pub fn order(&mut self, command: &str, arguments: &[Value]) -> Value {
        let mut order = vec![Value::from(command)];
        order.extend_from_slice(arguments);
        writeln!(self.orders, "{}", Value::from(order)).unwrap();
        self.heard(command)
    }

    /// Makes it the host `jump` of the environment.
    pub fn trusted_by(&self, env: &Env) {
        let known = env.write("known_hosts", format!("[127.0.0.1]:{} {}\n", self.port, self.key));
        let key = env.path("home/.ssh/id");
        super::sshd::keygen(&key, "ed25519");
        env.write(
            "ssh_config",
            format!(
                "Host jump\n  HostName 127.0.0.1\n  Port {}\n  User nobody\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
                 UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n",
                self.port,
                key.display(),
                known.display()
            ),
        );
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

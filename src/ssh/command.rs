//! One command on the jump host, for its output; bounded in time and bytes, whatever the server does.

use std::time::{Duration, Instant};

use super::connection::Connection;
use super::server_process;

/// Bytes of output that are kept; sshd_config is some kilobytes long.
const LONGEST_OUTPUT: usize = 256 * 1024;

/// What a command said.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its lines, without what the shell of the account says on its own before them: a stranger's words.
    pub text: String,
    /// When it was asked for.
    pub asked: Instant,
    /// When all of the output had come.
    pub answered: Instant,
}

impl Connection {
    /// Runs `script` and waits for its end, at most for `patience`. It is for `/bin/sh`, and holds no single quote,
    /// backslash, exclamation mark or new line, which some login shell would take for its own. `None` where no command may
    /// be run, or nothing came of it.
    pub async fn command(&self, script: &str, patience: Duration) -> Option<Output> {
        if !self.leg.settings.commands {
            return None;
        }
        // What else an account prints (a greeting of its `.bashrc`) is told from it by these lines.
        let mark = server_process::mark();
        let (begin, end) = (format!("\n{mark} begin\n"), format!("\n{mark} done"));
        let command = format!("exec /bin/sh -c 'echo; echo {mark} begin; {script}; echo; echo {mark} done'");
        let done = |output: &[u8]| memchr::memmem::find(output, end.as_bytes()).is_some();
        let asked = Instant::now();
        let output = server_process::output(&self.leg.handle, command, patience, LONGEST_OUTPUT, done).await;
        let answered = Instant::now();
        let output = String::from_utf8_lossy(&output).into_owned();
        let (_, text) = output.split_once(&begin)?;
        let (text, _) = text.split_once(&end)?;
        Some(Output { text: text.to_owned(), asked, answered })
    }
}

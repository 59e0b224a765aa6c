//! Where the records of a stream go.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::template::Template;

/// One output. Crosses the pipe to the background process as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PathBuf", into = "PathBuf")]
pub struct Output {
    written: PathBuf,
    to: To,
}

/// What an output is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// The file of this path.
    File,
    /// Files, whose paths are made of the sender and the time.
    Files(Template),
    /// Standard output: `-`.
    Stdout,
    /// The standard input of a command, run by `sh -c`: `exec:COMMAND`.
    Exec(String),
    /// A syslog daemon.
    Syslog(Daemon),
}

/// How a syslog daemon is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Daemon {
    /// `syslog+udp://HOST:PORT`
    Udp(String, u16),
    /// `syslog+tcp://HOST:PORT`
    Tcp(String, u16),
    /// `syslog+unix:///PATH`
    Unix(PathBuf),
}

/// The port of syslog where none is written (RFC 5426, section 3.3; RFC 6587 has none of its own, and daemons use it).
const SYSLOG_PORT: u16 = 514;

impl Output {
    /// Reads what is written; paths are taken as they are.
    ///
    /// # Errors
    /// A sentence: an unknown scheme, a place that lacks something, a bad template.
    pub fn parse(written: impl Into<PathBuf>) -> Result<Self, String> {
        let written = written.into();
        let to = match written.to_str() {
            Some(text) => Self::of_text(text)?,
            None => To::File,
        };
        Ok(Self { written, to })
    }

    /// The file of this path, whatever is in its name.
    #[must_use]
    pub fn file_at(path: impl Into<PathBuf>) -> Self {
        Self { written: path.into(), to: To::File }
    }

    fn of_text(text: &str) -> Result<To, String> {
        if text == "-" {
            return Ok(To::Stdout);
        }
        if let Some(command) = text.strip_prefix("exec:") {
            if command.trim().is_empty() {
                return Err("`exec:` names no command; write exec:COMMAND".into());
            }
            return Ok(To::Exec(command.to_owned()));
        }
        if let Some((scheme, rest)) = text.split_once("://")
            && !scheme.contains('/')
        {
            return Self::of_scheme(scheme, rest).map(To::Syslog);
        }
        if text.contains(['{', '}']) {
            return Template::path(text).map(To::Files);
        }
        Ok(To::File)
    }

    fn of_scheme(scheme: &str, rest: &str) -> Result<Daemon, String> {
        match scheme {
            "syslog+udp" => host_and_port(rest).map(|(host, port)| Daemon::Udp(host, port)),
            "syslog+tcp" => host_and_port(rest).map(|(host, port)| Daemon::Tcp(host, port)),
            "syslog+unix" if rest.len() > 1 && rest.starts_with('/') => Ok(Daemon::Unix(rest.into())),
            "syslog+unix" => Err("a socket has an absolute path: syslog+unix:///dev/log".into()),
            _ => Err(format!(
                "`{scheme}://` is none of syslog+udp://HOST:PORT, syslog+tcp://HOST:PORT, syslog+unix:///PATH"
            )),
        }
    }

    /// What it is.
    #[must_use]
    pub fn to(&self) -> &To {
        &self.to
    }

    /// As it is shown and counted: the path of a file, else as written.
    #[must_use]
    pub fn name(&self) -> &Path {
        &self.written
    }

    /// The path, of one file.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        (self.to == To::File).then_some(self.written.as_path())
    }

    /// Whether it is one file or several.
    #[must_use]
    pub fn is_on_disk(&self) -> bool {
        matches!(self.to, To::File | To::Files(_))
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("`{text}` is no HOST:PORT");
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']').ok_or_else(wrong)).transpose()? {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or_else(wrong)?)),
        None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() || host.contains(['/', '@', ' ']) || (host.contains(':') && !text.starts_with('[')) {
        return Err(wrong());
    }
    let port = port.map_or(Ok(SYSLOG_PORT), |port| port.parse().map_err(|_| wrong()))?;
    if port == 0 { Err(wrong()) } else { Ok((host.to_owned(), port)) }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.written.display().fmt(f)
    }
}

impl TryFrom<PathBuf> for Output {
    type Error = String;

    fn try_from(written: PathBuf) -> Result<Self, String> {
        Self::parse(written)
    }
}

impl From<Output> for PathBuf {
    fn from(output: Output) -> Self {
        output.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_what_it_is_written_as() {
        let to = |text: &str| Output::parse(text).map(|output| output.to);
        assert_eq!(to("/a/b.log"), Ok(To::File));
        assert_eq!(to("-"), Ok(To::Stdout));
        assert_eq!(to("exec:cat >x"), Ok(To::Exec("cat >x".into())));
        assert!(matches!(to("/logs/{peer_ip}/{date}.log"), Ok(To::Files(_))));
        assert_eq!(to("syslog+udp://127.0.0.1:5514"), Ok(To::Syslog(Daemon::Udp("127.0.0.1".into(), 5514))));
        assert_eq!(to("syslog+tcp://log.example.org"), Ok(To::Syslog(Daemon::Tcp("log.example.org".into(), 514))));
        assert_eq!(to("syslog+tcp://[::1]:6514"), Ok(To::Syslog(Daemon::Tcp("::1".into(), 6514))));
        assert_eq!(to("syslog+unix:///dev/log"), Ok(To::Syslog(Daemon::Unix("/dev/log".into()))));
        for wrong in [
            "exec:",
            "exec: ",
            "http://x",
            "syslog://h:1",
            "syslog+udp://",
            "syslog+udp://h:0",
            "syslog+udp://h:x",
            "syslog+tcp://::1",
            "syslog+unix://dev/log",
            "syslog+unix:///",
            "/a/{b}",
            "/a/{date",
        ] {
            assert!(to(wrong).is_err(), "{wrong}");
        }
    }
}

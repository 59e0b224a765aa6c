//! An output that is no file: is there somebody who takes records. Nothing is sent, and no command is run.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::step::{Name, Step, Verdict};
use crate::error::Error;
use crate::plan::{Daemon, Output, To};
use crate::sink;

/// The resolver may take as long as it likes; nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at `output`. `first`: senders would have to wait for it.
pub async fn look(output: &Output, first: bool) -> Step {
    let begun = Instant::now();
    let step = match output.to() {
        To::File | To::Files(_) => Step::new(Name::Output, Verdict::Skipped, format!("{output} is on a disk")),
        To::Stdout => Step::new(Name::Output, Verdict::Skipped, "standard output is there only with --foreground"),
        To::Exec(_) => Step::new(Name::Output, Verdict::Skipped, format!("{output} is not run by doctor")),
        To::Syslog(daemon) => {
            let theirs = daemon.clone();
            let asked = tokio::task::spawn_blocking(move || sink::reach(&theirs));
            let answer = match timeout(PATIENCE, asked).await {
                Ok(Ok(answer)) => answer,
                _ => Err(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            told(output, daemon, first, answer)
        }
    };
    step.took(begun.elapsed())
}

fn told(output: &Output, daemon: &Daemon, first: bool, answer: Result<(), String>) -> Step {
    match (answer, daemon) {
        (Ok(()), Daemon::Udp(..)) => {
            let unknown = format!("{output} has an address; over UDP nobody tells whether somebody listens there");
            Step::new(Name::Output, Verdict::CannotTell, unknown)
        }
        (Ok(()), _) => Step::new(Name::Output, Verdict::Ok, format!("{output} takes connections")),
        (Err(why), _) if first => {
            let error = Error::failed(format!("cannot reach {output}: {why}: senders would have to wait"))
                .hint("start the syslog daemon there, or make a file the first output");
            Step::failed(Name::Output, &error)
        }
        (Err(why), _) => {
            let lost = format!("cannot reach {output}: {why}: what it does not get is lost to it");
            Step::new(Name::Output, Verdict::Warning, lost)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_takes_records_is_told_and_who_does_not_matters_when_it_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let output = Output::parse(format!("syslog+unix://{}", path.display())).unwrap();
        let verdict = async |first| look(&output, first).await.verdict;
        assert_eq!((verdict(true).await, verdict(false).await), (Verdict::Failed, Verdict::Warning));
        let _daemon = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert_eq!(verdict(true).await, Verdict::Ok);
        let marked = dir.path().join("marked");
        let command = Output::parse(format!("exec:touch {}", marked.display())).unwrap();
        assert_eq!(look(&command, true).await.verdict, Verdict::Skipped);
        assert!(!marked.exists(), "no command is run");
    }
}

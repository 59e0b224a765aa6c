//! `reclog health`

use serde::Serialize;

use super::args_watch::HealthArgs;
use super::look::{Looked, look};
use super::pick;
use super::printer::{Printer, told};
use crate::error::{Kind, Result};
use crate::escape::escape_str;
use crate::ledger::State;
use crate::paths::Paths;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Health {
    healthy: bool,
    /// Sorted by name.
    collectors: Vec<Collector>,
}

#[derive(Debug, Serialize)]
struct Collector {
    name: String,
    /// Null when it does not answer.
    state: Option<State>,
    /// One sentence a trouble.
    health: Vec<String>,
}

impl From<Looked> for Collector {
    fn from(Looked { name, answer }: Looked) -> Self {
        match answer {
            Ok(seen) => Self { name, state: Some(seen.snapshot.state), health: seen.snapshot.health },
            Err(why) => Self { name, state: None, health: vec![why] },
        }
    }
}

/// Prints one sentence a trouble; there is one: exit code 1.
pub async fn run(args: &HealthArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let collectors: Vec<Collector> = look(args.name.as_deref(), paths).await?.into_iter().map(Into::into).collect();
    if collectors.is_empty() {
        return Err(pick::nothing_runs());
    }
    let health = Health { healthy: collectors.iter().all(|collector| collector.health.is_empty()), collectors };
    if args.json {
        printer.json(&health)?;
    } else if health.healthy {
        let all: Vec<&str> = health.collectors.iter().map(|collector| collector.name.as_str()).collect();
        printer.note(&format!("healthy: {}", all.join(", ")));
    } else {
        printer.data(&sentences(&health.collectors))?;
    }
    if health.healthy { Ok(()) } else { Err(told(Kind::Failed)) }
}

/// One a line; of several collectors each says whose it is.
fn sentences(collectors: &[Collector]) -> String {
    let mut text = String::new();
    for collector in collectors {
        for sentence in &collector.health {
            if collectors.len() > 1 {
                text.push_str(&format!("{}: ", collector.name));
            }
            text.push_str(&escape_str(sentence));
            text.push('\n');
        }
    }
    text
}

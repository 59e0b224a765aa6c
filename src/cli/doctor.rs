//! `reclog doctor`

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use tokio_util::sync::CancellationToken;

use super::args_examine::{DoctorArgs, overrides};
use super::printer::Printer;
use super::prompt::Prompt;
use super::spinner::Spinner;
use super::up::interrupt;
use super::wrap::{indented, wrapped};
use crate::control::client::{self, Client};
use crate::doctor::{self, Held, Name, Step, Subject, Verdict, Word};
use crate::error::{Error, Result};
use crate::ledger::CollectorSnapshot;
use crate::paths::Paths;
use crate::plan::Plan;
use crate::profile::{self, Overrides};
use crate::ssh;

/// Examines a jump host.
pub async fn run(args: DoctorArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let json = args.json;
    let result = examine(args, paths, printer).await;
    if let (Err(error), true) = (&result, json) {
        let _ = printer.json(&last(Verdict::Failed, error.kind.exit_code(), Some(error)));
    }
    result
}

async fn examine(args: DoctorArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let flags = Overrides {
        out: args.out.into_iter().collect(),
        ..overrides(&args.target, args.remote_port, args.bind.as_ref(), &args.ssh)
    };
    let (resolved, has_output) = profile::resolve_look(&flags, paths)?;
    let plan = resolved.plan;
    let Some(way) = &plan.ssh else { return Err(doctor::no_jump_host(&plan.name)) };
    let settings = resolve(way.clone()).await?;
    let held = held(&plan, &settings.target(), paths).await;
    let subject = Subject { settings, streams: plan.streams, has_output, held };

    let spinner = Spinner::new((!args.json).then_some(printer));
    let person = Arc::new(Prompt::new(printer, spinner.clone()));
    let cancelled = CancellationToken::new();
    // Whoever read it has seen enough.
    let broken = Mutex::new(None);
    let hear = |word: Word<'_>| match word {
        Word::Begins(name) => spinner.say(doing(name).to_owned()),
        Word::Done(step) => {
            spinner.pause();
            let told = if args.json { printer.json(&Event::Step { step }) } else { printer.data(&drawn(step)) };
            if let Err(error) = told {
                *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                cancelled.cancel();
            }
            spinner.resume();
        }
    };
    let examined = {
        let mut examination = Box::pin(doctor::examine(subject, person, &hear, &cancelled));
        tokio::select! {
            biased;
            () = interrupt() => {
                cancelled.cancel();
                // Everything is closed in order first.
                examination.await
            }
            examined = &mut examination => examined,
        }
    };
    spinner.finish();
    if let Some(error) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let Some(steps) = examined else { return Err(Error::interrupted()) };
    conclude(&steps, args.json, printer)
}

fn conclude(steps: &[Step], json: bool, printer: Printer) -> Result<()> {
    if let Some((step, kind)) = doctor::failure(steps).and_then(|step| Some((step, step.kind?))) {
        let error = Error::new(kind, format!("the step {} failed: {}", step.name.as_str(), step.message));
        // For a person they stand below the step.
        return Err(if json { step.hints.iter().fold(error, |error, hint| error.hint(hint.clone())) } else { error });
    }
    let verdict = doctor::whole(steps);
    if json {
        return printer.json(&last(verdict, 0, None));
    }
    let untold = steps.iter().filter(|step| step.verdict == Verdict::CannotTell).count();
    let mut text = match steps.iter().filter(|step| step.verdict == Verdict::Warning).count() {
        0 => "nothing is wrong".to_owned(),
        1 => "nothing failed; one warning".to_owned(),
        n => format!("nothing failed; {n} warnings"),
    };
    if untold > 0 {
        text.push_str(&format!("; {untold} could not be told"));
    }
    printer.data(&format!("\n{text}\n"))
}

/// What stands on stdout with `--json`.
#[derive(serde::Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event<'a> {
    /// A step is done.
    Step {
        #[serde(flatten)]
        step: &'a Step,
    },
    /// The last line.
    Doctor {
        verdict: Verdict,
        exit_code: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
}

fn last(verdict: Verdict, exit_code: u8, error: Option<&Error>) -> Event<'_> {
    let (message, hint) = (error.map(|e| e.message.as_str()), error.and_then(Error::hint_text));
    Event::Doctor { verdict, exit_code, message, hint }
}

/// The ssh configuration may run programs (`Match exec`): the loop goes on meanwhile.
pub(super) async fn resolve(way: crate::plan::SshPlan) -> Result<ssh::Settings> {
    let resolving = tokio::task::spawn_blocking(move || ssh::resolve(&way));
    tokio::select! {
        biased;
        () = interrupt() => Err(Error::interrupted()),
        resolved = resolving => {
            resolved.unwrap_or_else(|_| Err(Error::failed("cannot read the ssh configuration: reclog failed")))
        }
    }
}

/// The streams whose ports a collector of this user has on `target`.
async fn held(plan: &Plan, target: &str, paths: &Paths) -> Vec<Held> {
    let mut all = Vec::new();
    for found in client::find(paths) {
        let Ok(mut client) = Client::connect(&found.socket).await else { continue };
        let Ok(collector) = client.snapshot().await else { continue };
        if collector.target.as_deref() == Some(target) {
            all.extend(held_by(plan, &collector, jiff::Timestamp::now()));
        }
    }
    all
}

/// Those of `collector`, which is on the same jump host.
fn held_by(plan: &Plan, collector: &CollectorSnapshot, now: jiff::Timestamp) -> Vec<Held> {
    let same_name = collector.name == plan.name;
    let mut all = Vec::new();
    for wanted in &plan.streams {
        let has = collector.streams.iter().find(|stream| {
            let port = wanted.port != 0 && stream.remote_port == wanted.port;
            port || (wanted.port == 0 && same_name && stream.name == wanted.name)
        });
        if let Some(stream) = has {
            all.push(Held {
                stream: wanted.name.clone(),
                collector: collector.name.clone(),
                pid: collector.pid,
                port: stream.remote_port,
                bind: stream.bind.clone(),
                reach: stream.reach,
                finding: stream.finding.clone(),
                looked: stream.reach_checked.and_then(|at| now.duration_since(at).try_into().ok()),
            });
        }
    }
    all
}

fn doing(name: Name) -> &'static str {
    match name {
        Name::Resolve => "looking for the host",
        Name::Tcp => "connecting",
        Name::Banner => "waiting for the server",
        Name::Algorithms | Name::HostKey => "agreeing on keys",
        Name::Authentication => "logging in",
        Name::Output => "looking at the output's folder",
        Name::Forward => "asking for the port",
        Name::BindAddress => "asking where the jump host listens",
        Name::Reach | Name::SenderAddress => "looking whether senders get through",
        Name::Clock => "comparing clocks",
        Name::IdleLimits => "asking when the server ends what is quiet",
        Name::ByteInFile => "sending a line",
        Name::Throughput => "sending for two seconds",
    }
}

const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();
/// Columns of a line.
const WIDTH: usize = 80;
/// Columns before the message: mark, name, time.
const LEAD: usize = 2 + 14 + 1 + 6 + 2;

/// A step for people: one line, more below it where there is more to say.
fn drawn(step: &Step) -> String {
    let (style, mark) = match step.verdict {
        Verdict::Ok => (GREEN, '✔'),
        Verdict::Warning => (YELLOW, '!'),
        Verdict::Failed => (RED, '✘'),
        Verdict::Skipped => (DIM, '-'),
        Verdict::CannotTell => (YELLOW, '?'),
    };
    let stream = step.stream.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    let verdict = match step.verdict {
        Verdict::Ok => String::new(),
        other => format!("{}: ", other.as_str()),
    };
    let time = if step.verdict == Verdict::Skipped { String::new() } else { time(Duration::from_millis(step.ms)) };
    let message = wrapped(&format!("{stream}{verdict}{}", step.message), WIDTH - LEAD);
    let mut text = format!("{style}{mark}{style:#} {:<14} {time:>6}  ", step.name.as_str());
    text.push_str(&message.join(&format!("\n{}", " ".repeat(LEAD))));
    text.push('\n');
    for detail in &step.details {
        text.push_str(&indented(detail, "    ", WIDTH));
    }
    for hint in &step.hints {
        text.push_str(&indented(&format!("hint: {hint}"), "    ", WIDTH));
    }
    text
}

fn time(time: Duration) -> String {
    match time.as_millis() {
        ms @ 0..1000 => format!("{ms} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_one_line_of_80_columns_and_its_details_stand_below() {
        let step = Step::new(Name::SenderAddress, Verdict::Warning, "word ".repeat(30))
            .took(Duration::from_millis(2345))
            .detail("a detail \x1b[2J")
            .hint("do this:\nMatch User log\n    AllowTcpForwarding remote");
        let text = anstream::adapter::strip_str(&drawn(&step)).to_string();
        assert!(text.starts_with("! sender-address  2.3 s  warning: word word"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let end =
            "    a detail \\x1b[2J\n    hint: do this:\n      Match User log\n          AllowTcpForwarding remote\n";
        assert!(text.ends_with(end), "{text}");
    }
}

//! `reclog up` and `reclog listen`

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::args::{ListenArgs, UpArgs};
use super::options::{RunArgs, SshArgs};
use super::overrides::overrides;
use super::place::Place;
use super::printer::Printer;
use super::prompt::Prompt;
use super::spinner::Spinner;
use super::{down, keyword, reach, restart, snippets, words};
use crate::collector::events::{Event, Launch, Up};
use crate::collector::renew::{Anew, Renewal};
use crate::collector::takeover::Predecessor;
use crate::collector::{self, OpenLog, Options, Report, launch, log};
use crate::control::Handover;
use crate::error::{Error, Kind, Result};
use crate::paths::Paths;
use crate::plan::{Framing, Plan, Source, StreamPlan, To};
use crate::profile::{self, Origin, Overrides};
use crate::service;
use crate::service::message::line;
use crate::service::notify::Notifier;
use crate::service::restart::Start as Launched;
use crate::ssh::{Nobody, Phase};

/// Starts a collector on a jump host.
pub async fn up(args: UpArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let keyword_file = args.stream.keyword_file.clone();
    let flags = Overrides {
        target: args.target,
        save: args.save.clone(),
        remote_port: args.remote_port,
        bind: args.bind,
        relay: args.relay,
        no_probe: args.no_probe,
        probe_every: args.probe_every,
        ..overrides(args.ssh, args.stream, &args.run)
    };
    let (plan, profile) = match profile::resolve_up(&flags, paths) {
        Ok(resolved) => (resolved.plan, resolved.profile),
        Err(error) => return Err(failed(error, args.run.json || is_rehearsal(), printer)),
    };
    let mut origin = Origin { profile, flags, ..origin(&args.run, printer) };
    // One that is started anew in its process has saved it before.
    if let Some(name) = args.save.as_ref().filter(|_| Renewal::of_this_process().is_none()) {
        let file = profile::save(&plan, name, args.force, paths).map_err(|e| failed(e, args.run.json, printer))?;
        printer.note(&format!("saved as {}", words::path(&file)));
        if plan.streams.iter().flat_map(|stream| &stream.keywords).any(|keyword| keyword.from == Source::Given) {
            printer.note("the keyword is not saved; with --keyword-file FILE the path of its file is");
        }
        // All the rest stands there now, and may be changed there.
        let Overrides { keyword_file, keyword_given, .. } = origin.flags;
        let flags = Overrides {
            name: Some(plan.name.clone()),
            keyword_given: keyword_given && keyword_file.is_none(),
            keyword_file: keyword_file.filter(|file| file.as_os_str() == "-"),
            ..Overrides::default()
        };
        (origin.profile, origin.flags) = (Some(file), flags);
    }
    Box::pin(start(Start { plan, origin, keyword_file, replaces: None }, &args.run, paths, printer)).await
}

/// Starts a collector on a port of this machine.
pub async fn listen(args: ListenArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let keyword_file = args.stream.keyword_file.clone();
    let flags = overrides(SshArgs::default(), args.stream, &args.run);
    match profile::resolve_listen(&args.address, &flags) {
        Ok(resolved) => {
            let origin = Origin { listen: Some(args.address), flags, ..origin(&args.run, printer) };
            let what = Start { plan: resolved.plan, origin, keyword_file, replaces: None };
            Box::pin(start(what, &args.run, paths, printer)).await
        }
        Err(error) => Err(failed(error, args.run.json || is_rehearsal(), printer)),
    }
}

/// Whoever has started this wants to know whether it would come up, and reads JSON.
fn is_rehearsal() -> bool {
    Renewal::of_this_process().is_some_and(|renewal| renewal.rehearsal)
}

/// Looks whether a collector would come up with nobody there, in the place of the one that asks.
async fn rehearse(plan: &Plan, keyword_file: Option<&Path>, paths: &Paths) -> Result<()> {
    if keyword_file.is_some_and(|file| file.as_os_str() == "-") {
        return Err(Error::failed(format!(
            "the keyword of \"{}\" was typed, and would have to be typed again",
            plan.name
        ))
        .hint("name a file: --keyword-file FILE; or end it and start it anew"));
    }
    let printer = Printer::new(true, 0);
    let keyword = keyword::given(plan, None, &Prompt::new(printer, Spinner::new(None))).await?;
    let options = Options {
        report: Arc::new(|_| {}),
        person: Arc::new(Nobody),
        foreground: true,
        keyword,
        origin: serde_json::Value::Null,
        replaces: None,
        gap: None,
        anew: None,
        open_log: Box::new(|_| Ok(())),
    };
    Box::pin(collector::rehearse(plan, paths, options)).await
}

fn origin(run: &RunArgs, printer: Printer) -> Origin {
    Origin {
        folder: std::env::current_dir().unwrap_or_default(),
        verbose: printer.verbose,
        foreground: run.foreground,
        ..Origin::default()
    }
}

/// With `--json` the last line on stdout tells of the failure, too.
pub(super) fn failed(error: Error, json: bool, printer: Printer) -> Error {
    if json {
        let _ = printer.json(&Event::from(&error));
    }
    error
}

/// Whether records go to standard output.
fn has_stdout(plan: &Plan) -> bool {
    plan.streams.iter().flat_map(StreamPlan::outputs).any(|output| *output.to() == To::Stdout)
}

/// Refuses standard output as an output where it is not there, or has another use.
fn check_stdout(plan: &Plan, run: &RunArgs) -> Result<()> {
    if !has_stdout(plan) {
        return Ok(());
    }
    if !run.foreground {
        return Err(Error::usage("the output - is standard output, and a collector in the background has none")
            .hint("add --foreground, or name a file"));
    }
    if run.json {
        return Err(Error::usage("--json and the output - both write to standard output").hint("leave one of them out"));
    }
    Ok(())
}

/// What is started.
pub(super) struct Start {
    pub plan: Plan,
    pub origin: Origin,
    /// `--keyword-file`
    pub keyword_file: Option<PathBuf>,
    /// Whose place it takes.
    pub replaces: Option<Predecessor>,
}

pub(super) async fn start(start: Start, run: &RunArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let Start { mut plan, origin, keyword_file, replaces } = start;
    let renewal = Renewal::of_this_process().filter(|_| run.foreground);
    if let Some(renewal) = &renewal {
        profile::keep_ports(&mut plan, &renewal.ports);
    }
    if let Some(Renewal { rehearsal: true, .. }) = renewal {
        return rehearse(&plan, keyword_file.as_deref(), paths).await.map_err(|error| failed(error, true, printer));
    }
    if replaces.is_none() {
        restart::check_free(&plan.name, paths).await.map_err(|error| failed(error, run.json, printer))?;
    }
    check_stdout(&plan, run).map_err(|error| failed(error, run.json, printer))?;
    let printer = if has_stdout(&plan) { printer.aside() } else { printer };
    for warning in profile::review(&plan) {
        printer.warning(&warning);
    }
    let spinner = Spinner::new((!run.json).then_some(printer));
    let prompt = Prompt::new(printer, spinner.clone());
    let keyword =
        keyword::given(&plan, keyword_file.as_deref(), &prompt).await.map_err(|e| failed(e, run.json, printer))?;
    let (told, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
    let hear = {
        let (spinner, json, told, before) = (spinner.clone(), run.json, Arc::clone(&told), Arc::clone(&gone));
        move |event: &Event| {
            if let Event::Failed { .. } = event {
                told.store(true, Ordering::Relaxed);
            }
            if json {
                let _ = printer.json(event);
            }
            match event {
                Event::Step { phase, target } => spinner.say(step(*phase, target)),
                Event::NotYet { message, again_in_ms, .. } => {
                    spinner.pause();
                    printer.note(&words::not_yet(message, *again_in_ms));
                    spinner.resume();
                    spinner.say("waiting to try again".into());
                }
                Event::Handover { pid } => spinner.say(format!("the collector before (pid {pid}) gives way")),
                Event::Down(report) => *before.lock().unwrap_or_else(PoisonError::into_inner) = Some(report.clone()),
                Event::Up(_) | Event::Failed { .. } => {}
            }
        }
    };
    let origin_told = serde_json::to_value(&origin).unwrap_or_default();
    let result = if run.foreground {
        let given = (keyword, origin_told, renewal.and_then(|renewal| renewal.gap));
        Box::pin(foreground(plan, given, run, paths, printer, (prompt, spinner.clone()), hear)).await
    } else {
        let launch = Launch { plan, verbose: origin.verbose, origin: origin_told, replaces };
        let up = Box::pin(launch::background(&launch, keyword, hear, &prompt, interrupt())).await;
        spinner.finish();
        match up {
            Ok(up) => {
                warn_of_logout(&up.name, printer);
                announce(&up, run.json, printer)
            }
            // The child's last words have been passed on; its sudden death has none.
            Err(error) if told.load(Ordering::Relaxed) => Err(error),
            Err(error) => Err(failed(error, run.json, printer)),
        }
    };
    spinner.finish();
    let gone = gone.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (result, gone) {
        // What the one before could not store is told by it alone.
        (Ok(()), Some(report)) => restart::tell(&report, printer),
        (result, _) => result,
    }
}

/// Says so when what was just started will not live through a logout.
fn warn_of_logout(name: &str, printer: Printer) {
    let Some(user) = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten() else { return };
    if let Some(fate) = service::look_at_logout(&user.name) {
        printer.warning(&format!("the collector \"{name}\" will not live through your logout: {fate}"));
        printer.note("hint: a service does (`reclog service install PROFILE`), after `sudo loginctl enable-linger`");
    }
}

async fn foreground(
    plan: Plan,
    (keyword, origin, gap): (Option<Zeroizing<String>>, serde_json::Value, Option<Handover>),
    run: &RunArgs,
    paths: &Paths,
    printer: Printer,
    (prompt, spinner): (Prompt, Spinner),
    hear: impl Fn(&Event) + Send + Sync + 'static,
) -> Result<()> {
    let json = run.json;
    let report: Report = Arc::new(move |event| {
        hear(event);
        if let Event::Up(up) = event {
            spinner.finish();
            let _ = announce(up, json, printer);
        }
    });
    let verbose = printer.verbose;
    let open_log: OpenLog = Box::new(move |file| {
        if verbose > 0 {
            log::to_stderr(verbose - 1);
            return Ok(());
        }
        log::to_file(file, 0)
    });
    let start = in_a_service(&plan.name, paths, printer).await.map_err(|error| failed(error, json, printer))?;
    let person = Arc::new(prompt);
    let anew = Anew::here();
    let options = Options {
        report,
        person,
        foreground: true,
        keyword,
        origin,
        replaces: None,
        gap,
        anew: anew.clone(),
        open_log,
    };
    let result = Box::pin(collector::run(plan, paths, options, std::future::pending())).await;
    // Whatever else it is: a failure that a manager does not answer with a new start.
    if let Some(start) = start
        && !result.as_ref().is_err_and(|error| error.kind == Kind::Failed)
    {
        start.over();
    }
    match result {
        Ok(report) => {
            let told = down::tell(&report, json, printer);
            match anew.filter(|anew| anew.wanted.get().is_some()) {
                Some(anew) => {
                    // Whatever it has to say is said; it ends no other way.
                    told.unwrap_or_else(|error| printer.error(&error));
                    Err(anew.exec(report.gap))
                }
                None => told,
            }
        }
        Err(error) => Err(failed(error, json, printer)),
    }
}

/// The manager may have to be told once more that this takes its time.
const LEEWAY: Duration = Duration::from_secs(30);

/// Where a service manager has started this, waits as long as the starts before it give reason to. `None`: it has not.
async fn in_a_service(name: &str, paths: &Paths, printer: Printer) -> Result<Option<Launched>> {
    let mut notifier = Notifier::from_env();
    if !notifier.is_on() {
        return Ok(None);
    }
    let start = Launched::count(paths, name)?;
    if !start.wait.is_zero() {
        let starts = if start.failed == 1 { "the start" } else { "the starts" };
        let text = format!(
            "waiting for {} s: {starts} before this one failed ({} in a row)",
            start.wait.as_secs_f64().ceil(),
            start.failed
        );
        printer.note(&text);
        notifier.patience(start.wait + LEEWAY);
        notifier.status(&line(&text));
        tokio::select! {
            () = tokio::time::sleep(start.wait) => {}
            () = interrupt() => {
                start.over();
                return Err(Error::interrupted());
            }
        }
    }
    Ok(Some(start))
}

/// Ends when a person, or whoever started this, wants no collector after all.
pub(super) async fn interrupt() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
    let [Ok(mut int), Ok(mut term), Ok(mut hup), Ok(mut quit)] = kinds.map(signal) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
        _ = hup.recv() => {}
        // Ctrl-\: at a question the terminal would be left without echo.
        _ = quit.recv() => {}
    }
}

fn step(phase: Phase, target: &str) -> String {
    match phase {
        Phase::Connect => format!("connecting to {target}"),
        Phase::Banner => format!("waiting for {target} to answer"),
        Phase::KeyExchange => format!("checking the host key of {target}"),
        Phase::Authentication => format!("logging in to {target}"),
        Phase::Forward => format!("asking {target} for the port"),
    }
}

/// The block that says what is up and what to do with it.
pub(super) fn announce(up: &Up, json: bool, printer: Printer) -> Result<()> {
    if !json {
        printer.data(&block(up))?;
    }
    if up.target.is_some() {
        for stream in &up.streams {
            reach::tell(&Place::of_up(up, stream), stream, printer);
        }
    }
    Ok(())
}

fn block(up: &Up) -> String {
    let mut text = String::new();
    for (index, stream) in up.streams.iter().enumerate() {
        let of = if index == 0 { format!("   (collector \"{}\", pid {})", up.name, up.pid) } else { String::new() };
        text.push_str(&format!("✔ {} → {}{of}\n", Place::of_up(up, stream).text(), words::path(&stream.out)));
    }
    for stream in &up.streams {
        if let Some(line) = reach::line(stream, up.streams.len() > 1) {
            text.push_str(&line);
        }
    }
    let send = up.streams.first().and_then(|stream| match stream.framing {
        _ if stream.keyword => Some(format!("reclog how {}   (the keyword comes first)", up.name)),
        Framing::Relp => Some(format!("reclog how {}   (RELP: rsyslog and `reclog send --ack` speak it)", up.name)),
        _ => snippets::short(&Place::of_up(up, stream)),
    });
    if let Some(send) = send {
        text.push_str(&format!("  send   {send}\n"));
    }
    text.push_str(&format!("  stop   reclog down {}\n", up.name));
    text
}

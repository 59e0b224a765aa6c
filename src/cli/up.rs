//! `reclog up` and `reclog listen`

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::args::{ListenArgs, UpArgs};
use super::options::{CompressArg, FormatArg, FramingArg, RunArgs, SshArgs, StreamArgs, SyncArg};
use super::place::Place;
use super::printer::Printer;
use super::prompt::Prompt;
use super::spinner::Spinner;
use super::{down, keyword, reach, snippets, words};
use crate::collector::events::{Event, Launch, Up};
use crate::collector::{self, OpenLog, Options, Report, launch, log};
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::plan::{Compress, Framing, Plan, Source, StreamPlan, Sync, To};
use crate::profile::{self, LimitFlags, Overrides, Shape};
use crate::ssh::Phase;

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
    let plan = match profile::resolve_up(&flags, paths) {
        Ok(resolved) => resolved.plan,
        Err(error) => return Err(failed(error, args.run.json, printer)),
    };
    if let Some(name) = &args.save {
        let file = profile::save(&plan, name, args.force, paths).map_err(|e| failed(e, args.run.json, printer))?;
        printer.note(&format!("saved as {}", words::path(&file)));
        if plan.streams.iter().flat_map(|stream| &stream.keywords).any(|keyword| keyword.from == Source::Given) {
            printer.note("the keyword is not saved; with --keyword-file FILE the path of its file is");
        }
    }
    start(plan, keyword_file.as_deref(), &args.run, paths, printer).await
}

/// Starts a collector on a port of this machine.
pub async fn listen(args: ListenArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let keyword_file = args.stream.keyword_file.clone();
    let flags = overrides(SshArgs::default(), args.stream, &args.run);
    match profile::resolve_listen(&args.address, &flags) {
        Ok(resolved) => start(resolved.plan, keyword_file.as_deref(), &args.run, paths, printer).await,
        Err(error) => Err(failed(error, args.run.json, printer)),
    }
}

fn overrides(ssh: SshArgs, stream: StreamArgs, run: &RunArgs) -> Overrides {
    Overrides {
        name: run.name.clone(),
        out: stream.out,
        format: stream.format.map(|f| match f {
            FormatArg::Raw => Shape::Raw,
            FormatArg::Prefix => Shape::Prefix,
            FormatArg::Json => Shape::Json,
        }),
        prefix: stream.prefix,
        keyword_file: stream.keyword_file,
        keyword_given: keyword::is_in_environment(),
        limits: LimitFlags {
            allow: stream.allow,
            deny: stream.deny,
            max_per_address: stream.max_per_address,
            max_new: stream.max_new,
            max_rate: stream.max_rate,
            max_bytes: stream.max_bytes,
            idle_timeout: stream.idle_timeout,
        },
        identities: ssh.identity,
        port: ssh.port,
        ssh_config: ssh.ssh_config,
        jump: ssh.jump,
        options: ssh.option,
        framing: stream.framing.map(|f| match f {
            FramingArg::Lines => Framing::Lines,
            FramingArg::Raw => Framing::Raw,
            FramingArg::Syslog => Framing::Syslog,
            FramingArg::Relp => Framing::Relp,
        }),
        strip_cr: stream.strip_cr,
        nul: stream.nul,
        max_line: stream.max_line,
        max_connections: stream.max_connections,
        sync: stream.sync.map(|s| match s {
            SyncArg::Never => Sync::Never,
            SyncArg::Interval => Sync::Interval,
            SyncArg::Always => Sync::Always,
        }),
        min_free: stream.min_free,
        rotate_size: stream.rotate_size,
        rotate_every: stream.rotate_every,
        rotate_total: stream.rotate_total,
        rotate_age: stream.rotate_age,
        keep: stream.keep,
        compress: stream.compress.map(|c| match c {
            CompressArg::None => Compress::None,
            CompressArg::Gzip => Compress::Gzip,
            CompressArg::Zstd => Compress::Zstd,
        }),
        drain_timeout: run.drain_timeout.clone(),
        keep_trying: run.keep_trying,
        ..Overrides::default()
    }
}

/// With `--json` the last line on stdout tells of the failure, too.
fn failed(error: Error, json: bool, printer: Printer) -> Error {
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

async fn start(plan: Plan, keyword_file: Option<&Path>, run: &RunArgs, paths: &Paths, printer: Printer) -> Result<()> {
    check_stdout(&plan, run).map_err(|error| failed(error, run.json, printer))?;
    let printer = if has_stdout(&plan) { printer.aside() } else { printer };
    for warning in profile::review(&plan) {
        printer.warning(&warning);
    }
    let spinner = Spinner::new((!run.json).then_some(printer));
    let prompt = Prompt::new(printer, spinner.clone());
    let keyword = keyword::given(&plan, keyword_file, &prompt).await.map_err(|e| failed(e, run.json, printer))?;
    let told = Arc::new(AtomicBool::new(false));
    let hear = {
        let (spinner, json, told) = (spinner.clone(), run.json, Arc::clone(&told));
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
                    printer.note(&not_yet(message, *again_in_ms));
                    spinner.resume();
                    spinner.say("waiting to try again".into());
                }
                Event::Up(_) | Event::Failed { .. } => {}
            }
        }
    };
    let result = if run.foreground {
        foreground(plan, keyword, run, paths, printer, (prompt, spinner.clone()), hear).await
    } else {
        let launch = Launch { plan, verbose: printer.verbose };
        let up = launch::background(&launch, keyword, hear, &prompt, interrupt()).await;
        spinner.finish();
        match up {
            Ok(up) => announce(&up, run.json, printer),
            // The child's last words have been passed on; its sudden death has none.
            Err(error) if told.load(Ordering::Relaxed) => Err(error),
            Err(error) => Err(failed(error, run.json, printer)),
        }
    };
    spinner.finish();
    result
}

async fn foreground(
    plan: Plan,
    keyword: Option<Zeroizing<String>>,
    run: &RunArgs,
    paths: &Paths,
    printer: Printer,
    (prompt, spinner): (Prompt, Spinner),
    hear: impl Fn(&Event) + Send + std::marker::Sync + 'static,
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
    let options = Options { report, person: Arc::new(prompt), foreground: true, keyword, open_log };
    match collector::run(plan, paths, options, std::future::pending()).await {
        Ok(report) => down::tell(&report, json, printer),
        Err(error) => Err(failed(error, json, printer)),
    }
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

fn not_yet(message: &str, again_in_ms: u64) -> String {
    let seconds = again_in_ms.div_ceil(1000);
    format!("not yet: {message}; trying again in {seconds} s (Ctrl-C ends it)")
}

/// The block that says what is up and what to do with it.
fn announce(up: &Up, json: bool, printer: Printer) -> Result<()> {
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

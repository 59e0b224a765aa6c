//! What a person types and sees: one file a verb.

pub mod args;
pub mod args_examine;
pub mod args_service;
pub mod args_watch;
mod audit;
pub mod completions;
pub mod demo;
mod demo_checks;
mod doctor;
mod down;
mod harden;
mod health;
pub mod how;
mod keyword;
mod kick;
mod look;
pub mod manual;
mod metrics;
pub mod names;
pub mod options;
mod overrides;
mod pick;
pub mod place;
pub mod profile;
mod prompt;
mod reach;
mod restart;
mod rotate;
mod send;
mod service;
mod since;
pub mod snippets;
mod spinner;
mod status;
mod tail;
mod up;
mod web;
mod web_user;
mod words;

use std::process::ExitCode;

use args::{Cli, Verb};
use printer::Printer;

pub(crate) use crate::console::{printer, wrap};
use crate::error::Result;
use crate::paths::Paths;

/// Does what `cli` says; the result is the exit code of the process.
pub async fn run(cli: Cli) -> ExitCode {
    if let Verb::Collector = cli.verb {
        return crate::collector::background::main().await;
    }
    let printer = Printer::new(cli.quiet, cli.verbose);
    match Box::pin(dispatch(cli.verb, printer)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if printer::is_satisfied(&error) => ExitCode::SUCCESS,
        Err(error) => {
            if !printer::is_told(&error) {
                printer.error(&error);
            }
            ExitCode::from(error.kind.exit_code())
        }
    }
}

async fn dispatch(verb: Verb, printer: Printer) -> Result<()> {
    let paths = Paths::discover()?;
    match verb {
        Verb::Up(args) => up::up(args, &paths, printer).await,
        Verb::Listen(args) => up::listen(args, &paths, printer).await,
        Verb::Doctor(args) => doctor::run(args, &paths, printer).await,
        Verb::Down(args) => down::run(&args, &paths, printer).await,
        Verb::Status(args) => status::run(&args, &paths, printer).await,
        Verb::Health(args) => health::run(&args, &paths, printer).await,
        Verb::Metrics(args) => metrics::run(&args, &paths, printer).await,
        Verb::Tail(args) => tail::run(&args, &paths, printer).await,
        Verb::Web(args) => web::run(args, &paths, printer).await,
        Verb::Audit(args) => audit::run(&args, &paths, printer).await,
        Verb::Kick(args) => kick::run(&args, &paths, printer).await,
        Verb::Rotate(args) => rotate::run(&args, &paths, printer).await,
        Verb::Restart(args) => restart::run(&args, &paths, printer).await,
        Verb::Send(args) => send::run(args, &paths, printer).await,
        Verb::Harden(args) => harden::run(args, &paths, printer).await,
        Verb::How(args) => how::run(&args, &paths, printer).await,
        Verb::Profile(args) => profile::run(&args, &paths, printer, &mut anstream::stdout()),
        Verb::Completions(args) => printer.data(&completions::script(args.shell)),
        Verb::Man(args) => manual::run(&args, printer),
        Verb::Demo(_) => demo::run(&mut anstream::stdout()).await,
        Verb::Names(args) => {
            names::run(&args);
            Ok(())
        }
        Verb::Service(args) => service::run(&args, &paths, printer).await,
        Verb::Examine(args) => service::examined(&args, &paths, printer).await,
        Verb::Collector => unreachable!("handled before"),
    }
}

//! The sender as a program of its own: the same name and the same verb, and nothing else.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::args::SendArgs;
use super::printer::{self, Printer};
use super::send;
use super::terminal::ask_secret;
use crate::error::Result;
use crate::paths::Paths;

/// Send log lines to a collector: the sender of reclog alone
///
/// A small build for machines that only send. Everything else is in the full program.
#[derive(Debug, Parser)]
#[command(name = "reclog", version, propagate_version = true, max_term_width = 100)]
#[command(arg_required_else_help = true, subcommand_required = true, disable_help_subcommand = true)]
pub struct Alone {
    /// Say less: no progress, no hints on success
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more; twice: everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// What to do
    #[command(subcommand)]
    verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Send lines of standard input or of files to a collector
    Send(SendArgs),
}

/// Parses the command line and does what it says; the result is the exit code of the process.
#[must_use]
pub fn main() -> ExitCode {
    let Alone { quiet, verbose, verb: Verb::Send(args) } = Alone::parse();
    let printer = Printer::new(quiet, verbose);
    match run(&args, printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if printer::is_satisfied(&error) => ExitCode::SUCCESS,
        Err(error) => {
            printer.error(&error);
            ExitCode::from(error.kind.exit_code())
        }
    }
}

fn run(args: &SendArgs, printer: Printer) -> Result<()> {
    let paths = Paths::discover()?;
    let typed = if send::asks(args) { Some(send::typed(ask_secret(send::QUESTION))?) } else { None };
    send::run(args, &paths, printer, typed.as_ref())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Alone::command().debug_assert();
    }
}

//! The command line of the bench.

use std::path::PathBuf;

use super::Fallible;
use super::side::Side;

/// What stands behind `--help`.
pub const HELP: &str = "\
cargo bench --bench side_by_side -- [OPTIONS]

  --rounds N        how often every side has its turn (default 4; with --quick 1)
  --only NAME       only this workload: a letter or a name of the list below (repeatable)
  --sides A,B       only these sides of common,tuned,reclog
  --quick           small amounts: shows that all of it works, proves no figure
  --markdown FILE   write the table there, too

The reclog that is measured is the one cargo built, or RECLOG_BIN.
";

/// The command line as meant.
#[derive(Debug)]
pub struct Options {
    pub rounds: usize,
    pub only: Vec<String>,
    pub sides: Vec<Side>,
    pub quick: bool,
    pub markdown: Option<PathBuf>,
    pub help: bool,
    /// cargo says `--bench`; `cargo test --all-targets` does not, and is not to wait for minutes of measuring.
    pub by_cargo_bench: bool,
}

impl Options {
    /// Reads the arguments.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Fallible<Self> {
        let mut options = Self {
            rounds: 0,
            only: Vec::new(),
            sides: Side::ALL.to_vec(),
            quick: false,
            markdown: None,
            help: false,
            by_cargo_bench: false,
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--rounds" => {
                    let text = value()?;
                    options.rounds =
                        text.parse().ok().filter(|&n| n > 0).ok_or(format!("--rounds {text}: not a count"))?;
                }
                "--only" => options.only.push(value()?),
                "--sides" => {
                    options.sides = value()?.split(',').map(Side::by_name).collect::<Fallible<_>>()?;
                    options.sides.sort_unstable();
                    options.sides.dedup();
                }
                "--quick" => options.quick = true,
                "--markdown" => options.markdown = Some(value()?.into()),
                "--help" | "-h" => options.help = true,
                "--bench" => options.by_cargo_bench = true,
                other => return Err(format!("unknown argument {other}\n\n{HELP}").into()),
            }
        }
        if options.rounds == 0 {
            options.rounds = if options.quick { 1 } else { 4 };
        }
        Ok(options)
    }

    /// `full`, or `quick` in a quick run.
    pub fn amount<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

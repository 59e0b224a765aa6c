//! `reclog man`: the manual, made of the command line as clap knows it, of the table of profile keys, and of README, whose tables
//! and sections tests hold against the program.
//!
//! An own writer of pages, not that of clap: it makes a page for verbs below verbs, sets code in print as it is to be typed, and
//! has nothing in it that mandoc or groff warns of.

pub mod keys;
pub mod more;
mod readme;
mod roff;
mod verbs;

use std::io::{ErrorKind, IsTerminal as _};
use std::path::Path;
use std::process::Command as Process;

use clap::CommandFactory as _;

use super::args::{Cli, ManArgs};
use super::printer::Printer;
use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::profile::did_you_mean;
use roff::Roff;

/// The day of the pages: that of the version's heading in CHANGELOG, once it has one.
pub const DATE: &str = "2026-11-30";

/// One page of the manual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// `reclog-up`
    pub name: String,
    /// Of the manual: 1 for commands, 5 for files.
    pub section: u8,
    /// What man(1) reads.
    pub text: String,
}

impl Page {
    /// `reclog-up.1`
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }
}

/// All pages, reclog(1) first.
#[must_use]
pub fn pages() -> Vec<Page> {
    let mut command = Cli::command();
    // Gives every verb the options of all verbs and its full name.
    command.build();
    let page = |name: &str, section, text| Page { name: name.to_owned(), section, text };
    let verbs = verbs::shown(&command).map(|verb| page(&format!("reclog-{}", verb.get_name()), 1, verbs::verb(verb)));
    let first = page("reclog", 1, verbs::program(&command));
    let last = page("reclog-profile", 5, keys::page(&command));
    std::iter::once(first).chain(verbs).chain([last]).collect()
}

/// What `reclog man` takes, in the order of the pages: `up`, `profile.5`.
#[must_use]
pub fn names() -> Vec<String> {
    let short = |page: Page| {
        let name = page.name.strip_prefix("reclog-").unwrap_or(&page.name).to_owned();
        if page.section == 1 { name } else { format!("{name}.{}", page.section) }
    };
    pages().into_iter().map(short).collect()
}

/// The page called `name`: with or without `reclog-` and section.
fn find(name: &str) -> Result<Page> {
    let full = name.strip_prefix("reclog-").unwrap_or(name);
    let full = if full == "reclog" || full.starts_with("reclog.") { full.to_owned() } else { format!("reclog-{full}") };
    let found = pages().into_iter().find(|page| page.name == full || page.file() == full);
    found.ok_or_else(|| {
        let names = names();
        let error = Error::usage(format!("the manual has no page {}", escape_str(name)));
        error.hint(
            did_you_mean(name, names.iter().map(String::as_str))
                .unwrap_or_else(|| format!("its pages: {}", names.join(", "))),
        )
    })
}

/// Shows a page, prints its source where stdout is no terminal, or writes all of them.
///
/// # Errors
/// When there is no such page, a file cannot be written, or man(1) fails.
pub fn run(args: &ManArgs, printer: Printer) -> Result<()> {
    if let Some(folder) = &args.dir {
        return write_all(folder, printer);
    }
    let page = find(args.page.as_deref().unwrap_or("reclog"))?;
    if std::io::stdout().is_terminal() { show(&page, printer) } else { printer.data(&page.text) }
}

/// By man(1), which knows the terminal and the pager.
fn show(page: &Page, printer: Printer) -> Result<()> {
    let failed = |e: std::io::Error| Error::failed(format!("cannot show {}: {}", page.file(), io_reason(&e)));
    let folder = tempfile::tempdir().map_err(failed)?;
    let file = folder.path().join(page.file());
    std::fs::write(&file, &page.text).map_err(failed)?;
    match Process::new("man").arg(&file).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::failed(format!("cannot show {}: man ended with {status}", page.file()))),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            printer.data(&page.text)?;
            printer.note("there is no man(1) here; this is what it would read");
            Ok(())
        }
        Err(e) => Err(failed(e)),
    }
}

/// As man(1) looks for them below a folder of MANPATH: `man1/reclog.1`.
fn write_all(folder: &Path, printer: Printer) -> Result<()> {
    let pages = pages();
    for page in &pages {
        let below = folder.join(format!("man{}", page.section));
        let file = below.join(page.file());
        std::fs::create_dir_all(&below).and_then(|()| std::fs::write(&file, &page.text)).map_err(|e| {
            Error::failed(format!("cannot write {}: {}", escape_str(&file.display().to_string()), io_reason(&e)))
        })?;
    }
    printer.note(&format!("{} pages in {}", pages.len(), escape_str(&folder.display().to_string())));
    Ok(())
}

fn see_also(page: &mut Roff, others: impl Iterator<Item = (String, u8)>) {
    page.heading("SEE ALSO");
    let all: Vec<_> = others.map(|(name, section)| format!("**{name}**({section})")).collect();
    page.text(&all.join(", "));
}

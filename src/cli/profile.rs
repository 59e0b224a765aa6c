//! `reclog profile`: the folder of saved profiles.

use std::io::Write;

use crate::cli::args::{ProfileArgs, ProfileVerb};
use crate::cli::printer::Printer;
use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::paths::Paths;
use crate::profile::{self, Checked};
use crate::ssh;

/// Does what `args` ask for. What was asked for goes to `out`, which is stdout; talk goes to stderr.
///
/// # Errors
/// Those of the profile, and a closed `out`.
pub fn run(args: &ProfileArgs, paths: &Paths, printer: Printer, out: &mut dyn Write) -> Result<()> {
    let text = match &args.verb {
        ProfileVerb::List => list(paths, printer)?,
        ProfileVerb::Show(one) => profile::show(&one.name, paths)?,
        ProfileVerb::Init(new) => {
            let path = profile::init(&new.name, new.force, paths)?;
            printer.note(&format!("fill it in with `reclog profile edit {0}`, then `reclog up {0}`", new.name));
            line(&path)
        }
        ProfileVerb::Check(one) => checked(&profile::check(&one.name, paths)?, printer),
        ProfileVerb::Edit(one) => checked(&profile::edit(&one.name, paths)?, printer),
        ProfileVerb::Path(optional) => match &optional.name {
            Some(name) => line(&profile::path(name, paths)?),
            None => line(&paths.profiles()),
        },
        ProfileVerb::Rm(one) => {
            let path = profile::remove(&one.name, paths)?;
            printer.note(&format!("deleted {}", escape_str(&path.display().to_string())));
            String::new()
        }
        ProfileVerb::Schema => format!("{:#}\n", profile::schema()),
    };
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Error::failed(format!("cannot write the answer: {}", io_reason(&e))))
}

fn line(path: &std::path::Path) -> String {
    format!("{}\n", path.display())
}

/// Names and summaries in two columns; what is wrong with a broken profile stands in its line.
fn list(paths: &Paths, printer: Printer) -> Result<String> {
    let all = profile::list(paths)?;
    if all.is_empty() {
        let folder = escape_str(&paths.profiles().display().to_string());
        printer.note(&format!("no saved profiles in {folder}; `reclog profile init NAME` writes one"));
    }
    let width = all.iter().map(|one| one.name.len()).max().unwrap_or_default();
    let row = |one: &profile::Listed| {
        let text = match &one.summary {
            Ok(summary) => summary.clone(),
            Err(error) => format!("broken: {error}"),
        };
        format!("{:width$}  {text}\n", one.name)
    };
    Ok(all.iter().map(row).collect())
}

fn checked(checked: &Checked, printer: Printer) -> String {
    for warning in &checked.warnings {
        printer.warning(warning);
    }
    // Nothing is connected to; what the ssh configuration says is part of what the profile means here.
    if let Some(way) = &checked.plan.ssh {
        match ssh::resolve(way) {
            Ok(settings) => settings.warnings().iter().for_each(|warning| printer.warning(warning)),
            Err(error) => printer.warning(&error.message),
        }
    }
    checked.text.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn said(paths: &Paths, line: &[&str]) -> Result<String> {
        let all = ["reclog", "profile"].iter().chain(line);
        let crate::cli::args::Verb::Profile(args) = crate::cli::args::Cli::parse_from(all).verb else { panic!() };
        let mut out = Vec::new();
        run(&args, paths, Printer::new(false, 0), &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_profile_lives_from_init_to_rm() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let paths = Paths { config: at("c"), state: at("s"), runtime: at("r") };
        assert_eq!(said(&paths, &["list"]).unwrap(), "");
        let path = said(&paths, &["init", "jump"]).unwrap();
        assert_eq!(path, format!("{}\n", paths.profile("jump").display()));
        assert_eq!(said(&paths, &["path", "jump"]).unwrap(), path);
        assert_eq!(said(&paths, &["init", "jump"]).unwrap_err().kind.exit_code(), 2);
        assert_eq!(said(&paths, &["list"]).unwrap(), "jump  user@jump.example.org: main 55514\n");
        assert_eq!(said(&paths, &["show", "jump"]).unwrap(), std::fs::read_to_string(path.trim_end()).unwrap());
        let check = said(&paths, &["check", "jump"]).unwrap();
        assert!(check.contains("max_line        256KiB (default)\n"), "{check}");
        assert_eq!(said(&paths, &["check", path.trim_end()]).unwrap(), check);
        std::fs::write(path.trim_end(), "nope: 1\n").unwrap();
        assert!(said(&paths, &["list"]).unwrap().contains("broken: "));
        said(&paths, &["rm", "jump"]).unwrap();
        assert_eq!(said(&paths, &["show", "jump"]).unwrap_err().kind.exit_code(), 2);
    }
}

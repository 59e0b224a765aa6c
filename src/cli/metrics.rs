//! `reclog metrics`

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::args_watch::MetricsArgs;
use super::look::look;
use super::pick;
use super::printer::Printer;
use crate::error::{Error, Kind, Result, io_reason};
use crate::metrics::{Format, render};
use crate::paths::Paths;

/// Prints the figures, or writes them to a file. A file is written whatever runs: who reads it learns from it that nothing does.
pub async fn run(args: &MetricsArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let (mut seen, mut silent, mut troubles) = (Vec::new(), Vec::new(), Vec::new());
    let missing = match look(args.name.as_deref(), paths).await {
        Ok(all) => {
            for looked in all {
                match looked.answer {
                    Ok(answer) => seen.push(answer),
                    Err(why) => {
                        silent.push(looked.name);
                        troubles.push(why);
                    }
                }
            }
            (seen.is_empty() && silent.is_empty()).then(pick::nothing_runs)
        }
        Err(error) if error.kind == Kind::NotRunning => {
            silent.extend(args.name.clone());
            Some(error)
        }
        Err(error) => return Err(error),
    };
    let format = if args.openmetrics { Format::OpenMetrics } else { Format::Text };
    let text = render(&seen, &silent, format);
    for why in &troubles {
        printer.warning(why);
    }
    let Some(file) = &args.textfile else {
        printer.data(&text)?;
        return missing.map_or(Ok(()), Err);
    };
    replace(file, &text)
        .map_err(|e| Error::failed(format!("cannot write the metrics to {}: {}", file.display(), io_reason(&e))))
}

/// Writes the file whole: whoever reads it sees what was there before, or all that is there now. It is for everybody, as the node exporter
/// runs as somebody else.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    // A name that the node exporter does not read (`*.prom`).
    let early = file.with_file_name(format!(".reclog-{:016x}.new", rand::random::<u64>()));
    let mut new = OpenOptions::new().write(true).create_new(true).open(&early)?;
    // Whatever the umask says.
    let written = new
        .write_all(text.as_bytes())
        .and_then(|()| new.set_permissions(Permissions::from_mode(0o644)))
        .and_then(|()| std::fs::rename(&early, file));
    written.inspect_err(|_| drop(std::fs::remove_file(&early)))
}

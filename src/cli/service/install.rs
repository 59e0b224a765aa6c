//! `reclog service install` and `uninstall`

use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::super::args::DownArgs;
use super::super::args_service::ServicePlace;
use super::super::printer::Printer;
use super::super::{down, words};
use super::waiting;
use super::{Draft, any_scope, check_name, home, manager, paths_of, unit_file, warn_of_open_home};
use crate::control::client;
use crate::error::{Error, Result, io_reason};
use crate::paths::Paths;
use crate::service::{self, Manager, Owner, Scope, Service};

/// What stands in the place of the unit.
enum Old {
    Nothing,
    /// Ours, as it was written.
    Ours(String),
}

/// Writes the unit, checks it, enables and starts it, and waits until the collector is up.
pub async fn install(name: &str, place: &ServicePlace, paths: &Paths, printer: Printer) -> Result<()> {
    let draft = Draft::new(name, place, paths)?;
    let scope = draft.scope.clone();
    let manager = manager(name, &scope)?;
    if matches!(scope, Scope::System(_)) && !rustix::process::geteuid().is_root() {
        return Err(Error::failed("cannot install a service of the machine: only root can")
            .hint(format!("sudo reclog service install {name} --system --user USER")));
    }
    let examined = draft.examine(true).await?;
    for note in &examined.notes {
        printer.warning(note);
    }
    if let Some(error) = examined.login {
        return Err(error);
    }
    let file = unit_file(name, &scope, &draft.home);
    let (service, missing) = draft.service(examined.needs);
    if let Some(error) = missing.into_iter().next() {
        return Err(error);
    }
    warn_of_open_home(&service, printer);
    let old = look(&file, "replace")?;
    let unit = service.unit_name();
    let before = manager.show(&unit)?;
    check_name_is_free(&service, before.pid, &paths_of(name, &scope, paths)).await?;

    let text = service.unit(service::version());
    let changed = write(&file, &text, &old, &manager, printer)?;
    manager.systemctl(&["daemon-reload"])?;
    if before.enabled != "enabled" {
        manager.systemctl(&["enable", "--quiet", &unit])?;
        printer.note(&format!("enabled {unit}: it starts {}", when(&scope)));
    }
    // One that still tries may have minutes to go before it looks again.
    let starts = changed || !before.is_up();
    if starts {
        if before.is_up() {
            printer.note("restarting it, for the unit is another one; senders are drained first");
        } else {
            // What failed before fails no more, or is told anew.
            let _ = manager.systemctl(&["reset-failed", &unit]);
        }
        manager.systemctl(&["restart", "--no-block", &unit])?;
    }
    let old_start = starts.then_some(before.invocation.as_str());
    waiting::until_up(&service, &manager, old_start, &paths_of(name, &scope, paths), printer).await?;
    tell_about_lingering(&scope, printer);
    Ok(())
}

fn when(scope: &Scope) -> &'static str {
    match scope {
        Scope::User => "with your service manager",
        Scope::System(_) => "at boot",
    }
}

/// A user's manager ends with the last session, and what it runs with it.
fn tell_about_lingering(scope: &Scope, printer: Printer) {
    if *scope != Scope::User {
        return;
    }
    let Some(user) = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten() else { return };
    if service::lingers(&user.name) == Some(false) {
        printer.note(&format!(
            "note: it runs while you are logged in; to have it run from boot on and after a logout:\n  \
             sudo loginctl enable-linger {}",
            user.name
        ));
    }
}

/// Refuses when a collector of that name runs that is not the service's.
async fn check_name_is_free(service: &Service, pid: u32, paths: &Paths) -> Result<()> {
    for found in client::find(paths).into_iter().filter(|found| found.name == service.name) {
        let Ok(client) = client::Client::connect(&found.socket).await else { continue };
        if client.hello.pid != pid {
            return Err(Error::failed(format!(
                "a collector \"{}\" is already running (pid {}), started by hand",
                service.name, client.hello.pid
            ))
            .hint(format!("stop it first: reclog down {}", service.name)));
        }
    }
    Ok(())
}

/// What stands at `file`, if reclog may `verb` it.
fn look(file: &Path, verb: &str) -> Result<Old> {
    let shown = words::path(file);
    match std::fs::read_to_string(file) {
        Ok(text) => match service::owner(&text) {
            Owner::Reclog => Ok(Old::Ours(text)),
            Owner::Changed => {
                Err(Error::failed(format!("will not {verb} {shown}: somebody has changed it since reclog wrote it"))
                    .hint("keep the changes in a drop-in (`systemctl edit`), which reclog leaves alone")
                    .hint(format!("then delete the file: rm {shown}")))
            }
            Owner::Stranger => Err(Error::failed(format!("will not {verb} {shown}: somebody else wrote it"))
                .hint("move it out of the way if it is not needed")),
        },
        Err(e) if e.kind() == ErrorKind::NotFound && file.symlink_metadata().is_err() => Ok(Old::Nothing),
        Err(e) => Err(Error::failed(format!("cannot read {shown}: {}", io_reason(&e)))),
    }
}

/// Writes the unit and says what changed; true if anything did.
fn write(file: &Path, text: &str, old: &Old, manager: &Manager, printer: Printer) -> Result<bool> {
    let shown = words::path(file);
    if let Old::Ours(old) = old
        && old == text
    {
        printer.note(&format!("{shown} is as it should be"));
        return Ok(false);
    }
    let failed = |e: std::io::Error| {
        let error = Error::failed(format!("cannot write {shown}: {}", io_reason(&e)));
        if e.kind() == ErrorKind::PermissionDenied { error.hint("root can: sudo reclog service …") } else { error }
    };
    let folder = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(failed)?;
    // systemd names what it complains about by the file, which has to end like a unit.
    let beside = tempfile::Builder::new().prefix(".reclog-").tempdir_in(folder).map_err(failed)?;
    let draft = beside.path().join(file.file_name().unwrap_or_default());
    let mut options = std::fs::OpenOptions::new();
    let mut written = options.write(true).create_new(true).mode(0o644).open(&draft).map_err(failed)?;
    std::io::Write::write_all(&mut written, text.as_bytes()).and_then(|()| written.sync_all()).map_err(failed)?;
    let wrong = manager.verify(&draft);
    if !wrong.is_empty() {
        return Err(wrong.iter().fold(
            Error::failed(format!("systemd does not take the unit {shown}; nothing was installed")),
            |error, line| error.hint(line.clone()),
        ));
    }
    std::fs::rename(&draft, file).map_err(failed)?;
    match old {
        Old::Nothing => printer.note(&format!("wrote {shown}")),
        Old::Ours(old) => {
            printer.note(&format!("changed {shown}:"));
            for line in service::difference(old, text) {
                printer.note(&format!("  {}", crate::escape::escape_str(&line)));
            }
        }
    }
    Ok(true)
}

/// Drains, stops, disables, removes what [`install`] wrote.
pub async fn uninstall(name: &str, place: &ServicePlace, paths: &Paths, printer: Printer) -> Result<()> {
    check_name(name)?;
    let scope = any_scope(place)?;
    let home = if scope == Scope::User { home()? } else { PathBuf::from("/") };
    let file = unit_file(name, &scope, &home);
    let unit = service::unit_name(name);
    if matches!(look(&file, "remove")?, Old::Nothing) {
        printer.note(&format!("{unit} is not installed: there is no {}", words::path(&file)));
        return Ok(());
    }
    let manager = manager(name, &scope)?;
    manager.systemctl(&["disable", "--quiet", &unit])?;
    let places = paths_of(name, &scope, paths);
    // Through its own door, which tells what was drained and whether anything was lost.
    let ours = manager.show(&unit)?.pid;
    let drained = if runs(name, ours, &places).await {
        let what = DownArgs { names: vec![name.to_owned()], all: false, now: false, json: false };
        down::run(&what, &places, printer).await
    } else {
        Ok(())
    };
    manager.systemctl(&["stop", &unit])?;
    std::fs::remove_file(&file)
        .map_err(|e| Error::failed(format!("cannot remove {}: {}", words::path(&file), io_reason(&e))))?;
    let _ = manager.systemctl(&["reset-failed", &unit]);
    manager.systemctl(&["daemon-reload"])?;
    printer.note(&format!("removed {}", words::path(&file)));
    let drop_ins = file.with_extension("service.d");
    if drop_ins.exists() {
        printer.note(&format!("left {}: somebody else wrote it", words::path(&drop_ins)));
    }
    if matches!(scope, Scope::System(_)) {
        // Made by systemd for the folders of services; the last one leaves it empty.
        let _ = std::fs::remove_dir(places.runtime.parent().unwrap_or(&places.runtime));
    }
    let trail = places.collector_state(name);
    if trail.exists() {
        printer.note(&format!("left {}: its log and audit trail", words::path(&trail)));
    }
    drained
}

/// Whether the collector of the service answers.
async fn runs(name: &str, pid: u32, paths: &Paths) -> bool {
    for found in client::find(paths).into_iter().filter(|found| found.name == name) {
        if let Ok(client) = client::Client::connect(&found.socket).await
            && client.hello.pid == pid
        {
            return true;
        }
    }
    false
}

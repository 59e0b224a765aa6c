//! `reclog service status`

use std::path::{Path, PathBuf};

use super::super::args_service::ServicePlace;
use super::super::printer::Printer;
use super::super::words;
use super::{any_scope, check_name, home, manager, unit_file};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::paths::Paths;
use crate::service::{self, Active, Owner, Scope};

/// Shows how the service is; not running is exit code 3.
#[expect(clippy::unused_async, reason = "as all verbs")]
pub async fn run(name: &str, place: &ServicePlace, _paths: &Paths, printer: Printer) -> Result<()> {
    check_name(name)?;
    let scope = any_scope(place)?;
    let home = if scope == Scope::User { home()? } else { PathBuf::from("/") };
    let file = unit_file(name, &scope, &home);
    let unit = service::unit_name(name);
    if file.symlink_metadata().is_err() {
        let system = if scope == Scope::User { "" } else { " --system" };
        let other = other_place(name, &scope);
        let error = Error::not_running(format!("{unit} is not installed: there is no {}", words::path(&file)));
        return Err(error.hint(other.unwrap_or_else(|| format!("reclog service install {name}{system}"))));
    }
    let active = manager(name, &scope)?.show(&unit)?;
    printer.data(&text(&unit, &file, &active))?;
    if active.runs() { Ok(()) } else { Err(Error::not_running(format!("{unit} does not run"))) }
}

/// Where else a service of that name is.
fn other_place(name: &str, scope: &Scope) -> Option<String> {
    if *scope != Scope::User {
        return None;
    }
    let system = Scope::System(service::Account { name: String::new(), uid: 0, gid: 0, home: "/".into() });
    let there = unit_file(name, &system, Path::new("/")).exists();
    there.then(|| format!("there is a service of the machine: reclog service status {name} --system"))
}

fn text(unit: &str, file: &Path, active: &Active) -> String {
    let mut text = format!("{unit}  {}", active.state);
    if active.runs() && active.pid != 0 {
        text.push_str(&format!(" (pid {})", active.pid));
    }
    let whose = match std::fs::read_to_string(file).map(|text| service::owner(&text)) {
        Ok(Owner::Reclog) => "",
        Ok(Owner::Changed) => " (changed by somebody)",
        Ok(Owner::Stranger) => " (written by somebody else)",
        Err(_) => " (cannot be read)",
    };
    text.push_str(&format!("\n  unit      {}{whose}\n", words::path(file)));
    text.push_str(&format!("  at start  {}\n", if active.enabled.is_empty() { "unknown" } else { &active.enabled }));
    if !active.text.is_empty() {
        text.push_str(&format!("  says      {}\n", escape_str(&active.text)));
    }
    if active.restarts > 0 {
        text.push_str(&format!("  restarts  {}\n", active.restarts));
    }
    if active.result != "success" && !active.result.is_empty() {
        text.push_str(&format!("  ended by  {} ({})\n", escape_str(&active.result), active.status));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_stands_in_the_text() {
        let active = Active {
            state: "activating".into(),
            enabled: "enabled".into(),
            pid: 7,
            restarts: 2,
            result: "exit-code".into(),
            status: 1,
            text: "waiting".into(),
            ..Active::default()
        };
        let text = text("reclog-web.service", Path::new("/nonexistent/x"), &active);
        for part in ["activating (pid 7)", "enabled", "waiting", "restarts  2", "exit-code (1)"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}

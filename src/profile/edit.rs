//! `reclog profile edit`: the user's editor, then a check.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::paths::Paths;
use crate::profile::explain::{Checked, check};
use crate::profile::store;

/// Opens a saved profile in `$VISUAL`, `$EDITOR` or vi, waits, and checks it. The file stays as the editor left it.
///
/// # Errors
/// When there is no such profile, the editor fails, or what was written does not hold together.
pub fn edit(name: &str, paths: &Paths) -> Result<Checked> {
    let file = store::path(name, paths)?;
    // An editor reads it now. Where it cannot be written the profile still can.
    let _ = store::refresh_schema(paths);
    let set = |key: &str| env::var_os(key).filter(|value| !value.is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into());
    let status = run(&editor, &file);
    let shown = escape_str(&editor.to_string_lossy());
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(Error::failed(format!("the editor {shown} ended with {status}"))),
        Err(e) => return Err(Error::failed(format!("cannot run the editor {shown}: {}", io_reason(&e)))),
    }
    check(name, paths)
        .map_err(|error| error.hint(format!("the file is kept; `reclog profile edit {name}` opens it again")))
}

/// The shell splits the editor's arguments, as git has it: `EDITOR="code --wait"` works. The path is no part of the
/// script, so nothing in it is ever run.
fn run(editor: &OsString, file: &Path) -> std::io::Result<ExitStatus> {
    let mut script = editor.clone();
    script.push(" \"$1\"");
    Command::new("sh").arg("-c").arg(script).arg("reclog").arg(file).status()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_may_have_arguments_and_the_path_is_never_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("$(touch evil) 'x\".yaml");
        assert!(run(&"touch -m".into(), &file).unwrap().success());
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(names, std::slice::from_ref(&file));
        assert!(!run(&"false".into(), &file).unwrap().success());
    }
}

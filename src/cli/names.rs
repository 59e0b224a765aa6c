//! `__names`: what the completion scripts offer, so that shells and reclog cannot disagree on where things lie.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::PathBuf;

use crate::cli::args::{NamesArg, NamesArgs};
use crate::paths::Paths;
use crate::plan::is_name;

/// Prints the names, one a line; nothing when anything is wrong: a person is typing, and this is no time to complain.
pub fn run(args: &NamesArgs) {
    let Ok(paths) = Paths::discover() else { return };
    let mut text = names(args.what, &paths).join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The names of `what`: profiles that are saved and collectors whose socket is there, sorted; pages in their order. A folder that cannot be read
/// has none.
#[must_use]
pub fn names(what: NamesArg, paths: &Paths) -> Vec<String> {
    let (folders, extension): (Vec<PathBuf>, _) = match what {
        NamesArg::Profiles => (vec![paths.profiles()], "yaml"),
        NamesArg::Collectors => (paths.runtimes(), "sock"),
        NamesArg::Pages => return super::manual::names(),
    };
    let files = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let named = |path: PathBuf| {
        (path.extension() == Some(OsStr::new(extension)))
            .then(|| path.file_stem().and_then(OsStr::to_str).map(str::to_owned))
            .flatten()
    };
    files
        .filter_map(|file| named(file.path()))
        .filter(|name| is_name(name))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_can_be_meant_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let paths = Paths { config: root.join("c"), state: root.join("s"), runtime: root.join("r") };
        assert!(names(NamesArg::Profiles, &paths).is_empty());
        for file in ["c/profiles/web.yaml", "c/profiles/a b.yaml", "c/profiles/notes.txt", "c/profiles/.yaml"] {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        for file in
            ["r/jump.example.org.sock", "r/jump.example.org.lock", "s/run/cron.sock", "r/x.sock", "s/run/x.sock"]
        {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(names(NamesArg::Profiles, &paths), ["web"]);
        assert_eq!(names(NamesArg::Collectors, &paths), ["cron", "jump.example.org", "x"]);
    }
}

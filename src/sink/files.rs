//! The files of a template, before the first of them is there.

use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Access, access};

use super::below::Below;
use super::route::Route;
use super::router::Router;
use crate::error::{Error, io_reason};
use crate::plan::Template;

/// Files whose names are made of senders and the time; each is opened with its first record.
#[derive(Debug)]
pub struct Files {
    pub(super) router: Arc<Router>,
    pub(super) disk: Arc<Below>,
}

impl Files {
    /// Those of a stream.
    ///
    /// # Errors
    /// When there is no folder before the first placeholder in which something may be made.
    pub fn of(template: &Template, stream: &str) -> Result<Self, Error> {
        let root = template.fixed();
        check(root).map_err(|(why, hint)| {
            let message = format!("cannot write the files {template}: the folder {}: {why}", root.display());
            Error::failed(message).hint(hint)
        })?;
        Ok(Self {
            disk: Arc::new(Below::new(root.to_owned())),
            router: Arc::new(Router::new(Route::new(template.clone(), stream))),
        })
    }
}

/// Why nothing can be made in `root`, and what to do.
fn check(root: &Path) -> Result<(), (String, String)> {
    let folder = root.display();
    let meta = std::fs::metadata(root)
        .map_err(|e| (io_reason(&e), format!("make the folder first: mkdir -p {folder}; those below it are made")))?;
    if !meta.is_dir() {
        return Err(("it is no folder".into(), "what stands before the first placeholder is a folder".into()));
    }
    access(root, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|e| (io_reason(&e.into()), format!("you need write permission for {folder}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_before_the_first_placeholder_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let of = |path: &str| Files::of(&Template::path(&format!("{}{path}", dir.path().display())).unwrap(), "main");
        assert!(of("/{date}/x").is_ok());
        let missing = of("/a/{date}").unwrap_err();
        assert!(missing.message.ends_with("/a: No such file or directory"), "{missing:?}");
        assert!(missing.hint_text().unwrap().contains("mkdir -p"), "{missing:?}");
        std::fs::write(dir.path().join("a"), "").unwrap();
        assert!(of("/a/{date}").unwrap_err().message.ends_with("it is no folder"));
    }
}

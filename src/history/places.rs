//! Which streams there are, of collectors that run and of those that do not, and where the catalogs of their archives lie.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::look;
use crate::archive::{self, Made, catalog};
use crate::paths::Paths;
use crate::plan::{Output, To};

/// A stream that a collector has had, as it was when that one was started last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The collector.
    pub collector: String,
    /// The stream.
    pub stream: String,
    /// Its first output on disk, as the snapshot has it: a path, or a template.
    pub output: PathBuf,
    /// `raw`, `prefix` or `json`.
    pub format: String,
    /// The template of the prefix.
    pub prefix: Option<String>,
    /// Where the catalogs lie.
    pub folder: PathBuf,
}

impl Known {
    /// The catalog of `path`: the output, or one of the files of the template.
    #[must_use]
    pub fn catalog(&self, path: &Path) -> PathBuf {
        catalog_of(&self.folder, path)
    }
}

/// One of the files of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Its path below the fixed part of the template; what is no text in it is replaced.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Bytes in it.
    pub bytes: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

/// All streams that are known, those of collectors that run among them; by the names of collectors, then in the order of
/// their plans. What cannot be read is left out.
#[must_use]
pub fn catalogs(paths: &Paths) -> Vec<Known> {
    let mut all: Vec<Known> = Vec::new();
    for state in paths.states() {
        let entries = std::fs::read_dir(&state).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        for collector in names {
            let folder = state.join(&collector).join(catalog::FOLDER);
            // A name that is known in two places is the one of this environment.
            if all.iter().any(|known| known.collector == collector && known.folder != folder) {
                continue;
            }
            let sources = catalog::sources(&folder).unwrap_or_default();
            all.extend(sources.into_iter().map(|source| Known {
                collector: collector.clone(),
                stream: source.stream,
                output: source.output,
                format: source.format,
                prefix: source.prefix,
                folder: folder.clone(),
            }));
        }
    }
    all.sort_by(|a, b| a.collector.cmp(&b.collector));
    all
}

/// The catalog in `folder` of the file at `path`, where that leads to a file.
#[must_use]
pub fn catalog_of(folder: &Path, path: &Path) -> PathBuf {
    catalog::path(folder, &look::place(path))
}

/// The files that `output` has made, those written last first; `None`: it is no template but one file.
///
/// # Errors
/// Those of reading the fixed folder, except that it is not there.
pub fn files(output: &Path) -> io::Result<Option<Vec<NamedFile>>> {
    let Ok(output) = Output::parse(output) else { return Ok(None) };
    let To::Files(template) = output.to() else { return Ok(None) };
    let made = match archive::made(template) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        made => made?,
    };
    let named = |Made { path, bytes, modified, .. }: Made| {
        let name = path.strip_prefix(template.fixed()).unwrap_or(&path).to_string_lossy().into_owned();
        NamedFile { name, path, bytes, modified }
    };
    Ok(Some(made.into_iter().map(named).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::catalog::Source;

    #[test]
    fn streams_of_collectors_that_do_not_run_are_known_by_what_they_wrote_down() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let paths = Paths { config: at("c"), state: at("s"), runtime: at("r") };
        let source = |stream: &str| Source {
            stream: stream.into(),
            output: at("out").join(stream),
            format: "prefix".into(),
            prefix: Some("{time} ".into()),
        };
        for (collector, streams) in [("two", &["main"][..]), ("one", &["web", "app"])] {
            let folder = at("s").join(collector).join(catalog::FOLDER);
            std::fs::create_dir_all(&folder).unwrap();
            let all: Vec<_> = streams.iter().map(|stream| source(stream)).collect();
            catalog::write_sources(&folder, &all).unwrap();
        }
        std::fs::create_dir_all(at("s").join("broken").join(catalog::FOLDER)).unwrap();
        std::fs::write(at("s").join("broken").join(catalog::FOLDER).join("streams.json"), "[{").unwrap();
        // Services of this machine may be known, too.
        let all: Vec<_> = catalogs(&paths).into_iter().filter(|known| known.folder.starts_with(dir.path())).collect();
        let names: Vec<_> = all.iter().map(|k| format!("{}/{}", k.collector, k.stream)).collect();
        assert_eq!(names, ["one/web", "one/app", "two/main"]);
        assert_eq!((&all[0].output, all[0].prefix.as_deref()), (&at("out").join("web"), Some("{time} ")));
        assert_eq!(all[0].catalog(&all[0].output).parent(), Some(&*at("s").join("one").join(catalog::FOLDER)));
    }

    #[test]
    fn a_catalog_is_found_by_every_way_to_its_file_and_each_file_has_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let (one, other) = (real.join("file.log"), real.join("other.log"));
        std::os::unix::fs::symlink("file.log", real.join("current")).unwrap();
        let of = |path: &Path| catalog_of(Path::new("/s"), path);
        assert_eq!(of(&one), of(&link.join("file.log")));
        assert_eq!(of(&one), of(&link.join("current")));
        assert_eq!(of(&one), catalog::path(Path::new("/s"), &one), "as the collector names it");
        assert_ne!(of(&one), of(&other));
    }

    #[test]
    fn files_of_a_template_are_named_below_its_fixed_part() {
        let dir = tempfile::tempdir().unwrap();
        let template = dir.path().join("{peer_ip}/{date}.log");
        assert_eq!(files(&template).unwrap(), Some(vec![]));
        std::fs::create_dir(dir.path().join("10.0.0.1")).unwrap();
        std::fs::write(dir.path().join("10.0.0.1/2026-11-21.log"), "x\n").unwrap();
        std::fs::write(dir.path().join("10.0.0.1/2026-11-21.log.2026-11-21T00-41-28.123456Z"), "x\n").unwrap();
        let all = files(&template).unwrap().unwrap();
        assert_eq!(
            all.iter().map(|file| (&file.name[..], file.bytes)).collect::<Vec<_>>(),
            [("10.0.0.1/2026-11-21.log", 2)]
        );
        assert_eq!(files(&dir.path().join("file.log")).unwrap(), None);
    }
}

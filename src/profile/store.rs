//! The folder of saved profiles, and single files of it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::paths::{Paths, absolute, credential, expand_tilde};
use crate::plan::{Plan, is_name, name_from};
use crate::profile::explain::summary;
use crate::profile::nearest::did_you_mean;
use crate::profile::position;
use crate::profile::problem::{Problem, quote};
use crate::profile::raw::RawProfile;
use crate::profile::resolve::{check_name, resolve_profile};
use crate::profile::schema::schema;
use crate::profile::write::to_yaml;

/// Longest profile in bytes: two thousand streams, and little enough that the worst YAML is read in a moment.
const MAX_BYTES: u64 = 256 * 1024;

/// What `profile init` writes; `NAME` is replaced.
const TEMPLATE: &str = include_str!("template.yaml");

/// A profile that was read and whose form is sound; what it means is asked of [`resolve_up`](super::resolve_up).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// File name without `.yaml`, made safe: the name of its collector.
    pub name: String,
    /// Where it lies, absolute.
    pub path: PathBuf,
    /// The file, as it is.
    pub text: String,
    pub(super) raw: RawProfile,
}

impl Profile {
    /// Reads the profile at `path`, which need not lie in the folder of profiles.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage), with line and column where there is one.
    pub fn load(path: &Path) -> Result<Self> {
        let path = absolute(path);
        let text = read(&path)?;
        let raw = RawProfile::parse(&text).map_err(|problem| problem.into_error(&path, &text))?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name: name_from(&stem), path, text, raw })
    }

    /// `problem`, with this file's name and the place in it.
    pub(super) fn error(&self, problem: Problem) -> Error {
        problem.into_error(&self.path, &self.text)
    }

    /// Whether the key at the end of `path` is written.
    pub(super) fn has(&self, path: &[&str]) -> bool {
        let path: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
        position::of_key(&self.text, &path).is_some()
    }

    /// The path, for messages.
    pub(super) fn shown(&self) -> String {
        escape_str(&self.path.display().to_string())
    }

    /// The folder that paths of the profile are relative to.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// As [`Self::place`], for a secret: a credential of the service manager has no path yet.
    pub(super) fn secret(&self, written: &str) -> PathBuf {
        if credential(written).is_some() { written.into() } else { self.place(written) }
    }

    /// A path of the profile made absolute: `~/` is the home directory, the rest relative to the profile's folder.
    pub(super) fn place(&self, written: &str) -> PathBuf {
        absolute(&self.folder().join(expand_tilde(written)))
    }
}

fn read(path: &Path) -> Result<String> {
    let wrong = |why: &str| Problem::file(why).into_error(path, "");
    let io = |e: std::io::Error| wrong(&io_reason(&e));
    let meta = fs::metadata(path).map_err(io)?;
    if meta.is_dir() {
        return Err(wrong("it is a folder"));
    }
    // A pipe could keep us waiting for ever.
    if !meta.is_file() {
        return Err(wrong("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong(&format!("it has more than {} KiB", MAX_BYTES / 1024)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|b| *b == b'\n').count();
        wrong(&format!("line {line} is not UTF-8"))
    })
}

/// The file that `reference` names: a path when it looks like one (it holds a `/` or ends in `.yaml` or `.yml`), else
/// the saved profile if there is one of that name.
pub(super) fn file_of(reference: &str, paths: &Paths) -> Option<PathBuf> {
    let uri = reference.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("ssh://"));
    if !uri && looks_like_path(reference) {
        return Some(absolute(&expand_tilde(reference)));
    }
    let saved = is_name(reference).then(|| paths.profile(reference))?;
    // A link that leads nowhere is a profile that cannot be read, not a host.
    saved.symlink_metadata().is_ok().then_some(saved)
}

fn looks_like_path(reference: &str) -> bool {
    let extension = Path::new(reference).extension();
    reference.contains('/') || extension.is_some_and(|ext| ext == "yaml" || ext == "yml")
}

/// Reads a saved profile, or a file when `reference` looks like a path.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) when there is none, with the nearest name.
pub fn find(reference: &str, paths: &Paths) -> Result<Profile> {
    match file_of(reference, paths) {
        Some(file) => Profile::load(&file),
        None => Err(unknown(reference, paths)),
    }
}

/// Where the saved profile called `name` lies; it exists, but need not be sound.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) when there is none of that name, with the nearest one.
pub fn path(name: &str, paths: &Paths) -> Result<PathBuf> {
    let file = is_name(name).then(|| paths.profile(name)).filter(|file| file.symlink_metadata().is_ok());
    file.ok_or_else(|| unknown(name, paths))
}

fn unknown(name: &str, paths: &Paths) -> Error {
    let folder = escape_str(&paths.profiles().display().to_string());
    let error = Error::usage(format!("no profile called {} in {folder}", quote(name)));
    let saved = names(paths);
    if is_name(name) && paths.profiles().join(format!("{name}.yml")).exists() {
        return error.hint(format!("there is {name}.yml; profiles end in .yaml"));
    }
    match did_you_mean(name, saved.iter().map(String::as_str)) {
        Some(hint) => error.hint(hint),
        None if saved.is_empty() => error.hint("`reclog profile init NAME` writes one to start from"),
        None => error.hint(format!("saved profiles: {}", saved.join(", "))),
    }
}

/// Names of the saved profiles, sorted; none when the folder cannot be read.
pub(super) fn names(paths: &Paths) -> Vec<String> {
    let Ok(entries) = fs::read_dir(paths.profiles()) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".yaml").map(str::to_owned))
        .filter(|name| is_name(name))
        .collect();
    names.sort_unstable();
    names
}

/// One line of `reclog profile list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The profile's name.
    pub name: String,
    /// Target and ports in one line, or what is wrong with it.
    pub summary: Result<String>,
}

/// All saved profiles, sorted by name; broken ones have their error. No folder is no profiles.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(paths: &Paths) -> Result<Vec<Listed>> {
    let folder = paths.profiles();
    if let Err(e) = fs::read_dir(&folder)
        && e.kind() != ErrorKind::NotFound
    {
        let shown = escape_str(&folder.display().to_string());
        return Err(Error::failed(format!("cannot read the folder {shown}: {}", io_reason(&e))));
    }
    let listed = |name: String| {
        let plan = Profile::load(&paths.profile(&name)).and_then(|profile| resolve_profile(&profile));
        Listed { name, summary: plan.map(|plan| summary(&plan)) }
    };
    Ok(names(paths).into_iter().map(listed).collect())
}

/// The saved profile as it is written, broken or not.
///
/// # Errors
/// When there is none of that name, or it cannot be read.
pub fn show(name: &str, paths: &Paths) -> Result<String> {
    read(&path(name, paths)?)
}

/// Deletes a saved profile and returns where it was.
///
/// # Errors
/// When there is none of that name, or it cannot be deleted.
pub fn remove(name: &str, paths: &Paths) -> Result<PathBuf> {
    let file = path(name, paths)?;
    fs::remove_file(&file).map_err(|e| {
        Error::failed(format!(
            "cannot delete the profile {}: {}",
            escape_str(&file.display().to_string()),
            io_reason(&e)
        ))
    })?;
    Ok(file)
}

/// Writes a commented profile to start from, and returns where it is. Its first line names the schema to editors.
///
/// # Errors
/// When the name is bad or (without `force`) taken, or a file cannot be written.
pub fn init(name: &str, force: bool, paths: &Paths) -> Result<PathBuf> {
    let file = write(name, force, paths, "init", |name| Ok(TEMPLATE.replace("NAME", name)))?;
    refresh_schema(paths).map_err(|e| {
        let shown = escape_str(&paths.config.join(SCHEMA).display().to_string());
        Error::failed(format!("cannot write the schema of profiles {shown}: {}", io_reason(&e)))
    })?;
    Ok(file)
}

/// Beside the folder of profiles, where their first line looks for it: it is no profile, it needs no network, and the line
/// holds wherever the folder is moved to.
const SCHEMA: &str = "profile.schema.json";

/// Makes the schema that editors read that of this very program; whoever opens a profile meanwhile sees the old one or the new one.
pub(super) fn refresh_schema(paths: &Paths) -> std::io::Result<()> {
    let file = paths.config.join(SCHEMA);
    let text = format!("{:#}\n", schema());
    if fs::read_to_string(&file).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let temporary = paths.config.join(format!(".{SCHEMA}.{}.tmp", std::process::id()));
    write_file(&temporary, &text).and_then(|()| fs::rename(&temporary, &file))
}

/// The first line of the profiles that are written here: it names the schema to editors.
const MODELINE: &str = "# yaml-language-server: $schema=../profile.schema.json\n";

/// Saves `plan` as a profile that means the same, and returns where it is. The plan's name is not part of it: a
/// collector is called like its profile. Its first line names the schema to editors.
///
/// # Errors
/// When the name is bad or (without `force`) taken, a path is not UTF-8, or the file cannot be written.
pub fn save(plan: &Plan, name: &str, force: bool, paths: &Paths) -> Result<PathBuf> {
    let file = write(name, force, paths, "save", |_| Ok(MODELINE.to_owned() + &to_yaml(plan)?))?;
    // An editor without it checks nothing; the profile is as good.
    let _ = refresh_schema(paths);
    Ok(file)
}

fn write(
    name: &str,
    force: bool,
    paths: &Paths,
    verb: &str,
    text: impl FnOnce(&str) -> Result<String>,
) -> Result<PathBuf> {
    check_name(name).map_err(|why| Error::usage(format!("cannot {verb} the profile: {why}")))?;
    let text = text(name)?;
    let (folder, file) = (paths.profiles(), paths.profile(name));
    let shown = escape_str(&file.display().to_string());
    let failed = |e: std::io::Error| Error::failed(format!("cannot write the profile {shown}: {}", io_reason(&e)));
    let taken = || Error::usage(format!("there is a profile {shown} already")).hint("--force replaces it");
    if !force && file.symlink_metadata().is_ok() {
        return Err(taken());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
    // Written beside it and moved into place: whoever reads meanwhile sees the old profile or the new one. The leading
    // dot keeps it out of the list of profiles.
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = write_file(&temporary, &text).and_then(|()| {
        if force {
            return fs::rename(&temporary, &file);
        }
        // A link, unlike a rename, never replaces what someone else wrote a moment ago; not every file system has it.
        match fs::hard_link(&temporary, &file) {
            Ok(()) => fs::remove_file(&temporary),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(e),
            Err(_) => fs::rename(&temporary, &file),
        }
    });
    written.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        if e.kind() == ErrorKind::AlreadyExists { taken() } else { failed(e) }
    })?;
    Ok(file)
}

fn write_file(path: &Path, text: &str) -> std::io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;

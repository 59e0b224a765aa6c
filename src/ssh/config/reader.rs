//! Files: their blocks, the files that they include, and who may have written them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::account::{Account, is_ours};
use super::keywords::{self, Keyword, Kind, Use};
use super::values::Values;
use super::{check, line, pattern};
use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;

/// How deep files may include each other, as for ssh.
const DEEPEST: usize = 16;
/// A configuration is text that somebody wrote: beyond this it is something else.
const LONGEST: u64 = 64 << 20;
/// Bad lines of one file that are told.
const TOLD: usize = 10;
/// After so many bad lines the rest of a file is not looked at: it is something else.
const MOST_BAD: usize = 1000;
/// Characters of a bad line that are told.
const LONGEST_TOLD: usize = 300;

/// What is wrong with a line, with a hint; or with more than that.
pub(super) enum Trouble {
    Line(String, Option<String>),
    Fatal(Error),
}

impl From<String> for Trouble {
    fn from(what: String) -> Self {
        Self::Line(what, None)
    }
}

impl From<&str> for Trouble {
    fn from(what: &str) -> Self {
        Self::Line(what.to_owned(), None)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

/// Where a line stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The files that led here, the last one with the line.
    chain: &'a [PathBuf],
    /// The user's own, or the system's.
    by_user: bool,
    /// Below a block that does not hold: no block in here holds either.
    dormant: bool,
}

/// One pass over the configuration.
pub(super) struct Reader<'a> {
    pub account: &'a Account,
    /// The host as the user wrote it.
    pub alias: &'a str,
    /// What `Host` lines are compared with.
    pub host: String,
    /// Whether this is the second pass, with the host's name settled.
    pub is_final: bool,
    /// Whether a `Match final` was seen.
    pub wants_final: bool,
    pub values: Values,
}

/// A file to read.
pub(super) struct Source<'a> {
    pub path: &'a Path,
    /// Whether the user named it.
    pub required: bool,
    pub by_user: bool,
    /// Whether nobody else may have written it.
    pub private: bool,
}

impl Reader<'_> {
    /// Reads a file and all that it includes.
    ///
    /// # Errors
    /// Usage errors name file and line. A missing file is one only when it is required.
    pub fn file(&mut self, source: &Source<'_>) -> Result<()> {
        match open(source.path) {
            Ok(file) => {
                let chain = [source.path.to_owned()];
                let place = Place { chain: &chain, by_user: source.by_user, dormant: false };
                self.text(file, place, source.private, true)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound && !source.required => Ok(()),
            Err(e) => Err(cannot_read(source.path, &io_reason(&e))
                .hint("-F names an ssh_config(5) file; without -F the files of ssh are read")),
        }
    }

    fn text(&mut self, mut file: File, place: Place<'_>, private: bool, active: bool) -> Result<()> {
        let path = place.chain.last().map_or(Path::new(""), PathBuf::as_path);
        let failed = |e: io::Error| cannot_read(path, &io_reason(&e));
        let meta = file.metadata().map_err(failed)?;
        if private && !is_ours(&meta, nix::unistd::getuid().as_raw()) {
            return Err(Error::usage(format!(
                "bad owner or permissions on the ssh configuration {}: only you and root may write to it",
                shown(path)
            ))
            .hint(format!("chmod go-w {0}; chown \"$(id -un)\" {0}", shown(path))));
        }
        let mut bytes = Vec::new();
        io::Read::by_ref(&mut file).take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > LONGEST {
            return Err(cannot_read(path, "it is longer than 64 MiB"));
        }
        let mut active = active && !place.dormant;
        let mut bad = Vec::new();
        for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
            if bad.len() == MOST_BAD {
                break;
            }
            match self.line(&String::from_utf8_lossy(line), place, &mut active) {
                Ok(()) => {}
                Err(Trouble::Line(what, hint)) => bad.push((index + 1, what, hint)),
                Err(Trouble::Fatal(error)) if bad.is_empty() => return Err(error),
                Err(Trouble::Fatal(_)) => break,
            }
        }
        if bad.is_empty() { Ok(()) } else { Err(told(path, &bad)) }
    }

    fn line(&mut self, text: &str, place: Place<'_>, active: &mut bool) -> Result<(), Trouble> {
        let Some(line) = line::cut(text)? else { return Ok(()) };
        let keyword = self.keyword(&line.keyword, &line.written)?;
        let arguments = match keyword {
            Some(keyword) => check::arguments(keyword, &line.rest)?,
            None => line::arguments(&line.rest)?,
        };
        match keyword {
            Some(Keyword { kind: Kind::Host, .. }) => {
                if !place.dormant && arguments.iter().any(String::is_empty) {
                    return Err("an empty pattern in `Host`".into());
                }
                *active = !place.dormant && pattern::host_line_matches(&arguments, &self.host);
                Ok(())
            }
            Some(Keyword { kind: Kind::Match, .. }) => {
                // After a bad line nothing is taken: it would be for whom nobody knows.
                *active = false;
                *active = self.matches(&line.rest, place.dormant)? && !place.dormant;
                Ok(())
            }
            Some(Keyword { kind: Kind::Include, .. }) => {
                arguments.iter().try_for_each(|written| self.include(written, place, *active))
            }
            Some(keyword) if *active => Ok(self.values.offer(keyword, arguments, place.by_user)?),
            // Of a block that does not hold, or one that IgnoreUnknown covers.
            Some(_) | None => Ok(()),
        }
    }

    /// `KEY=VALUE` of `-o`.
    ///
    /// # Errors
    /// Usage errors name the option.
    pub fn option(&mut self, text: &str) -> Result<()> {
        let bad = |what: &str| {
            Error::usage(format!("cannot use -o {}: {what}", escape_str(text)))
                .hint("write -o KEYWORD=VALUE, as for ssh")
        };
        let result = line::cut(text).map_err(Trouble::from).and_then(|line| {
            let Some(line) = line else { return Ok(()) };
            let Some(keyword) = self.keyword(&line.keyword, &line.written)? else { return Ok(()) };
            if matches!(keyword.kind, Kind::Host | Kind::Match | Kind::Include) {
                return Err(format!("`{}` stands in files only", keyword.name).into());
            }
            let arguments = check::arguments(keyword, &line.rest)?;
            Ok(self.values.offer(keyword, arguments, true)?)
        });
        match result {
            Ok(()) => Ok(()),
            Err(Trouble::Fatal(error)) => Err(error),
            Err(Trouble::Line(what, None)) => Err(bad(&what)),
            Err(Trouble::Line(what, Some(hint))) => Err(bad(&what).hint(hint)),
        }
    }

    /// The keyword of a line; `None` for one that `IgnoreUnknown` covers.
    fn keyword(&self, name: &str, written: &str) -> Result<Option<&'static Keyword>, Trouble> {
        match keywords::find(name) {
            Some(keyword) => {
                if keyword.used == Use::Gone {
                    tracing::debug!("{name} of the ssh configuration is read no more by ssh itself");
                }
                Ok(Some(keyword))
            }
            None if self.values.ignores(name) => Ok(None),
            None => {
                let hint = match keywords::nearest(name) {
                    Some(near) => format!("did you mean `{near}`? Keywords are those of ssh_config(5)"),
                    None => "keywords are those of ssh_config(5); IgnoreUnknown names those to pass over".into(),
                };
                Err(Trouble::Line(format!("there is no keyword `{}`", escape_str(written)), Some(hint)))
            }
        }
    }

    fn include(&mut self, written: &str, place: Place<'_>, active: bool) -> Result<(), Trouble> {
        if written.is_empty() {
            return Err("an empty name in `Include`".into());
        }
        for path in self.included(written, place.by_user)? {
            if place.chain.len() > DEEPEST {
                let first = place.chain.iter().position(|p| *p == path).unwrap_or(0);
                let names: Vec<_> = place.chain[first..].iter().take(4).map(|p| p.display().to_string()).collect();
                return Err(Trouble::Fatal(
                    Error::usage(format!(
                        "cannot read the ssh configuration {}: files include each other more than {DEEPEST} deep",
                        shown(&place.chain[0])
                    ))
                    .hint(format!("look at the Include lines of {}", escape_str(&names.join(", ")))),
                ));
            }
            let file = match open(&path) {
                Ok(file) => file,
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => {
                    tracing::debug!("Include {}: {}", shown(&path), io_reason(&e));
                    continue;
                }
                Err(e) => {
                    let shown = shown(&path);
                    return Err(format!("cannot read {shown}: {}", io_reason(&e)).into());
                }
            };
            let chain = [place.chain, std::slice::from_ref(&path)].concat();
            let inner = Place { chain: &chain, by_user: place.by_user, dormant: place.dormant || !active };
            // Blocks of an included file end with it.
            self.text(file, inner, true, active)?;
        }
        Ok(())
    }

    /// The files that an `Include` names, in order; none is no error.
    fn included(&self, written: &str, by_user: bool) -> Result<Vec<PathBuf>, Trouble> {
        let written = match written.strip_prefix('~') {
            Some(_) if !by_user => return Err("`~` in the system's configuration is nobody's home".into()),
            // As ssh's glob has it, and unlike every other `~` of ssh: the environment comes first.
            Some(rest) if rest.is_empty() || rest.starts_with('/') => self.home()?.join(rest.trim_start_matches('/')),
            Some(_) => self.account.expand_tilde(written)?,
            None if written.starts_with('/') => written.into(),
            None if by_user => self.home()?.join(".ssh").join(written),
            None => Path::new("/etc/ssh").join(written),
        };
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let mut pattern = written.to_string_lossy().into_owned();
        while pattern.contains("**") {
            pattern = pattern.replace("**", "*");
        }
        // A bracket that is not closed is nothing but a character.
        let Ok(found) = glob::glob_with(&pattern, options) else { return Ok(vec![written]) };
        found
            .map(|path| {
                path.map_err(|e| format!("cannot look for {}: {}", escape_str(&pattern), io_reason(e.error())).into())
            })
            .collect()
    }

    fn home(&self) -> Result<PathBuf> {
        match std::env::var_os("HOME") {
            Some(home) => Ok(home.into()),
            None => Ok(self.account.get()?.dir.clone()),
        }
    }
}

/// Opens `path`, which must not be a folder.
fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
}

fn shown(path: &Path) -> String {
    escape_str(&path.display().to_string())
}

fn cannot_read(path: &Path, why: &str) -> Error {
    Error::usage(format!("cannot read the ssh configuration {}: {why}", shown(path)))
}

/// All bad lines of a file in one error.
fn told(path: &Path, bad: &[(usize, String, Option<String>)]) -> Error {
    let cut = |what: &str| what.chars().take(LONGEST_TOLD).collect::<String>();
    let mut lines: Vec<_> =
        bad.iter().take(TOLD).map(|(line, what, _)| format!("line {line}: {}", cut(what))).collect();
    if bad.len() == MOST_BAD {
        lines.push("and many more".into());
    } else if bad.len() > TOLD {
        lines.push(format!("and {} more", bad.len() - TOLD));
    }
    let file = shown(path);
    let mut error = Error::usage(format!("bad ssh configuration {file}: {}", lines.join("; ")));
    for hint in bad.iter().take(TOLD).filter_map(|(_, _, hint)| hint.as_ref()) {
        if !error.hints.contains(hint) {
            error = error.hint(hint.clone());
        }
    }
    error
}

//! The streams of a plan: the profile's, with what the command line says about `main`.

use std::path::{Component, Path, PathBuf};

use crate::archive::aside;
use crate::error::{Error, Result};
use crate::paths::{absolute, expand_tilde};
use crate::plan::{
    DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_LINE, DEFAULT_MIN_FREE, Ends, Format, Framing, Limits, Output, StreamPlan,
    Sync,
};
use crate::profile::address::Address;
use crate::profile::door::{Door, door};
use crate::profile::framing::Clash;
use crate::profile::problem::{Problem, quote};
use crate::profile::raw::RawStream;
use crate::profile::rotate::RawRotate;
use crate::profile::scalar;
use crate::profile::store::Profile;
use crate::profile::target::overlap;

/// What the command line says about the stream `main`, checked.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamFlags {
    /// `--remote-port`
    pub remote_port: Option<u16>,
    /// `--bind`
    pub bind: Option<String>,
    /// `--relay`
    pub relay: bool,
    /// `--out`, absolute.
    pub out: Option<PathBuf>,
    /// `--framing`
    pub framing: Option<Framing>,
    /// `--strip-cr`
    pub strip_cr: bool,
    /// `--nul`
    pub nul: bool,
    /// `--max-line` in bytes.
    pub max_line: Option<usize>,
    /// `--max-connections`
    pub max_connections: Option<usize>,
    /// `--sync`
    pub sync: Option<Sync>,
    /// `--min-free` in bytes.
    pub min_free: Option<u64>,
    /// `--rotate-size` and its like.
    pub rotate: RawRotate,
}

impl StreamFlags {
    /// Those given that make no sense for a Unix socket.
    pub fn about_a_port(&self) -> Vec<&'static str> {
        listed(&[
            ("--remote-port", self.remote_port.is_some()),
            ("--bind", self.bind.is_some()),
            ("--relay", self.relay),
        ])
    }

    fn given(&self) -> Vec<&'static str> {
        let mut given = self.about_a_port();
        given.extend(listed(&[
            ("--out", self.out.is_some()),
            ("--framing", self.framing.is_some()),
            ("--strip-cr", self.strip_cr),
            ("--nul", self.nul),
            ("--max-line", self.max_line.is_some()),
            ("--max-connections", self.max_connections.is_some()),
            ("--sync", self.sync.is_some()),
            ("--min-free", self.min_free.is_some()),
        ]));
        given.extend(self.rotate.given());
        given
    }
}

/// The flags that are set.
pub(super) fn listed(flags: &[(&'static str, bool)]) -> Vec<&'static str> {
    flags.iter().filter(|(_, set)| *set).map(|(flag, _)| *flag).collect()
}

/// The streams of `profile`, with flags laid over `main`.
pub(super) fn streams_of(profile: &Profile, flags: &StreamFlags) -> Result<Vec<StreamPlan>> {
    let mut drafts = profile.raw.streams.0.clone();
    if let Some(flag) = flags.given().first()
        && !drafts.iter().any(|(name, _)| name == "main")
    {
        if !drafts.is_empty() {
            let names: Vec<&str> = drafts.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::usage(format!(
                "{flag} describes the stream `main`, and the profile {} has none: its streams are {}",
                profile.shown(),
                names.join(", ")
            ))
            .hint("change the profile, or name the jump host instead of it"));
        }
        drafts.push(("main".to_owned(), RawStream::default()));
    }
    if drafts.is_empty() {
        return Err(profile.error(Problem::value(&[], "it has no stream").hint(
            "add `streams: { main: { remote_port: 55514, out: ~/file.log } }`, or give --remote-port and --out",
        )));
    }
    let nothing = StreamFlags::default();
    let listens = drafts.iter().any(|(_, stream)| stream.listen.is_some());
    drafts
        .iter()
        .map(|(name, raw)| {
            let flags = if name == "main" { flags } else { &nothing };
            one(profile, name, raw, flags, listens)
        })
        .collect()
}

fn one(profile: &Profile, name: &str, raw: &RawStream, flags: &StreamFlags, listens: bool) -> Result<StreamPlan> {
    let missing = |key: &str, hint: &str| {
        let problem = Problem::key(&["streams", name], format!("the stream `{name}` has no `{key}`"));
        profile.error(problem.hint(hint))
    };
    let door = door(profile, name, raw, flags, listens)?;
    let out = match (&flags.out, &raw.out) {
        (Some(out), _) => out.clone(),
        (None, Some(out)) => output(Path::new(out), profile.folder())
            .map_err(|why| profile.error(Problem::value(&["streams", name, "out"], why)))?,
        (None, None) => return Err(missing("out", "add `out: ~/file.log`")),
    };
    let stream = stream_plan(name, door, out, raw, flags);
    Clash::of_profile(&stream, profile)?;
    Ok(stream)
}

/// A stream with all defaults filled in.
pub(super) fn stream_plan(name: &str, door: Door, out: PathBuf, raw: &RawStream, flags: &StreamFlags) -> StreamPlan {
    let Door { address: Address { transport, bind, port }, relay } = door;
    StreamPlan {
        name: name.to_owned(),
        transport,
        bind,
        port,
        relay,
        out: Output::file_at(out),
        also: Vec::new(),
        format: Format::default(),
        keywords: Vec::new(),
        limits: Limits::default(),
        framing: flags.framing.or(raw.framing).unwrap_or_default(),
        ends: Ends {
            strip_cr: flags.strip_cr || raw.strip_cr.unwrap_or_default(),
            nul: flags.nul || raw.nul.unwrap_or_default(),
        },
        max_line: flags.max_line.or(raw.max_line).unwrap_or(DEFAULT_MAX_LINE),
        max_connections: flags.max_connections.or(raw.max_connections).unwrap_or(DEFAULT_MAX_CONNECTIONS),
        sync: flags.sync.or(raw.sync).unwrap_or_default(),
        rotate: flags.rotate.over(&raw.rotate.clone().unwrap_or_default()),
        min_free: flags.min_free.or(raw.min_free).unwrap_or(DEFAULT_MIN_FREE),
    }
}

/// Refuses streams that would be in each other's way: the same port, or the same file.
pub(super) fn check_streams(streams: &[StreamPlan], profile: &Profile) -> Result<()> {
    for (i, second) in streams.iter().enumerate() {
        for first in &streams[..i] {
            let (a, b) = (&first.name, &second.name);
            let socket = first.transport.socket();
            if socket.is_some() && socket.map(normal) == second.transport.socket().map(normal) {
                let message = format!("the streams `{a}` and `{b}` have the same socket");
                return Err(profile.error(Problem::key(&["streams", b], message)));
            }
            if same_port(first, second) {
                let message = format!(
                    "the streams `{a}` and `{b}` have the same port: {}:{} and {}:{}",
                    first.bind, first.port, second.bind, second.port
                );
                return Err(profile.error(Problem::key(&["streams", b], message)));
            }
            if normal(first.out.name()) == normal(second.out.name()) {
                let out = quote(&second.out.to_string());
                let message = format!("the streams `{a}` and `{b}` write to the same file {out}");
                return Err(profile.error(
                    Problem::key(&["streams", b], message)
                        .hint("records of one file come from one stream, so that lines stay whole"),
                ));
            }
            let (one, other) = (normal(first.out.name()), normal(second.out.name()));
            if aside(&one) == other || aside(&other) == one {
                let out = quote(&second.out.to_string());
                let message = format!("the stream `{b}` cannot write to {out} beside the file of `{a}`");
                return Err(profile.error(
                    Problem::key(&["streams", b], message)
                        .hint("a file that is put away is called FILE.rotating for a moment; choose another name"),
                ));
            }
        }
    }
    Ok(())
}

/// Whether both cannot be open at once.
fn same_port(a: &StreamPlan, b: &StreamPlan) -> bool {
    let (a_is, b_is) = (&a.transport, &b.transport);
    let transports = (a_is.has_tcp() && b_is.has_tcp()) || (a_is.has_udp() && b_is.has_udp());
    transports && a.port != 0 && a.port == b.port && overlap(&a.bind, &b.bind)
}

/// An output file as written, made absolute against `folder` without touching the disk.
pub(super) fn output(written: &Path, folder: &Path) -> Result<PathBuf, String> {
    if let Some(text) = written.to_str() {
        scalar::path_text(text)?;
        // These mean something else than a file of that name, in later versions if not in this one.
        if text == "-" || text.starts_with("exec:") || text.contains("://") {
            return Err(format!("{} is not the path of a file", quote(text)));
        }
        if text.contains(['{', '}']) {
            return Err(format!("{} holds braces; placeholders are not known here", quote(text)));
        }
        if text.ends_with('/') || text.ends_with("/.") {
            return Err(format!("{} is a folder; name the file in it", quote(text)));
        }
    }
    if matches!(written.components().next_back(), None | Some(Component::ParentDir | Component::CurDir))
        || written == Path::new("~")
    {
        return Err(format!("{} is a folder; name the file in it", quote(&written.display().to_string())));
    }
    Ok(absolute(&folder.join(expanded(written))))
}

/// A file of the command line: `~/` expanded where the shell did not, relative to the working directory.
pub(super) fn on_disk(written: &Path) -> Result<PathBuf, String> {
    if let Some(text) = written.to_str() {
        scalar::path_text(text)?;
    }
    Ok(absolute(&expanded(written)))
}

/// `~` and `~/` replaced by the home directory.
pub(super) fn expanded(written: &Path) -> PathBuf {
    written.to_str().map_or_else(|| written.to_owned(), expand_tilde)
}

/// `path` without `.` and `..`, for comparing. Links are not followed: files need not exist yet.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

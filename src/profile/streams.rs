//! The streams of a plan: the profile's, with what the command line says about `main`.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::paths::{absolute, credential, expand_tilde};
use crate::plan::{DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_LINE, DEFAULT_MIN_FREE, Ends, Keyword, Output, StreamPlan};
use crate::profile::address::Address;
use crate::profile::door::{Door, door};
use crate::profile::flags::StreamFlags;
use crate::profile::framing::Clash;
use crate::profile::keywords::{self, KeywordFlag};
use crate::profile::limits::RawLimits;
use crate::profile::outputs::{self, Meeting, normal};
use crate::profile::problem::Problem;
use crate::profile::raw::RawStream;
use crate::profile::scalar;
use crate::profile::shape::ShapeFlags;
use crate::profile::store::Profile;
use crate::profile::target::overlap;

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
    let mut outs = flags.out.clone();
    if outs.is_empty() {
        for out in &raw.out {
            outs.push(
                outputs::output(Path::new(out), profile.folder())
                    .map_err(|why| profile.error(Problem::value(&["streams", name, "out"], why)))?,
            );
        }
    }
    ShapeFlags::check(profile, name, raw)?;
    let keywords = keywords::of_profile(profile, name, raw)?;
    let stream =
        stream_plan(name, door, outs, keywords, raw, flags).ok_or_else(|| missing("out", "add `out: ~/file.log`"))?;
    Clash::check(&stream, flags, Some(profile))?;
    Ok(stream)
}

/// A stream with all defaults filled in; `None` without an output. `keywords` are those of `raw`.
pub(super) fn stream_plan(
    name: &str,
    door: Door,
    outs: Vec<Output>,
    keywords: Vec<Keyword>,
    raw: &RawStream,
    flags: &StreamFlags,
) -> Option<StreamPlan> {
    let Door { address: Address { transport, bind, port }, relay } = door;
    let mut outs = outs.into_iter();
    Some(StreamPlan {
        name: name.to_owned(),
        transport,
        bind,
        port,
        relay,
        out: outs.next()?,
        also: outs.collect(),
        format: flags.shape.over(raw),
        keywords: KeywordFlag::over(flags.keyword.as_ref(), keywords),
        limits: flags.limits.over(&RawLimits::of(raw)),
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
    })
}

/// The only stream of a command line that names no profile; `None` without an output.
pub(super) fn only_stream(door: Door, flags: &StreamFlags) -> Result<Option<StreamPlan>> {
    let stream = stream_plan("main", door, flags.out.clone(), Vec::new(), &RawStream::default(), flags);
    if let Some(stream) = &stream {
        Clash::check(stream, flags, None)?;
        if let Some(meeting) = outputs::meeting(std::slice::from_ref(stream)) {
            return Err(Error::usage(format!("--out: {}", meeting.message)).hint(meeting.hint));
        }
    }
    Ok(stream)
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
        }
    }
    let Some(Meeting { stream, same, message, hint }) = outputs::meeting(streams) else { return Ok(()) };
    let problem = if same {
        Problem::value(&["streams", &stream, "out"], message)
    } else {
        Problem::key(&["streams", &stream], message)
    };
    Err(profile.error(problem.hint(hint)))
}

/// Whether both cannot be open at once.
fn same_port(a: &StreamPlan, b: &StreamPlan) -> bool {
    let (a_is, b_is) = (&a.transport, &b.transport);
    let transports = (a_is.has_tcp() && b_is.has_tcp()) || (a_is.has_udp() && b_is.has_udp());
    transports && a.port != 0 && a.port == b.port && overlap(&a.bind, &b.bind)
}

/// A file of the command line: `~/` expanded where the shell did not, relative to the working directory.
pub(super) fn on_disk(written: &Path) -> Result<PathBuf, String> {
    if let Some(text) = written.to_str() {
        scalar::path_text(text)?;
    }
    Ok(absolute(&expanded(written)))
}

/// As [`on_disk`], for a secret: a credential of the service manager has no path yet.
pub(super) fn secret(written: &Path) -> Result<PathBuf, String> {
    match written.to_str().and_then(credential) {
        Some(name) => name.map(|_| written.to_owned()),
        None => on_disk(written),
    }
}

/// `~` and `~/` replaced by the home directory.
pub(super) fn expanded(written: &Path) -> PathBuf {
    written.to_str().map_or_else(|| written.to_owned(), expand_tilde)
}

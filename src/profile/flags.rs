//! What the command line says: as typed, and the part about the stream `main` checked.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::{Compress, Framing, Output, Sync};
use crate::profile::keywords::KeywordFlag;
use crate::profile::limits::{LimitFlags, RawLimits};
use crate::profile::rotate::RawRotate;
use crate::profile::shape::{Shape, ShapeFlags};
use crate::profile::target::check_bind;
use crate::profile::{outputs, rotate, scalar, units};

/// What the command line says; everything may be missing. Texts are as typed. A running collector keeps it for its successor,
/// which may be another release: fields are only added, and one that is not known is an option that would be lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// Saved profile, path of one, or `[user@]host[:port]`.
    pub target: Option<String>,
    /// `--name`
    pub name: Option<String>,
    /// `--save`: the collector is called like the profile that is about to be saved.
    pub save: Option<String>,
    /// `--remote-port`
    pub remote_port: Option<u16>,
    /// `--bind`
    pub bind: Option<String>,
    /// `--relay`
    pub relay: bool,
    /// `--out`, paths relative to the working directory; the first is the stream's.
    pub out: Vec<PathBuf>,
    /// `--keyword-file`, relative to the working directory; `-` asks.
    pub keyword_file: Option<PathBuf>,
    /// `RECLOG_KEYWORD` is set; the word itself stands elsewhere.
    pub keyword_given: bool,
    /// `--format`
    pub format: Option<Shape>,
    /// `--prefix`
    pub prefix: Option<String>,
    /// `--allow`, `--max-new` and their like.
    pub limits: LimitFlags,
    /// `-i`, relative to the working directory.
    pub identities: Vec<PathBuf>,
    /// `-p`
    pub port: Option<u16>,
    /// `-F`, relative to the working directory.
    pub ssh_config: Option<PathBuf>,
    /// `-J`: hops, several with commas between.
    pub jump: Vec<String>,
    /// `-o`: `KEY=VALUE` or `KEY VALUE`.
    pub options: Vec<String>,
    /// `--framing`
    pub framing: Option<Framing>,
    /// `--strip-cr`
    pub strip_cr: bool,
    /// `--nul`
    pub nul: bool,
    /// `--max-line`: a size.
    pub max_line: Option<String>,
    /// `--max-connections`
    pub max_connections: Option<usize>,
    /// `--sync`
    pub sync: Option<Sync>,
    /// `--min-free`: a size.
    pub min_free: Option<String>,
    /// `--rotate-size`: a size.
    pub rotate_size: Option<String>,
    /// `--rotate-every`: `hourly`, `daily` or a time of day.
    pub rotate_every: Option<String>,
    /// `--rotate-total`: a size.
    pub rotate_total: Option<String>,
    /// `--rotate-age`: a duration.
    pub rotate_age: Option<String>,
    /// `--keep`
    pub keep: Option<u32>,
    /// `--compress`
    pub compress: Option<Compress>,
    /// `--drain-timeout`: a duration.
    pub drain_timeout: Option<String>,
    /// `--keep-trying`
    pub keep_trying: bool,
    /// `--probe-every`: a duration.
    pub probe_every: Option<String>,
    /// `--no-probe`
    pub no_probe: bool,
}

impl Overrides {
    /// Whether what it says depends on the working directory.
    #[must_use]
    pub fn is_relative(&self) -> bool {
        let files = self.identities.iter().chain(&self.keyword_file).chain(&self.ssh_config);
        let mut out = self.out.iter().filter(|out| Output::parse(out.as_path()).is_ok_and(|out| out.is_on_disk()));
        files.chain(out.by_ref()).any(|path| path.is_relative() && !path.starts_with("~") && path.as_os_str() != "-")
    }

    /// The flags given that make no sense without SSH.
    pub(super) fn ssh_flags(&self) -> Vec<&'static str> {
        listed(&[
            ("--remote-port", self.remote_port.is_some()),
            ("--bind", self.bind.is_some()),
            ("--relay", self.relay),
            ("--probe-every", self.probe_every.is_some()),
            ("--no-probe", self.no_probe),
            ("--identity", !self.identities.is_empty()),
            ("--port", self.port.is_some()),
            ("--ssh-config", self.ssh_config.is_some()),
            ("--jump", !self.jump.is_empty()),
            ("-o", !self.options.is_empty()),
        ])
    }
}

/// What the command line says about the stream `main`, checked.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamFlags {
    /// `--remote-port`
    pub remote_port: Option<u16>,
    /// `--bind`
    pub bind: Option<String>,
    /// `--relay`
    pub relay: bool,
    /// `--out`, paths absolute; empty: not given.
    pub out: Vec<Output>,
    /// `--keyword-file` or `RECLOG_KEYWORD`.
    pub keyword: Option<KeywordFlag>,
    /// `--format` and `--prefix`
    pub shape: ShapeFlags,
    /// `--allow`, `--max-new` and their like.
    pub limits: RawLimits,
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
    /// Each found sound by itself.
    pub fn new(flags: &Overrides) -> Result<Self> {
        let wrong = |flag: &'static str| move |why: String| Error::usage(format!("{flag}: {why}"));
        Ok(Self {
            remote_port: flags.remote_port,
            bind: flags.bind.as_deref().map(check_bind).transpose().map_err(wrong("--bind"))?,
            relay: flags.relay,
            out: outputs::of_flags(&flags.out).map_err(wrong("--out"))?,
            keyword: KeywordFlag::new(flags)?,
            shape: ShapeFlags::new(flags.format, flags.prefix.as_deref())?,
            limits: RawLimits::from_flags(&flags.limits)?,
            framing: flags.framing,
            strip_cr: flags.strip_cr,
            nul: flags.nul,
            max_line: flags.max_line.as_deref().map(scalar::max_line_text).transpose().map_err(wrong("--max-line"))?,
            max_connections: flags
                .max_connections
                .map(|count| units::max_connections(count as u64))
                .transpose()
                .map_err(wrong("--max-connections"))?,
            sync: flags.sync,
            min_free: flags.min_free.as_deref().map(rotate::min_free).transpose().map_err(wrong("--min-free"))?,
            rotate: RawRotate::from_flags(flags)?,
        })
    }

    /// Those given that make no sense for a Unix socket.
    pub fn about_a_port(&self) -> Vec<&'static str> {
        listed(&[
            ("--remote-port", self.remote_port.is_some()),
            ("--bind", self.bind.is_some()),
            ("--relay", self.relay),
        ])
    }

    /// Those given.
    pub fn given(&self) -> Vec<&'static str> {
        let mut given = self.about_a_port();
        given.extend(listed(&[
            ("--out", !self.out.is_empty()),
            ("--format", self.shape.format.is_some()),
            ("--prefix", self.shape.prefix.is_some()),
            ("--framing", self.framing.is_some()),
            ("--strip-cr", self.strip_cr),
            ("--nul", self.nul),
            ("--max-line", self.max_line.is_some()),
            ("--max-connections", self.max_connections.is_some()),
            ("--sync", self.sync.is_some()),
            ("--min-free", self.min_free.is_some()),
        ]));
        given.extend(self.keyword.as_ref().map(|keyword| keyword.flag));
        given.extend(self.limits.given());
        given.extend(self.rotate.given());
        given
    }
}

/// The flags that are set.
pub(super) fn listed(flags: &[(&'static str, bool)]) -> Vec<&'static str> {
    flags.iter().filter(|(_, set)| *set).map(|(flag, _)| *flag).collect()
}

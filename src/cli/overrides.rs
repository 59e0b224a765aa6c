//! The options that `up` and `listen` share, as the profile room takes them.

use super::keyword;
use super::options::{CompressArg, FormatArg, FramingArg, RunArgs, SshArgs, StreamArgs, SyncArg};
use crate::plan::{Compress, Framing, Sync};
use crate::profile::{LimitFlags, Overrides, Shape};

/// What they say; the rest is empty.
pub fn overrides(ssh: SshArgs, stream: StreamArgs, run: &RunArgs) -> Overrides {
    Overrides {
        name: run.name.clone(),
        out: stream.out,
        format: stream.format.map(|f| match f {
            FormatArg::Raw => Shape::Raw,
            FormatArg::Prefix => Shape::Prefix,
            FormatArg::Json => Shape::Json,
        }),
        prefix: stream.prefix,
        keyword_file: stream.keyword_file,
        keyword_given: keyword::is_in_environment(),
        limits: LimitFlags {
            allow: stream.allow,
            deny: stream.deny,
            max_per_address: stream.max_per_address,
            max_new: stream.max_new,
            max_rate: stream.max_rate,
            max_bytes: stream.max_bytes,
            idle_timeout: stream.idle_timeout,
        },
        identities: ssh.identity,
        port: ssh.port,
        ssh_config: ssh.ssh_config,
        jump: ssh.jump,
        options: ssh.option,
        framing: stream.framing.map(|f| match f {
            FramingArg::Lines => Framing::Lines,
            FramingArg::Raw => Framing::Raw,
            FramingArg::Syslog => Framing::Syslog,
            FramingArg::Relp => Framing::Relp,
        }),
        strip_cr: stream.strip_cr,
        nul: stream.nul,
        max_line: stream.max_line,
        max_connections: stream.max_connections,
        sync: stream.sync.map(|s| match s {
            SyncArg::Never => Sync::Never,
            SyncArg::Interval => Sync::Interval,
            SyncArg::Always => Sync::Always,
        }),
        min_free: stream.min_free,
        rotate_size: stream.rotate_size,
        rotate_every: stream.rotate_every,
        rotate_total: stream.rotate_total,
        rotate_age: stream.rotate_age,
        keep: stream.keep,
        compress: stream.compress.map(|c| match c {
            CompressArg::None => Compress::None,
            CompressArg::Gzip => Compress::Gzip,
            CompressArg::Zstd => Compress::Zstd,
        }),
        drain_timeout: run.drain_timeout.clone(),
        keep_trying: run.keep_trying,
        ..Overrides::default()
    }
}

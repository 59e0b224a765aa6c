//! Where figures are served.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{bracketed, is_loopback};

/// A place of this machine at which the figures of a collector are served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricsPlace {
    /// A TCP port.
    Tcp {
        /// An address or a name of this machine; `*` is every interface, v4 and v6.
        bind: String,
        /// 0 lets the system choose.
        port: u16,
    },
    /// A Unix socket, absolute.
    Unix(PathBuf),
}

impl MetricsPlace {
    /// Whether other machines may connect to it.
    #[must_use]
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Tcp { bind, .. } if !is_loopback(bind))
    }
}

impl fmt::Display for MetricsPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { bind, port } => write!(f, "{}:{port}", bracketed(bind)),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

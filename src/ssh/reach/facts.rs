//! What a shell on the jump host tells about its ports and addresses. Pure.

use core::net::{IpAddr, SocketAddr};

/// Empty where there is no shell, or it does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Where TCP ports that were asked for are listened on; `None`: not told.
    pub listeners: Option<Vec<SocketAddr>>,
    /// The jump host's own addresses; `None`: not told.
    pub addresses: Option<Vec<IpAddr>>,
}

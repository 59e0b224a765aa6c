//! The browser's view of all streams: a process of its own that reads control sockets and files, so that nothing in it can hurt a
//! collector.
//!
//! A question passes the [`door`] (limits, deadlines, the token), which asks the `guard`; `api` answers it. What there is to see is
//! in `sources`, lines as they come are in `view` and told by `events`. `page/` is what browsers get.

mod api;
mod ask;
mod assets;
mod body;
pub mod door;
mod events;
mod guard;
mod line;
mod sources;
mod token;
mod view;

use std::net::SocketAddr;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::paths::Paths;
use api::Desk;
use door::{Bound, Place, Rules};
use sources::Sources;
use token::Token;

/// Where it listens unless told otherwise.
pub const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8866);

/// What is shown, and to whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where.
    pub place: Place,
    /// Collectors; none: all.
    pub names: Vec<String>,
    /// Those that do not run, too.
    pub stopped: bool,
    /// Whether whoever looks has to know the token.
    pub token: bool,
    /// Names that `Host` may have, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// What stands before every path: empty, or `/logs`.
    pub base: String,
}

/// The open view, which nobody attends yet.
pub struct Web {
    bound: Bound,
    rules: Rules,
    sources: Sources,
    /// Where it is to be found; with the token.
    pub link: String,
}

/// Where to listen: an address with or without a port, or `unix:` and an absolute path.
///
/// # Errors
/// Usage: it is neither, or an address that others reach.
pub fn place(text: &str) -> Result<Place> {
    let bad = |why: &str, hint: &str| {
        Err(Error::usage(format!("cannot listen on {}: {why}", crate::escape::escape_str(text))).hint(hint))
    };
    if let Some(path) = text.strip_prefix("unix:") {
        return if Path::new(path).is_absolute() {
            Ok(Place::Unix(path.into()))
        } else {
            bad("the path has to be absolute", "write `unix:/run/user/1000/reclog.sock`")
        };
    }
    let with_port = text.replace("localhost", "127.0.0.1");
    let address = with_port.parse::<SocketAddr>().ok();
    let address = address.or_else(|| with_port.parse().ok().map(|ip| SocketAddr::new(ip, DEFAULT.port())));
    let Some(address) = address else {
        return bad("this is no address", "write `127.0.0.1:8866`, or `unix:/path`");
    };
    if !address.ip().is_loopback() {
        return bad(
            "others reach that address, and whoever has the link would see every line",
            "listen on a loopback address or `unix:/path`, and let `ssh -L` or a proxy with TLS and logins lead there",
        );
    }
    Ok(Place::Tcp(address))
}

impl Web {
    /// Opens the place and looks around once.
    ///
    /// # Errors
    /// When the place is taken or not to be had, or the token can be neither read nor made.
    pub async fn open(options: Options, paths: Paths) -> Result<Self> {
        let Options { place, names, stopped, token, hosts, base } = options;
        let token = if token { Some(Token::kept(&paths.config)?) } else { None };
        let bound = Bound::open(&place).await?;
        let shown = match (&place, bound.address()) {
            (_, Some(address)) => format!("http://{address}{base}/"),
            (Place::Unix(path), None) => format!("unix:{}", path.display()),
            (Place::Tcp(address), None) => format!("http://{address}{base}/"),
        };
        let query =
            token.as_ref().filter(|_| bound.address().is_some()).map(|token| format!("?token={}", token.as_str()));
        let cookie =
            bound.address().map_or_else(|| "reclog".to_owned(), |address| format!("reclog-{}", address.port()));
        let sources = Sources::new(paths, names, stopped);
        sources.look(true).await;
        let link = format!("{shown}{}", query.unwrap_or_default());
        Ok(Self { bound, rules: Rules { token, hosts, base, cookie }, sources, link })
    }

    /// Serves until `stop`.
    pub async fn serve(self, stop: CancellationToken) {
        let router = api::router(Desk::new(self.sources.clone()));
        tokio::select! {
            () = self.bound.attend(router, self.rules, stop.clone()) => {}
            () = self.sources.watch() => {}
            () = stop.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_where_nobody_else_gets_to() {
        for text in
            ["127.0.0.1:8866", "127.0.0.1", "localhost:0", "[::1]:8866", "::1", "unix:/run/x.sock", "127.9.9.9:1"]
        {
            assert!(place(text).is_ok(), "{text}");
        }
        for (text, words) in [
            ("0.0.0.0:8866", "others reach that address"),
            ("[::]:8866", "others reach that address"),
            ("192.0.2.7", "others reach that address"),
            ("unix:x.sock", "absolute"),
            ("example.org:80", "no address"),
            ("127.0.0.1:99999", "no address"),
        ] {
            let error = place(text).unwrap_err();
            assert!(error.message.contains(words), "{text}: {error}");
            assert_eq!(error.kind, crate::error::Kind::Usage);
        }
    }
}

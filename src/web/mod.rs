//! The browser's view of all streams: a process of its own that reads control sockets and files, so that nothing in it can hurt a
//! collector.
//!
//! A question passes the [`door`] (limits, deadlines, the token), which asks the `guard`; `api` answers it. What there is to see is
//! in `sources`, lines as they come are in `view` and told by `events`. `page/` is what browsers get.

mod accounts;
mod admit;
mod api;
mod ask;
mod assets;
mod audited;
mod body;
pub mod door;
mod events;
mod gate;
mod guard;
mod kept;
mod line;
mod login;
mod places;
mod proxy;
mod session;
mod sight;
mod sources;
mod throttle;
mod tls;
mod token;
pub mod users;
mod view;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::{Duration, interval};
use tokio_util::sync::CancellationToken;

pub use accounts::{digest, objection};

use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::plan::is_name;
use accounts::Accounts;
use admit::Admission;
use api::Desk;
use audited::Audited;
use door::{Bound, Place};
use gate::{Cookies, Gate};
use proxy::Proxies;
use sources::Sources;
use tls::{Source, Tls};
use token::Token;

/// Where it listens unless told otherwise.
pub const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8866);
/// How often it is looked whether users have changed, for those whose answer does not end.
const LOOK: Duration = Duration::from_secs(1);

/// What is shown, and to whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where.
    pub place: Place,
    /// Collectors; none: all.
    pub names: Vec<String>,
    /// Those that do not run, too.
    pub stopped: bool,
    /// Whether whoever looks has to know the token, where there are no users.
    pub token: bool,
    /// Names that `Host` may have, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// What stands before every path: empty, or `/logs`.
    pub base: String,
    /// A certificate and its key, in PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Proxies that are trusted: CIDRs, addresses, or `unix`.
    pub proxies: Vec<String>,
}

/// The open view, which nobody attends yet.
pub struct Web {
    bound: Bound,
    admission: Admission,
    tls: Option<Tls>,
    sources: Sources,
    /// Where it is to be found; with the token.
    pub link: String,
}

/// Where to listen: an address with or without a port, or `unix:` and an absolute path.
///
/// # Errors
/// Usage: it is neither.
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
    match address {
        Some(address) => Ok(Place::Tcp(address)),
        None => bad("this is no address", "write `127.0.0.1:8866`, `0.0.0.0:8866` or `unix:/path`"),
    }
}

/// How it is asked who somebody is, and whether it is by TLS.
///
/// # Errors
/// Usage: it is not to be had so.
fn rules(options: &Options, has_users: bool) -> Result<Option<Source>> {
    let own = options.certificate.clone().map(|(certificate, key)| Source::Files(certificate, key));
    match &options.place {
        Place::Unix(_) if own.is_some() => Err(Error::usage("cannot speak TLS on a Unix socket")
            .hint("leave out --tls-cert and --tls-key: whoever reaches the socket is on this machine")),
        _ if has_users && !options.token => {
            Err(Error::usage("cannot leave out the token: there are users, who log in")
                .hint("leave out --no-token, or take the users away with `reclog web user rm`"))
        }
        Place::Unix(_) => Ok(None),
        Place::Tcp(_) if !options.token => {
            Err(Error::usage("cannot leave out the token on TCP: every account of this machine could look")
                .hint("`--listen unix:/path --no-token` leaves it to the rights of the socket"))
        }
        Place::Tcp(address) if address.ip().is_loopback() => Ok(own),
        Place::Tcp(address) if !has_users => Err(Error::usage(format!(
            "cannot listen on {address}: others reach that address, and there are no users who could log in"
        ))
        .hint("make one with `reclog web user add NAME`, or listen on a loopback address and let `ssh -L` lead there")),
        Place::Tcp(_) => Ok(Some(own.unwrap_or(Source::Own))),
    }
}

impl Web {
    /// Opens the place and looks around once.
    ///
    /// # Errors
    /// When it is not to be had so, the place is taken, or a file of it can be neither read nor made.
    pub async fn open(options: Options, paths: Paths) -> Result<Self> {
        let users = users::read(&users::file(&paths.config))?;
        let source = rules(&options, !users.is_empty())?;
        let Options { place, names, stopped, token, mut hosts, base, proxies: trusted, .. } = options;
        let mut proxies = Proxies::default();
        for text in &trusted {
            proxies.add(text).map_err(|why| Error::usage(format!("cannot use --trust-proxy: {why}")))?;
        }
        let gate = if !users.is_empty() {
            Gate::Users(Arc::new(Accounts::open(&paths.config)?))
        } else if token {
            Gate::Token(Token::kept(&paths.config, token::FILE)?)
        } else {
            Gate::Open
        };
        let tls = match (&source, &place) {
            (Some(source), Place::Tcp(address)) => {
                Some(Tls::open(source, &paths.config, &tls::names(address.ip(), &hosts))?)
            }
            _ => None,
        };
        let bound = Bound::open(&place).await?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shown = match (&place, bound.address()) {
            (Place::Unix(path), _) => format!("unix:{}", path.display()),
            (Place::Tcp(asked), address) => {
                format!("{scheme}://{}{base}/", reached(address.unwrap_or(*asked), &hosts))
            }
        };
        if matches!(&place, Place::Tcp(address) if !address.ip().is_loopback()) {
            hosts.extend(hostname());
        }
        let query = match (&gate, &place) {
            (Gate::Token(token), Place::Tcp(_)) => format!("?token={}", token.as_str()),
            _ => String::new(),
        };
        let name = bound.address().map_or_else(|| "reclog".to_owned(), |address| format!("reclog-{}", address.port()));
        let audited = Audited::open(&paths.state, &shown)?;
        let sources = Sources::new(paths, names, stopped);
        sources.look(true).await;
        let cookies = Cookies { name, base };
        let desk = login::Desk { gate: gate.clone(), cookies: cookies.clone(), audited: audited.clone() };
        let router = api::router(Desk::new(sources.clone(), audited.clone()));
        let router = if matches!(gate, Gate::Users(_)) { router.merge(login::router(desk)) } else { router };
        let admission = Admission { router, gate, cookies, hosts, proxies, tls: tls.is_some(), audited };
        Ok(Self { bound, admission, tls, sources, link: format!("{shown}{query}") })
    }

    /// The SHA-256 of the certificate, by which a browser's question can be answered.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        self.tls.as_ref().map(|tls| tls.fingerprint.as_str())
    }

    /// Serves until `stop`.
    pub async fn serve(self, stop: CancellationToken) {
        let (audited, gate) = (self.admission.audited.clone(), self.admission.gate.clone());
        tokio::select! {
            () = self.bound.attend(self.admission, self.tls.map(|tls| tls.acceptor), stop.clone()) => {}
            () = self.sources.watch() => {}
            () = refresh(gate) => {}
            () = stop.cancelled() => {}
        }
        let _ = tokio::task::spawn_blocking(move || audited.finish()).await;
    }
}

/// Looks again and again whether users have changed.
async fn refresh(gate: Gate) {
    let Gate::Users(accounts) = gate else { return std::future::pending().await };
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        accounts.users.refresh();
    }
}

/// The name of this machine, where it is one that a browser can ask for.
fn hostname() -> Option<String> {
    let host = nix::unistd::gethostname().ok()?.into_string().ok()?;
    is_name(&host).then_some(host)
}

/// `HOST:PORT` under which a place is to be reached: a name that was given for it, else the address, or ours where that is none.
fn reached(address: SocketAddr, given: &[String]) -> String {
    let host = match given.first() {
        Some(host) if !address.ip().is_loopback() => Some(host.clone()),
        None if address.ip().is_unspecified() => hostname(),
        _ => None,
    };
    host.map_or_else(|| address.to_string(), |host| format!("{host}:{}", address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(place: &str) -> Options {
        Options {
            place: super::place(place).unwrap(),
            names: Vec::new(),
            stopped: false,
            token: true,
            hosts: Vec::new(),
            base: String::new(),
            certificate: None,
            proxies: Vec::new(),
        }
    }

    #[test]
    fn a_place_is_an_address_or_a_socket() {
        for text in ["127.0.0.1:8866", "127.0.0.1", "localhost:0", "[::1]:8866", "::1", "unix:/run/x.sock", "0.0.0.0:1"]
        {
            assert!(place(text).is_ok(), "{text}");
        }
        for (text, words) in
            [("unix:x.sock", "absolute"), ("example.org:80", "no address"), ("127.0.0.1:99999", "no address")]
        {
            let error = place(text).unwrap_err();
            assert!(error.message.contains(words), "{text}: {error}");
            assert_eq!(error.kind, crate::error::Kind::Usage);
        }
    }

    #[test]
    fn where_others_get_to_there_are_users_and_tls() {
        for place in ["0.0.0.0:8866", "[::]:8866", "192.0.2.7", "[2001:db8::1]:1"] {
            let error = rules(&options(place), false).unwrap_err();
            assert!(error.message.contains("others reach that address"), "{error}");
            assert_eq!(error.kind, crate::error::Kind::Usage);
            assert_eq!(rules(&options(place), true).unwrap(), Some(Source::Own));
        }
        for place in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "unix:/run/x"] {
            assert_eq!(rules(&options(place), false).unwrap(), None);
            assert_eq!(rules(&options(place), true).unwrap(), None);
        }
        let files = Some(("c".into(), "k".into()));
        let with = |place| Options { certificate: files.clone(), ..options(place) };
        assert_eq!(rules(&with("127.0.0.1:1"), false).unwrap(), Some(Source::Files("c".into(), "k".into())));
        assert!(rules(&with("unix:/run/x"), true).is_err());
    }

    #[test]
    fn nobody_is_let_in_unasked_but_by_a_socket() {
        let open = |place| Options { token: false, ..options(place) };
        assert!(rules(&open("unix:/run/x"), false).is_ok());
        assert!(rules(&open("127.0.0.1:1"), false).unwrap_err().message.contains("every account"));
        for place in ["unix:/run/x", "127.0.0.1:1", "0.0.0.0:1"] {
            assert!(rules(&open(place), true).unwrap_err().message.contains("there are users"), "{place}");
        }
    }
}

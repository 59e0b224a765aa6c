//! Where browsers come in: so many connections at once, each with a deadline for its question, and nobody who must not.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::api::Sorry;
use super::guard::{self, Claims};
use super::token::{Token, cookie};
use crate::error::{Error, Result, io_reason};
use crate::socket::Socket;

/// Connections at once. Whoever says nothing is sent away after [`QUESTION`], so more than that wait for so long and no longer.
const MOST: usize = 1024;
/// A question is there within this time, and the next one of the same connection.
const QUESTION: Duration = Duration::from_secs(10);
/// Bytes of a question's header fields.
const LONGEST_QUESTION: usize = 16 * 1024;
/// The pause after the system had no connection to give.
const BREATH: Duration = Duration::from_millis(100);

/// A place to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An address of this machine.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Who gets in.
#[derive(Clone)]
pub struct Rules {
    /// None: whoever can connect.
    pub token: Option<Token>,
    /// Names that `Host` may have.
    pub hosts: Vec<String>,
    /// What stands before every path: empty, or `/logs`.
    pub base: String,
    /// The name of the cookie.
    pub cookie: String,
}

/// An open place.
pub enum Bound {
    /// On TCP.
    Tcp(TcpListener),
    /// On a Unix socket.
    Unix(Socket),
}

impl Bound {
    /// Opens `place`.
    ///
    /// # Errors
    /// When it is taken, or not to be had.
    pub async fn open(place: &Place) -> Result<Self> {
        match place {
            Place::Unix(path) => Socket::open(path).await.map(Self::Unix),
            Place::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp).map_err(|e| {
                let error = Error::failed(format!("cannot listen on {address}: {}", io_reason(&e)));
                match e.kind() {
                    io::ErrorKind::AddrInUse => {
                        error.hint("another program has this port; `--listen 127.0.0.1:0` takes a free one")
                    }
                    _ => error,
                }
            }),
        }
    }

    /// The port that was chosen.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Lets people in until `stop`, which ends what is open, too.
    pub async fn attend(self, router: Router, rules: Rules, stop: CancellationToken) {
        let (rules, slots) = (Arc::new(rules), Arc::new(Semaphore::new(MOST)));
        loop {
            // Before accepting: who waits costs the kernel little and us nothing.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let serve = |slot, stream| serve(stream, slot, router.clone(), Arc::clone(&rules), stop.clone());
            let accepted = match &self {
                Self::Tcp(listener) => tokio::select! {
                    accepted = listener.accept() => accepted.map(|(stream, _)| {
                        let _ = stream.set_nodelay(true);
                        tokio::spawn(serve(slot, Box::new(stream) as Wire));
                    }),
                    () = stop.cancelled() => return,
                },
                Self::Unix(socket) => tokio::select! {
                    accepted = socket.accept() => accepted.map(|stream| drop(tokio::spawn(serve(slot, Box::new(stream))))),
                    () = stop.cancelled() => return,
                },
            };
            if accepted.is_err() {
                sleep(BREATH).await;
            }
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
type Wire = Box<dyn Stream>;

async fn serve(stream: Wire, slot: OwnedSemaphorePermit, router: Router, rules: Arc<Rules>, stop: CancellationToken) {
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let (router, rules) = (router.clone(), Arc::clone(&rules));
        async move { Ok::<_, Infallible>(respond(request.map(Body::new), router, &rules).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(QUESTION)
        .max_buf_size(LONGEST_QUESTION)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::select! {
        _ = served => {}
        () = stop.cancelled() => {}
    }
    drop(slot);
}

async fn respond(request: Request, router: Router, rules: &Rules) -> Response {
    let mut response = match admit(request, rules) {
        Ok(request) => {
            let Ok(response) = TowerToHyperService::new(router).call(request).await;
            response
        }
        Err(response) => *response,
    };
    for (name, value) in guard::FIELDS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// The request as the router knows it, or what is answered instead.
fn admit(mut request: Request, rules: &Rules) -> std::result::Result<Request, Box<Response>> {
    let sorry = |status, text: &str| Box::new(Sorry(status, text.to_owned()).into_response());
    let headers = request.headers();
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let claims = Claims {
        host: text(header::HOST),
        origin: text(header::ORIGIN),
        site: text(HeaderName::from_static("sec-fetch-site")),
        mode: text(HeaderName::from_static("sec-fetch-mode")),
    };
    if let Some(why) = guard::objection(claims, &rules.hosts) {
        return Err(sorry(StatusCode::FORBIDDEN, why));
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Err(sorry(StatusCode::METHOD_NOT_ALLOWED, "this can only be read: GET"));
    }
    let path = request.uri().path();
    let Some(below) = path.strip_prefix(&rules.base).filter(|below| below.is_empty() || below.starts_with('/')) else {
        return Err(sorry(StatusCode::NOT_FOUND, "there is nothing here"));
    };
    if below.is_empty() {
        return Err(Box::new(moved(&format!("{}/", rules.base))));
    }
    if let Some(token) = &rules.token
        && let Err(response) = knows(token, request.uri(), headers, rules)
    {
        return Err(response);
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let Ok(uri) = format!("{below}{query}").parse::<Uri>() else {
        return Err(sorry(StatusCode::BAD_REQUEST, "the address cannot be read"));
    };
    *request.uri_mut() = uri;
    Ok(request)
}

/// Whether a request knows the token: by a link, which becomes a cookie, by that cookie, or by a header field.
fn knows(token: &Token, uri: &Uri, headers: &HeaderMap, rules: &Rules) -> std::result::Result<(), Box<Response>> {
    let query = uri.query().unwrap_or_default();
    let (said, rest): (Vec<_>, Vec<_>) =
        query.split('&').filter(|pair| !pair.is_empty()).partition(|p| p.starts_with("token="));
    if let Some(said) = said.first().and_then(|pair| pair.strip_prefix("token=")) {
        if !token.is(said) {
            return Err(Box::new(stranger()));
        }
        let rest = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
        let mut response = moved(&format!("{}{rest}", uri.path()));
        let cookie = format!(
            "{}={}; Path={}/; HttpOnly; SameSite=Strict; Max-Age=31536000",
            rules.cookie,
            token.as_str(),
            rules.base
        );
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        return Err(Box::new(response));
    }
    let bearer =
        headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let shown = cookies.filter_map(|field| cookie(field, &rules.cookie)).chain(bearer).any(|said| token.is(said));
    if shown { Ok(()) } else { Err(Box::new(stranger())) }
}

fn stranger() -> Response {
    let text = "use the link that `reclog web` printed, or send its token: `Authorization: Bearer TOKEN`";
    let mut response = Sorry(StatusCode::UNAUTHORIZED, text.into()).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn moved(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

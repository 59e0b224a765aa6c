//! What is answered to whom.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::accept::Format;
use super::{Seen, render};
use crate::escape::escape_str;
use crate::ledger::{CollectorSnapshot, State};

/// Figures that are younger are not looked up again: a flood of questions costs no more than twenty answers a second.
const FRESH: Duration = Duration::from_millis(50);

const PLAIN: &str = "text/plain; charset=utf-8";

/// Gives the snapshot of the collector that is asked about.
type Look = Arc<dyn Fn() -> CollectorSnapshot + Send + Sync>;

/// The figures of one collector. Cheap to clone.
#[derive(Clone)]
pub struct Figures {
    look: Look,
    kept: Arc<Mutex<Vec<(Format, Instant, Bytes)>>>,
}

/// Whether senders get in and are written.
#[must_use]
pub fn is_ready(state: State) -> bool {
    state == State::Up
}

impl Figures {
    /// Those of the collector whose snapshot `look` gives.
    #[must_use]
    pub fn new(look: Look) -> Self {
        Self { look, kept: Arc::default() }
    }

    /// The answer to `request`, whose body nobody reads.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut no = says(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET is all that is answered here\n");
            no.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return no;
        }
        match request.uri().path() {
            "/metrics" => {
                let accept = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
                let format = Format::wanted(&accept.collect::<Vec<_>>().join(","));
                says(StatusCode::OK, format.content_type(), self.metrics(format))
            }
            "/healthz" => {
                let health = (self.look)().health;
                let all: String = health.iter().map(|sentence| escape_str(sentence) + "\n").collect();
                match all.as_str() {
                    "" => says(StatusCode::OK, PLAIN, "ok\n"),
                    _ => says(StatusCode::SERVICE_UNAVAILABLE, PLAIN, all),
                }
            }
            "/readyz" => match (self.look)().state {
                state if is_ready(state) => says(StatusCode::OK, PLAIN, "ready\n"),
                state => says(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("the collector is {}\n", state.as_str())),
            },
            _ => says(StatusCode::NOT_FOUND, PLAIN, "there are /metrics, /healthz and /readyz\n"),
        }
    }

    fn metrics(&self, format: Format) -> Bytes {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        kept.retain(|(_, at, _)| now.saturating_duration_since(*at) < FRESH);
        if let Some((.., text)) = kept.iter().find(|(of, ..)| *of == format) {
            return text.clone();
        }
        let seen = Seen { version: env!("CARGO_PKG_VERSION").into(), snapshot: (self.look)() };
        let text = Bytes::from(render(&[seen], &[], format));
        kept.push((format, now, text.clone()));
        text
    }
}

fn says(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

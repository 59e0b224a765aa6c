//! The answers.

use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawQuery};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::ask::Ask;
use super::assets;
use super::audited::Audited;
use super::body::{Inlet, answer};
use super::events::{self, Form};
use super::gate::Caller;
use super::line::{self, Shape};
use super::sight::Sight;
use super::sources::{Source, Sources};
use super::users::Pass;
use super::view::{self, Hub, named};
use crate::error::io_reason;
use crate::history::{Bounds, Found, search};

/// Searches at once: each keeps a processor busy.
const MOST_SEARCHES: usize = 4;
/// Readers of lines as they come, at once.
const MOST_VIEWS: usize = 256;
/// Pages of lines that are made or not yet taken, at once.
const MOST_PAGES: usize = 64;
/// How long somebody waits for a place among them.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of one page of lines.
const PAGE: usize = 4 * 1024 * 1024;
/// Lines of one that names no number.
const LINES: usize = 200;
/// Bytes of a download that are read at once.
const PIECE: usize = 256 * 1024;

/// What all answers are made of, for whoever asks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk {
    /// What there is, and may be seen.
    pub sources: Sources,
    /// One for each search.
    pub searches: Arc<Semaphore>,
    /// One for each page of lines.
    pages: Arc<Semaphore>,
    /// One for each reader of what comes.
    pub views: Arc<Semaphore>,
    /// What has just come, read once for all of them.
    pub hub: Hub,
    /// Where it is told who looks at what.
    audited: Audited,
    /// Who asks, from where; nobody has asked yet.
    caller: Option<(Sight, Option<IpAddr>)>,
}

impl Desk {
    /// Of these sources.
    #[must_use]
    pub fn new(sources: Sources, audited: Audited) -> Self {
        let slots = |n| Arc::new(Semaphore::new(n));
        Self {
            sources,
            searches: slots(MOST_SEARCHES),
            pages: slots(MOST_PAGES),
            views: slots(MOST_VIEWS),
            hub: Hub::default(),
            audited,
            caller: None,
        }
    }

    /// Tells the audit trail.
    pub fn look(&self, what: &str, ask: &Ask) {
        if let Some((sight, from)) = &self.caller {
            self.audited.look(sight, *from, what, ask);
        }
    }
}

/// The desk of whoever was let in, with what may be seen. The only way to one: nobody answers without it.
impl FromRequestParts<Self> for Desk {
    type Rejection = Sorry;

    async fn from_request_parts(parts: &mut Parts, desk: &Self) -> Result<Self, Sorry> {
        let (Some(pass), Some(caller)) = (parts.extensions.get::<Pass>(), parts.extensions.get::<Caller>()) else {
            return Err(Sorry(StatusCode::UNAUTHORIZED, "nobody was let in".into()));
        };
        let sources = desk.sources.through(pass.sight.clone());
        Ok(Self { sources, caller: Some((pass.sight.clone(), caller.address)), ..desk.clone() })
    }
}

/// What an answer holds until it is taken.
#[derive(Debug, Clone)]
pub struct Held {
    _slot: Arc<OwnedSemaphorePermit>,
}

/// An error as a client sees it: a status and one sentence.
#[derive(Debug)]
pub struct Sorry(pub StatusCode, pub String);

impl IntoResponse for Sorry {
    fn into_response(self) -> Response {
        (self.0, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{}\n", self.1)).into_response()
    }
}

impl Sorry {
    fn unknown() -> Self {
        Self(StatusCode::NOT_FOUND, "there is no such stream".into())
    }

    fn busy(what: &str) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, format!("too many {what} at once; try again in a moment"))
    }

    fn reading(error: &io::Error) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot read: {}", io_reason(error)))
    }
}

type Answer = Result<Response, Sorry>;

/// All places, below the base.
pub fn router(desk: Desk) -> Router {
    view::step_back();
    Router::new()
        .route("/", get(index))
        .route("/page/{name}", get(asset))
        .route("/api/streams", get(streams))
        .route("/api/view", get(look))
        .route("/api/tail", get(tail))
        .route("/api/lines", get(lines))
        .route("/api/search", get(find))
        .route("/api/download", get(download))
        .fallback(async || Sorry(StatusCode::NOT_FOUND, "there is nothing here".into()))
        .method_not_allowed_fallback(async || {
            Sorry(StatusCode::METHOD_NOT_ALLOWED, "this can only be read: GET".into())
        })
        .with_state(desk)
}

async fn index() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], assets::INDEX).into_response()
}

async fn asset(Path(name): Path<String>) -> Answer {
    let asset = assets::find(&name).ok_or(Sorry(StatusCode::NOT_FOUND, "there is nothing here".into()))?;
    Ok(([(header::CONTENT_TYPE, asset.kind)], asset.text).into_response())
}

async fn streams(desk: Desk) -> Json<Value> {
    Json(desk.sources.list())
}

fn read(query: Option<String>) -> Result<Ask, Sorry> {
    let bad = |why: String| Sorry(StatusCode::BAD_REQUEST, why);
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(
        &format!("/?{}", query.unwrap_or_default()).parse().map_err(|_| bad("the query cannot be read".into()))?,
    )
    .map_err(|_| bad("the query cannot be read".into()))?;
    Ask::read(&pairs.0).map_err(bad)
}

/// The sources that are named, or all there are, `most` of them.
pub async fn chosen(sources: &Sources, names: &[String], most: usize) -> Result<Vec<Source>, Sorry> {
    let (sources, names) = (sources.clone(), names.to_vec());
    // To find them is to walk through folders.
    blocking(move || {
        if names.is_empty() {
            return Ok(sources.first(most));
        }
        names.iter().map(|key| sources.find(key).ok_or_else(Sorry::unknown)).collect()
    })
    .await?
}

/// Does what may wait for the disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Sorry> {
    let failed = |_| Sorry(StatusCode::INTERNAL_SERVER_ERROR, "reclog failed".into());
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

async fn look(desk: Desk, headers: HeaderMap, RawQuery(query): RawQuery) -> Answer {
    events::open(desk, read(query)?, Form::Page, &headers).await
}

async fn tail(desk: Desk, headers: HeaderMap, RawQuery(query): RawQuery) -> Answer {
    let ask = read(query)?;
    let form = if wants_events(&headers) { Form::Events } else { Form::Lines };
    events::open(desk, ask, form, &headers).await
}

/// Whether `Accept` names Server-Sent Events.
fn wants_events(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|accept| accept.contains("text/event-stream"))
}

async fn lines(desk: Desk, RawQuery(query): RawQuery) -> Answer {
    let ask = read(query)?;
    let [key] = &ask.streams[..] else {
        return Err(Sorry(StatusCode::BAD_REQUEST, "this takes one `stream`".into()));
    };
    // Pages are large: so many are in memory at once, until they are taken.
    let slot = timeout(PATIENCE, desk.pages.clone().acquire_owned()).await;
    let slot = slot.ok().and_then(Result::ok).ok_or_else(|| Sorry::busy("pages"))?;
    let source = chosen(&desk.sources, std::slice::from_ref(key), 1).await?.pop().ok_or_else(Sorry::unknown)?;
    desk.look("lines", &ask);
    let (inlet, _outlet) = answer();
    let page = blocking(move || {
        let mut log = source.log();
        let bounds = Bounds {
            lines: ask.n.unwrap_or(LINES).max(1),
            bytes: PAGE,
            filter: ask.pattern.as_ref(),
            cancel: &inlet.gone,
        };
        let page = match (ask.before, ask.after, ask.at) {
            (Some(before), ..) => log.before(before, &bounds)?,
            (None, Some(after), _) => log.after(after, &bounds)?,
            (None, None, Some(at)) => {
                let from = log.at(at, &source.columns)?;
                log.after(from, &bounds)?
            }
            (None, None, None) => {
                let end = log.extent()?.end;
                log.before(end, &bounds)?
            }
        };
        let shape = Shape { pattern: ask.pattern.as_ref(), cut: true, arrived: None };
        let lines: Vec<_> =
            page.lines.iter().map(|l| line::line(&source, l.offset, &l.bytes, l.length, shape)).collect();
        let unreadable: Vec<_> =
            page.unreadable.iter().map(|part| json!({"from": part.from, "to": part.to, "why": part.why})).collect();
        Ok(json!({"lines": lines, "from": page.from, "to": page.to, "first": page.first, "last": page.last,
            "unreadable": unreadable}))
    })
    .await?;
    let page = page.map_err(|e| Sorry::reading(&e))?;
    let mut response = Json(page).into_response();
    response.extensions_mut().insert(Held { _slot: Arc::new(slot) });
    Ok(response)
}

async fn find(desk: Desk, headers: HeaderMap, RawQuery(query): RawQuery) -> Answer {
    let ask = read(query)?;
    if ask.pattern.is_none() {
        return Err(Sorry(StatusCode::BAD_REQUEST, "a search takes a pattern: `e`".into()));
    }
    let sources = chosen(&desk.sources, &ask.streams, usize::MAX).await?;
    desk.look("search", &ask);
    let slot = desk.searches.clone().try_acquire_owned().map_err(|_| Sorry::busy("searches"))?;
    let (inlet, outlet) = answer();
    let events = wants_events(&headers);
    tokio::task::spawn_blocking(move || {
        let _slot = slot;
        look_through(&sources, &ask, events, &inlet);
    });
    let kind = if events { "text/event-stream" } else { "application/x-ndjson" };
    Ok(([(header::CONTENT_TYPE, kind)], Body::new(outlet)).into_response())
}

/// Searches one source after the other.
fn look_through(sources: &[Source], ask: &Ask, events: bool, inlet: &Inlet) {
    let Some(pattern) = &ask.pattern else { return };
    let put = |value: &Value| inlet.put(if events { format!("data: {value}\n\n") } else { format!("{value}\n") });
    let (mut hits, mut behind) = (0, 0);
    for source in sources {
        let (mut log, shape) = (source.log(), Shape { pattern: Some(pattern), cut: ask.cut, arrived: None });
        let mut seen = 0;
        let summary = search(&mut log, ask.from.unwrap_or(0), pattern, ask.context, &inlet.gone, &mut |found| {
            let value = match found {
                Found::Hit(l) => Value::Object(line::line(source, l.offset, &l.bytes, l.length, shape)),
                Found::Context(l) => {
                    let mut context =
                        line::line(source, l.offset, &l.bytes, l.length, Shape { pattern: None, ..shape });
                    context.insert("context".into(), true.into());
                    Value::Object(context)
                }
                Found::Progress { bytes, of, hits: more } => {
                    seen = bytes;
                    json!({"progress": {"bytes": behind + bytes, "of": behind + of, "hits": hits + more}})
                }
            };
            if put(&value) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        behind += seen;
        match summary {
            Ok(summary) if summary.stopped => return,
            Ok(summary) => {
                hits += summary.hits;
                for part in &summary.unreadable {
                    let mut about = named(source);
                    about.insert("what".into(), part.why.as_str().into());
                    if !put(&json!({ "notice": about })) {
                        return;
                    }
                }
            }
            Err(e) => {
                let _ = put(&json!({"error": format!("cannot read: {}", io_reason(&e))}));
                return;
            }
        }
    }
    let _ = put(&json!({"end": true, "hits": hits}));
}

async fn download(desk: Desk, RawQuery(query): RawQuery) -> Answer {
    let ask = read(query)?;
    let [key] = &ask.streams[..] else {
        return Err(Sorry(StatusCode::BAD_REQUEST, "this takes one `stream`".into()));
    };
    let source = desk.sources.find(key).ok_or_else(Sorry::unknown)?;
    desk.look("download", &ask);
    let slot = desk.searches.clone().try_acquire_owned().map_err(|_| Sorry::busy("downloads"))?;
    let name: String =
        key.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' }).collect();
    let (inlet, outlet) = answer();
    tokio::task::spawn_blocking(move || {
        let _slot = slot;
        let mut log = source.log();
        let mut send = || {
            let mut stored = log.bytes(ask.from.unwrap_or(0), ask.to.unwrap_or(u64::MAX))?;
            while let Some((_, chunk)) = stored.block()? {
                if !chunk.bytes().chunks(PIECE).all(|piece| inlet.put(piece.to_vec())) {
                    break;
                }
            }
            Ok(())
        };
        // What is not whole must not look as if it were.
        if let Err(e) = send() {
            inlet.fail(e);
        }
    });
    let fields = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.log\"")),
    ];
    Ok((fields, Body::new(outlet)).into_response())
}

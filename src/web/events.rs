//! Lines as they come, as Server-Sent Events (HTML Standard, section 9.2) or as lines of JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use super::api::{Desk, Sorry, chosen};
use super::ask::Ask;
use super::body::{Inlet, answer};
use super::view::{PACE, Places, Told, View};
use crate::error::io_reason;

/// Lines that come first where no number is named; as `tail` has it.
const LINES: usize = 10;
/// After so long a silence something is said, so that whatever lies between keeps the connection.
const PULSE: Duration = Duration::from_secs(15);

/// How it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Events for the page: many lines in one, and what there is beside.
    Page,
    /// An event for each line.
    Events,
    /// A line of JSON for each line.
    Lines,
}

/// Begins to tell what `ask` asks for.
///
/// # Errors
/// When the streams are unknown or there are too many readers.
pub async fn open(desk: Desk, ask: Ask, form: Form, headers: &HeaderMap) -> Result<Response, Sorry> {
    let busy = |_| {
        Sorry(axum::http::StatusCode::SERVICE_UNAVAILABLE, "too many readers at once; try again in a moment".into())
    };
    let slot = desk.views.clone().try_acquire_owned().map_err(busy)?;
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok());
    let places: Places = last.and_then(|id| serde_json::from_str(id).ok()).unwrap_or_default();
    // The page has its streams named; without one it looks at none.
    let sources =
        if form == Form::Page && ask.streams.is_empty() { Vec::new() } else { chosen(&desk.sources, &ask.streams)? };
    let follows_all = form != Form::Page && ask.streams.is_empty();
    let (inlet, outlet) = answer();
    let pattern = ask.pattern.map(Arc::new);
    let (lines, cut) = (ask.n.unwrap_or(LINES), ask.cut || form == Form::Page);
    let gone = Arc::clone(&inlet.gone);
    let empty = sources.is_empty();
    let opened = tokio::task::spawn_blocking(move || View::open(sources, (pattern, cut), (lines, &places), gone)).await;
    let failed = |why: String| Sorry(axum::http::StatusCode::INTERNAL_SERVER_ERROR, why);
    let (view, first) = opened
        .map_err(|_| failed("reclog failed".into()))?
        .map_err(|e| failed(format!("cannot read: {}", io_reason(&e))))?;
    let first = if empty { Vec::new() } else { first };
    let telling = Telling {
        desk,
        inlet,
        form,
        stopped: ask.stopped,
        follows_all,
        overview: Value::Null,
        told: Instant::now(),
        places: view.places(),
    };
    tokio::spawn(telling.run(view, first, slot));
    let kind = if form == Form::Lines { "application/x-ndjson" } else { "text/event-stream" };
    Ok((
        [(header::CONTENT_TYPE, kind), (header::HeaderName::from_static("x-accel-buffering"), "no")],
        Body::new(outlet),
    )
        .into_response())
}

struct Telling {
    desk: Desk,
    inlet: Inlet,
    form: Form,
    stopped: bool,
    /// Streams that appear are told, too.
    follows_all: bool,
    overview: Value,
    told: Instant,
    /// Where whoever has heard all goes on.
    places: Places,
}

impl Telling {
    async fn run(mut self, mut view: View, first: Vec<Told>, _slot: OwnedSemaphorePermit) {
        let mut changes = self.desk.sources.changes();
        if !self.tell_overview().await || !self.tell(first).await {
            return;
        }
        loop {
            if changes.has_changed().unwrap_or(false) {
                changes.mark_unchanged();
                view = match self.look_around(view).await {
                    Some(view) => view,
                    None => return,
                };
            }
            let polled = tokio::task::spawn_blocking(move || {
                let polled = view.poll();
                (view, polled)
            });
            let Ok((back, polled)) = polled.await else { return };
            view = back;
            let more = match polled {
                Ok((told, more)) => {
                    if !self.tell(told).await {
                        return;
                    }
                    more
                }
                // It goes on behind what cannot be read.
                Err(e) => {
                    let trouble = Told::Other("trouble", json!({ "why": format!("cannot read: {}", io_reason(&e)) }));
                    if !self.tell(vec![trouble]).await {
                        return;
                    }
                    false
                }
            };
            if self.told.elapsed() > PULSE
                && !self.put(if self.form == Form::Lines { "\n" } else { ":\n\n" }.into()).await
            {
                return;
            }
            if !more {
                tokio::select! {
                    () = sleep(PACE) => {}
                    () = self.inlet.closed() => return,
                }
            }
        }
    }

    /// Tells what has changed beside the lines, once a second.
    async fn look_around(&mut self, mut view: View) -> Option<View> {
        if !self.tell_overview().await {
            return None;
        }
        if !self.follows_all {
            return Some(view);
        }
        let sources = self.desk.sources.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let keys = sources.keys();
            view.retain(|key| keys.iter().any(|known| known == key));
            let mut told = Vec::new();
            for key in keys.iter().filter(|key| !view.has(key)).cloned().collect::<Vec<_>>() {
                if let Some(source) = sources.find(&key)
                    && let Ok(more) = view.add(source, LINES)
                {
                    told.extend(more);
                }
            }
            (view, told)
        });
        let (view, told) = looked.await.ok()?;
        self.tell(told).await.then_some(view)
    }

    async fn tell_overview(&mut self) -> bool {
        if self.form != Form::Page {
            return true;
        }
        let (sources, stopped) = (self.desk.sources.clone(), self.stopped);
        let Ok(overview) = tokio::task::spawn_blocking(move || sources.overview(stopped)).await else { return false };
        if overview == self.overview {
            return true;
        }
        let text = format!("event: overview\ndata: {overview}\n\n");
        self.overview = overview;
        self.put(text).await
    }

    async fn tell(&mut self, told: Vec<Told>) -> bool {
        let mut text = String::new();
        for told in told {
            self.write(told, &mut text);
        }
        self.put(text).await
    }

    /// Each event has the place behind it, so that it does not matter between which two a connection is cut.
    fn write(&mut self, told: Told, text: &mut String) {
        match (self.form, told) {
            (Form::Page, Told::Lines { key, lines }) => {
                let Some((_, end)) = lines.last() else { return };
                self.places.insert(key, *end);
                let lines: Vec<_> = lines.into_iter().map(|(line, _)| line).collect();
                text.push_str(&format!("id: {}\nevent: lines\ndata: {}\n\n", self.id(), json!({ "lines": lines })));
            }
            (Form::Events, Told::Lines { key, lines }) => {
                for (line, end) in lines {
                    self.places.insert(key.clone(), end);
                    text.push_str(&format!("id: {}\ndata: {}\n\n", self.id(), Value::Object(line)));
                }
            }
            (Form::Lines, Told::Lines { lines, .. }) => {
                for (line, _) in lines {
                    text.push_str(&format!("{}\n", Value::Object(line)));
                }
            }
            (Form::Page, Told::Other(what, value)) => text.push_str(&format!("event: {what}\ndata: {value}\n\n")),
            (_, Told::Other("ready", _)) => {}
            (Form::Events, Told::Other(what, value)) => text.push_str(&format!("data: {}\n\n", json!({ what: value }))),
            (Form::Lines, Told::Other(what, value)) => text.push_str(&format!("{}\n", json!({ what: value }))),
        }
    }

    fn id(&self) -> String {
        serde_json::to_string(&self.places).unwrap_or_default()
    }

    async fn put(&mut self, text: String) -> bool {
        self.told = Instant::now();
        text.is_empty() || self.inlet.send(text).await
    }
}

//! Lines as they come, as Server-Sent Events (HTML Standard, section 9.2) or as lines of JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until};

use super::api::{Desk, Sorry, chosen};
use super::ask::{Ask, MOST_STREAMS};
use super::body::{Inlet, answer};
use super::view::{PACE, Places, Told, View, Want, What};
use crate::error::io_reason;
use crate::history::Pattern;

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
    let none = form == Form::Page && ask.streams.is_empty();
    // Of all there are as many as may be named.
    let sources = if none { Vec::new() } else { chosen(&desk.sources, &ask.streams, MOST_STREAMS).await? };
    if !none {
        desk.look(if form == Form::Page { "view" } else { "tail" }, &ask);
    }
    let follows_all = form != Form::Page && ask.streams.is_empty();
    let (inlet, outlet) = answer();
    let pattern = ask.pattern.map(Arc::new);
    let (lines, cut) = (ask.n.unwrap_or(LINES), ask.cut || form == Form::Page);
    let gone = Arc::clone(&inlet.gone);
    let empty = sources.is_empty();
    let hub = desk.hub.clone();
    let wanted = pattern.clone();
    let opened = tokio::task::spawn_blocking(move || View::open(hub, sources, wanted, (lines, &places), gone)).await;
    let failed = |why: String| Sorry(axum::http::StatusCode::INTERNAL_SERVER_ERROR, why);
    let (view, first) = opened
        .map_err(|_| failed("reclog failed".into()))?
        .map_err(|e| failed(format!("cannot read: {}", io_reason(&e))))?;
    let first = if empty { Vec::new() } else { first };
    let voice = Voice { form, pattern, cut, places: view.places() };
    let telling =
        Telling { desk, inlet, form, stopped: ask.stopped, follows_all, overview: Value::Null, told: Instant::now() };
    tokio::spawn(telling.run(view, voice, first, slot));
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
}

/// What is told becomes text.
struct Voice {
    form: Form,
    pattern: Option<Arc<Pattern>>,
    cut: bool,
    /// Where whoever has heard all goes on.
    places: Places,
}

impl Telling {
    async fn run(mut self, mut view: View, mut voice: Voice, first: Vec<Told>, _slot: OwnedSemaphorePermit) {
        let mut changes = self.desk.sources.changes();
        if !self.tell_overview().await || !self.put(voice.say(first)).await {
            return;
        }
        let bell = view.bell();
        loop {
            if changes.has_changed().unwrap_or(false) {
                changes.mark_unchanged();
                if !self.tell_overview().await {
                    return;
                }
                if self.follows_all {
                    let Some((back, told)) = look_around(view, &self.desk).await else { return };
                    view = back;
                    if !self.put(voice.say(told)).await {
                        return;
                    }
                }
            }
            let is_long = view.is_alone() || voice.pattern.is_some();
            let work = move || {
                let (told, more) = view.poll().unwrap_or_else(|e| {
                    (vec![Told::Other("trouble", json!({ "why": format!("cannot read: {}", io_reason(&e)) }))], false)
                });
                let text = voice.say(told);
                (view, voice, text, more)
            };
            // What has been read is told at once; what waits for the disk or a pattern keeps nobody else waiting.
            let worked = if is_long { tokio::task::spawn_blocking(work).await } else { Ok(work()) };
            let Ok((back, same, text, more)) = worked else { return };
            (view, voice) = (back, same);
            if !self.put(text).await {
                return;
            }
            if self.told.elapsed() > PULSE
                && !self.put(if self.form == Form::Lines { "\n" } else { ":\n\n" }.into()).await
            {
                return;
            }
            if !more {
                let pulse = self.told + PULSE;
                let is_alone = view.is_alone();
                tokio::select! {
                    () = bell.notified() => {}
                    () = sleep(PACE), if is_alone => {}
                    () = sleep_until(pulse) => {}
                    Ok(()) = changes.changed() => changes.mark_changed(),
                    () = self.inlet.closed() => return,
                }
            }
        }
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
        self.put(text.into()).await
    }

    async fn put(&mut self, text: Vec<u8>) -> bool {
        if text.is_empty() {
            return true;
        }
        self.told = Instant::now();
        self.inlet.send(text).await
    }
}

/// Adds streams that have appeared, leaves out those that have gone.
async fn look_around(mut view: View, desk: &Desk) -> Option<(View, Vec<Told>)> {
    let sources = desk.sources.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let all = sources.first(usize::MAX);
        view.retain(|key| all.iter().any(|known| known.key() == key));
        let mut told = Vec::new();
        for source in all {
            if view.count() == MOST_STREAMS {
                break;
            }
            if !view.has(&source.key())
                && let Ok(more) = view.add(source, LINES)
            {
                told.extend(more);
            }
        }
        (view, told)
    });
    looked.await.ok()
}

impl Voice {
    fn say(&mut self, told: Vec<Told>) -> Vec<u8> {
        let mut text = Vec::new();
        for told in told {
            self.write(told, &mut text);
        }
        text
    }

    /// Each event has the place behind it, so that it does not matter between which two a connection is cut.
    fn write(&mut self, told: Told, text: &mut Vec<u8>) {
        let (key, what, after, sifted) = match told {
            Told::Lines { key, what, after, sifted } => (key, what, after, sifted),
            Told::Other("ready", _) if self.form != Form::Page => return,
            // Whoever knows that lines are missing is not told of them again.
            Told::Skipped { key, to, about } => {
                self.reach(&key, to);
                return self.event("skipped", &about, true, text);
            }
            Told::Other(what, value) => return self.event(what, &value, what == "ready", text),
        };
        let What::Lines(batch) = &*what else { return };
        let pattern = self.pattern.clone();
        let want = Want { after, pattern: pattern.as_deref(), sifted, cut: self.cut };
        match self.form {
            Form::Page => {
                let mut lines = Vec::new();
                let mut last = None;
                for (index, behind) in batch.wanted(want) {
                    if last.is_some() {
                        lines.push(b',');
                    }
                    batch.put(index, want, &mut lines);
                    last = Some(behind);
                }
                let Some(behind) = last else { return };
                self.reach(&key, behind);
                text.extend_from_slice(format!("id: {}\nevent: lines\ndata: {{\"lines\":[", self.id()).as_bytes());
                text.append(&mut lines);
                text.extend_from_slice(b"]}\n\n");
            }
            Form::Events => {
                for (index, behind) in batch.wanted(want) {
                    self.reach(&key, behind);
                    text.extend_from_slice(format!("id: {}\ndata: ", self.id()).as_bytes());
                    batch.put(index, want, text);
                    text.extend_from_slice(b"\n\n");
                }
            }
            Form::Lines => {
                for (index, _) in batch.wanted(want) {
                    batch.put(index, want, text);
                    text.push(b'\n');
                }
            }
        }
    }

    /// An event that is no line; `placed`: with the place where whoever has heard it goes on.
    fn event(&self, what: &str, value: &Value, placed: bool, text: &mut Vec<u8>) {
        let id = if placed { format!("id: {}\n", self.id()) } else { String::new() };
        let said = match self.form {
            Form::Page => format!("{id}event: {what}\ndata: {value}\n\n"),
            Form::Events => format!("{id}data: {}\n\n", json!({ what: value })),
            Form::Lines => format!("{}\n", json!({ what: value })),
        };
        text.extend_from_slice(said.as_bytes());
    }

    fn reach(&mut self, key: &str, place: u64) {
        match self.places.get_mut(key) {
            Some(known) => *known = place,
            None => drop(self.places.insert(key.into(), place)),
        }
    }

    fn id(&self) -> String {
        serde_json::to_string(&self.places).unwrap_or_default()
    }
}

//! What there is to see: the streams of collectors that run, and of those that did, by name.
//!
//! A request names a stream, and what it names is looked up here. No path ever comes from a request.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use super::sight::Sight;
use crate::control::client::{self, Client};
use crate::history::{self, Columns, Known, Log};
use crate::ledger::{CollectorSnapshot, StreamSnapshot};
use crate::paths::Paths;
use crate::plan::Output;

/// How often collectors are asked.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two values of a rate.
const STEP: u32 = 2;
/// Values of a rate that are kept: three minutes.
const VALUES: usize = 90;
/// Files of a template that are told by name.
const MOST_FILES: usize = 1000;

/// One stream, or one file of a stream that has many.
#[derive(Debug, Clone)]
pub struct Source {
    /// The collector.
    pub collector: String,
    /// The stream.
    pub stream: String,
    /// The file, of a stream that has many; relative to the fixed part of its template.
    pub file: Option<String>,
    /// What its lines say in known places.
    pub columns: Columns,
    path: PathBuf,
    catalog: Option<PathBuf>,
}

impl Source {
    /// As requests name it.
    #[must_use]
    pub fn key(&self) -> String {
        let file = self.file.as_ref().map(|file| format!("/{file}")).unwrap_or_default();
        format!("{}/{}{file}", self.collector, self.stream)
    }

    /// Whether `other` is read as this one is, and shows the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let files = |source: &Self| (source.path.clone(), source.catalog.clone());
        files(self) == files(other) && self.columns == other.columns
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> Log {
        Log::new(&self.path, self.catalog.as_deref())
    }
}

#[cfg(test)]
impl Source {
    /// Of this file, for tests.
    pub fn of(path: &Path) -> Self {
        let (collector, stream, columns) = ("c".into(), "main".into(), Columns::new("raw", None));
        Self { collector, stream, file: None, columns, path: path.into(), catalog: None }
    }
}

/// A collector as it was seen last.
#[derive(Debug, Clone)]
struct Seen {
    name: String,
    /// `None`: it does not run.
    snapshot: Option<CollectorSnapshot>,
    known: Vec<Known>,
}

/// All of it that may be seen. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sources(Arc<Inner>, Sight);

#[derive(Debug)]
struct Inner {
    paths: Paths,
    /// Collectors that are shown; none: all.
    names: Vec<String>,
    /// Those that do not run are shown, too.
    stopped: bool,
    all: Mutex<Vec<Seen>>,
    rates: Mutex<HashMap<(String, String), Rate>>,
    changed: watch::Sender<u64>,
}

/// Records a second, the newest last.
#[derive(Debug, Default)]
struct Rate {
    values: VecDeque<u64>,
    last: Option<(Instant, u64)>,
}

impl Rate {
    fn add(&mut self, now: Instant, records: u64) {
        if let Some((then, before)) = self.last {
            let millis = now.duration_since(then).as_millis().max(1);
            let more = u128::from(records.saturating_sub(before)) * 1000 / millis;
            self.values.push_back(u64::try_from(more).unwrap_or(u64::MAX));
        }
        if self.values.len() > VALUES {
            self.values.pop_front();
        }
        self.last = Some((now, records));
    }
}

impl Sources {
    /// Of the collectors `names`, or of all; with `stopped` of those that do not run, too.
    #[must_use]
    pub fn new(paths: Paths, names: Vec<String>, stopped: bool) -> Self {
        let (all, rates) = (Mutex::default(), Mutex::default());
        let inner = Inner { paths, names, stopped, all, rates, changed: watch::Sender::new(0) };
        Self(Arc::new(inner), Sight::whole())
    }

    /// The same with the eyes of somebody.
    #[must_use]
    pub fn through(&self, sight: Sight) -> Self {
        Self(Arc::clone(&self.0), sight)
    }

    /// What may be seen: whatever is answered is made of this.
    fn all(&self) -> Vec<Seen> {
        let all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(|seen| seen.through(&self.1)).collect()
    }

    /// Looks around for ever.
    pub async fn watch(&self) {
        let (mut ticks, mut looks) = (interval(LOOK), 0_u32);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look(looks.is_multiple_of(STEP)).await;
            looks = looks.wrapping_add(1);
        }
    }

    /// Asks every collector once; one that hangs holds up this look for as long as the client waits for it, and no other.
    pub async fn look(&self, step: bool) {
        let mut asked = JoinSet::new();
        for found in client::find(&self.0.paths) {
            if self.0.names.is_empty() || self.0.names.contains(&found.name) {
                asked.spawn(async move {
                    let mut client = Client::connect(&found.socket).await.ok()?;
                    client.snapshot().await.ok()
                });
            }
        }
        let paths = self.0.paths.clone();
        let known = tokio::task::spawn_blocking(move || history::catalogs(&paths)).await.unwrap_or_default();
        let mut seen: Vec<Seen> = asked
            .join_all()
            .await
            .into_iter()
            .flatten()
            .map(|snapshot| Seen { name: snapshot.name.clone(), snapshot: Some(snapshot), known: Vec::new() })
            .collect();
        for known in known {
            if !self.0.names.is_empty() && !self.0.names.contains(&known.collector) {
                continue;
            }
            match seen.iter_mut().find(|seen| seen.name == known.collector) {
                Some(seen) => seen.known.push(known),
                None => seen.push(Seen { name: known.collector.clone(), snapshot: None, known: vec![known] }),
            }
        }
        seen.sort_by(|a, b| a.name.cmp(&b.name));
        if step {
            self.measure(&seen);
        }
        *self.0.all.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        self.0.changed.send_modify(|looks| *looks += 1);
    }

    /// Told after every look.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    fn measure(&self, seen: &[Seen]) {
        let (now, mut rates) = (Instant::now(), self.0.rates.lock().unwrap_or_else(PoisonError::into_inner));
        let streams =
            || seen.iter().flat_map(|seen| seen.snapshot.iter()).flat_map(|c| c.streams.iter().map(move |s| (c, s)));
        for (collector, stream) in streams() {
            rates.entry((collector.name.clone(), stream.name.clone())).or_default().add(now, stream.records);
        }
        rates.retain(|(c, s), _| streams().any(|(collector, stream)| collector.name == *c && stream.name == *s));
    }

    /// The source that a request names.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<Source> {
        let mut parts = key.splitn(3, '/');
        let (collector, stream, file) = (parts.next()?, parts.next()?, parts.next());
        let all = self.all();
        let seen = all.iter().find(|seen| seen.name == collector && (seen.snapshot.is_some() || self.0.stopped))?;
        let place = seen.places().into_iter().find(|place| place.stream == stream)?;
        let files = history::files(&place.output).ok()?;
        let (path, file) = match (files, file) {
            (None, None) => (place.output.clone(), None),
            (Some(files), Some(file)) => {
                let found = files.into_iter().find(|named| named.name == file)?;
                (found.path, Some(found.name))
            }
            _ => return None,
        };
        Some(place.source(collector, path, file))
    }

    /// The first `most` of all there are; of a stream with many files each is one.
    #[must_use]
    pub fn first(&self, most: usize) -> Vec<Source> {
        let all = self.all();
        let mut sources = Vec::new();
        for seen in all.iter().filter(|seen| seen.snapshot.is_some() || self.0.stopped) {
            for place in seen.places() {
                let source = |path, file| place.source(&seen.name, path, file);
                let room = most - sources.len();
                match history::files(&place.output) {
                    Ok(Some(files)) => {
                        sources.extend(files.into_iter().take(room).map(|file| source(file.path, Some(file.name))));
                    }
                    _ if room > 0 => sources.push(source(place.output.clone(), None)),
                    _ => {}
                }
            }
        }
        sources
    }

    /// `GET /api/streams`.
    #[must_use]
    pub fn list(&self) -> Value {
        let mut list = Vec::new();
        for seen in &self.all() {
            match &seen.snapshot {
                Some(snapshot) => list.extend(snapshot.streams.iter().map(|stream| {
                    json!({"collector": seen.name, "stream": stream.name, "state": snapshot.state.as_str(),
                        "records": stream.records, "bytes": stream.ledger.stored})
                })),
                None if self.0.stopped => list.extend(seen.known.iter().map(|known| {
                    json!({"collector": seen.name, "stream": known.stream, "state": "stopped", "records": null, "bytes": null})
                })),
                None => {}
            }
        }
        Value::Array(list)
    }

    /// What the page shows beside the lines.
    #[must_use]
    pub fn overview(&self, stopped: bool) -> Value {
        let all = self.all();
        let collectors: Vec<_> =
            all.iter().filter_map(|seen| self.collector(seen, stopped && self.0.stopped)).collect();
        json!({"version": env!("CARGO_PKG_VERSION"), "user": self.1.user.as_deref(), "collectors": collectors})
    }

    fn collector(&self, seen: &Seen, stopped: bool) -> Option<Value> {
        let Some(snapshot) = &seen.snapshot else {
            let streams = seen.known.iter().map(|known| {
                let files = names(&known.output);
                json!({"name": known.stream, "remote_port": null, "records": null, "bytes": null, "senders_open": 0,
                    "last_record": null, "rate": [], "format": known.format, "files": files})
            });
            return stopped.then(|| {
                json!({"name": seen.name, "state": "stopped", "target": null, "since": null, "reconnects": 0, "health": [],
                    "streams": streams.collect::<Vec<_>>()})
            });
        };
        let places = seen.places();
        let streams = snapshot.streams.iter().map(|stream| {
            let place = places.iter().find(|place| place.stream == stream.name);
            let rates = self.0.rates.lock().unwrap_or_else(PoisonError::into_inner);
            let rate = rates.get(&(snapshot.name.clone(), stream.name.clone()));
            json!({"name": stream.name, "remote_port": stream.remote_port, "records": stream.records,
                "bytes": stream.ledger.stored, "senders_open": stream.senders.open, "last_record": stream.last_record,
                "rate": rate.map(|rate| rate.values.iter().copied().collect::<Vec<_>>()).unwrap_or_default(),
                "format": place.map_or("raw", |place| place.format.as_str()),
                "files": place.and_then(|place| names(&place.output))})
        });
        Some(json!({"name": snapshot.name, "state": snapshot.state.as_str(), "target": snapshot.target,
            "since": snapshot.since, "reconnects": snapshot.reconnects, "health": snapshot.health,
            "streams": streams.collect::<Vec<_>>()}))
    }
}

/// Where a stream lies.
struct Place {
    stream: String,
    output: PathBuf,
    folder: Option<PathBuf>,
    format: String,
    columns: Columns,
}

impl Place {
    /// The one that lies at `path`, one of many where it has a name as a `file`.
    fn source(&self, collector: &str, path: PathBuf, file: Option<String>) -> Source {
        let catalog = self.folder.as_deref().map(|folder| history::catalog_of(folder, &path));
        let (stream, columns) = (self.stream.clone(), self.columns.clone());
        Source { collector: collector.into(), stream, file, columns, path, catalog }
    }
}

impl Seen {
    /// What somebody may see of it; what is not about one stream is for those alone who see all of them.
    fn through(&self, sight: &Sight) -> Option<Self> {
        let mut seen = self.clone();
        if sight.sees_all_of(&self.name) {
            return Some(seen);
        }
        seen.known.retain(|known| sight.sees(&self.name, &known.stream));
        if let Some(snapshot) = &mut seen.snapshot {
            snapshot.streams.retain(|stream| sight.sees(&self.name, &stream.name));
            snapshot.health.clear();
            snapshot.target = None;
        }
        let is_there = !seen.known.is_empty() || seen.snapshot.as_ref().is_some_and(|c| !c.streams.is_empty());
        is_there.then_some(seen)
    }

    /// Those on disk, in the order of the plan.
    fn places(&self) -> Vec<Place> {
        let of = |stream: &str, output: &Path, known: Option<&Known>| {
            let format = known.map_or("raw", |known| known.format.as_str());
            let prefix = known.and_then(|known| known.prefix.as_deref());
            Place {
                stream: stream.into(),
                output: output.to_owned(),
                folder: known.map(|known| known.folder.clone()),
                format: format.into(),
                columns: Columns::new(format, prefix),
            }
        };
        match &self.snapshot {
            None => self.known.iter().map(|known| of(&known.stream, &known.output, Some(known))).collect(),
            Some(snapshot) => {
                let on_disk = |stream: &StreamSnapshot| {
                    let is_on_disk = |path: &Path| Output::parse(path).map_or(true, |output| output.is_on_disk());
                    stream.outputs.iter().find(|output| is_on_disk(&output.path)).map(|output| output.path.clone())
                };
                let streams = snapshot.streams.iter();
                streams
                    .filter_map(|stream| {
                        let output = on_disk(stream)?;
                        let known =
                            self.known.iter().find(|known| known.stream == stream.name && known.output == output);
                        Some(of(&stream.name, &output, known))
                    })
                    .collect()
            }
        }
    }
}

/// The files of an output that has many, those written last first.
fn names(output: &Path) -> Option<Vec<String>> {
    let files = history::files(output).ok().flatten()?;
    Some(files.into_iter().take(MOST_FILES).map(|file| file.name).collect())
}

//! What the handler does with what the relay says: datagrams go the fast way, answers to whoever waits for them.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use russh::ChannelId;
use tokio::sync::{mpsc, watch};

use super::frames::{Frames, Nonsense, Word};
use super::partings::Partings;
use crate::escape::escape_str;
use crate::intake::datagrams::Datagrams;
use crate::intake::{End, Sender};
use crate::ssh::brake::Voice;

/// Answers that nobody has read yet. One order is asked at a time; a relay that says more is none of ours.
const ANSWERS: usize = 32;

/// Characters of one complaint that are told.
const LONGEST_COMPLAINT: usize = 2000;

/// Ends when reading may go on; false: when it must not.
pub type Room = Pin<Box<dyn Future<Output = bool> + Send>>;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// What the shell found.
    Begins(String),
    /// What the relay says.
    Line(String),
}

/// The ears for one relay; shared between the handler and whoever gives orders.
#[derive(Clone, Default)]
pub struct Ears(Arc<Mutex<Option<Open>>>);

struct Open {
    channel: ChannelId,
    frames: Frames,
    answers: mpsc::Sender<Answer>,
    over: watch::Sender<Option<String>>,
    doors: HashMap<u16, Datagrams>,
    heard: Instant,
    voice: Voice,
    partings: Partings<Sender>,
}

/// Where the answers come out.
pub struct Listener {
    /// One an order.
    pub answers: mpsc::Receiver<Answer>,
    /// Why the relay is no more.
    pub over: watch::Receiver<Option<String>>,
}

/// What is to be done about what came.
pub enum Heard {
    /// It did not come from the relay.
    Other,
    /// Nothing.
    Taken,
    /// No more is to be read before that.
    Full {
        /// Ends when there is room.
        room: Room,
        /// Where something may be said meanwhile.
        voice: Voice,
    },
    /// No more is to be read: the drain is over.
    Released,
}

impl Ears {
    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The relay will speak on `channel`, with this mark at first.
    pub fn open(&self, channel: ChannelId, voice: Voice, mark: &str, now: Instant) -> Listener {
        let (answers, hear) = mpsc::channel(ANSWERS);
        let (over, is_over) = watch::channel(None);
        let (frames, doors, partings) = (Frames::new(mark), HashMap::new(), Partings::default());
        *self.lock() = Some(Open { channel, frames, answers, over, doors, heard: now, voice, partings });
        Listener { answers: hear, over: is_over }
    }

    /// Datagrams for the stream of this number go here.
    pub fn door(&self, stream: u16, door: Datagrams) {
        if let Some(open) = &mut *self.lock() {
            open.doors.insert(stream, door);
        }
    }

    /// Nothing comes for the stream of this number, after all.
    pub fn no_door(&self, stream: u16) {
        let door = self.lock().as_mut().and_then(|open| open.doors.remove(&stream));
        if let Some(door) = door {
            door.end(End::Clean);
        }
    }

    /// `data` came on `channel`.
    pub fn heard(&self, channel: ChannelId, data: &[u8], now: Instant) -> Heard {
        let mut open = self.lock();
        let Some(open) = open.as_mut().filter(|open| open.channel == channel) else { return Heard::Other };
        let Open { frames, answers, over, doors, heard, voice, partings, .. } = open;
        *heard = now;
        let (mut full, mut shut, mut crowded) = (None, false, false);
        let fed = frames.feed(data, |word| {
            let answer = match word {
                Word::Datagram { stream, peer, bytes } => {
                    if let Some(door) = doors.get_mut(&stream) {
                        door.take(peer, bytes, now);
                        if !door.has_room() {
                            full = Some(stream);
                        }
                    }
                    return;
                }
                Word::Lost { stream, datagrams } => {
                    if let Some(door) = doors.get(&stream) {
                        door.lost(datagrams);
                    }
                    return;
                }
                Word::Line(line) if line.starts_with("pong ") => {
                    // Of others it is enough that they were heard.
                    let number = line.strip_prefix("pong end").and_then(|number| number.parse().ok());
                    for sender in number.map(|number| partings.answered(number)).unwrap_or_default() {
                        sender.end(End::Clean);
                    }
                    return;
                }
                Word::Line(line) => {
                    shut |= line == "shut";
                    Answer::Line(line.to_owned())
                }
                Word::Begins(found) => Answer::Begins(found.to_owned()),
            };
            crowded |= answers.try_send(answer).is_err();
        });
        let full = full.and_then(|stream| doors.get(&stream));
        let heard = match full {
            Some(door) => Heard::Full { room: Box::pin(door.wait()), voice: Arc::clone(voice) },
            None if doors.values().any(Datagrams::is_released) => Heard::Released,
            None => Heard::Taken,
        };
        if shut {
            // Whatever came before that word is in.
            for (_, door) in doors.drain() {
                door.end(End::Clean);
            }
        }
        if fed == Err(Nonsense) || crowded {
            end(over, "it says what no relay says");
        }
        heard
    }

    /// It ended, or will not begin.
    pub fn ended(&self, channel: ChannelId, why: &str) {
        if let Some(open) = self.lock().as_mut().filter(|open| open.channel == channel) {
            end(&open.over, why);
            drop(open.partings.give_up());
        }
    }

    /// The end of a sender that the relay brought came. It is a clean one when the relay turns out to have been alive then;
    /// see [`question`](Self::question).
    pub fn part(&self, sender: Sender) {
        if let Some(open) = self.lock().as_mut().filter(|open| open.over.borrow().is_none()) {
            open.partings.part(sender);
        }
    }

    /// What is to be asked of the relay now because of those who ended, and where.
    pub fn question(&self) -> Option<(ChannelId, String)> {
        let mut open = self.lock();
        let open = open.as_mut()?;
        let number = open.partings.question()?;
        Some((open.channel, format!("ping end{number}\n")))
    }

    /// What it says on stderr is for the log.
    pub fn complains(&self, channel: ChannelId, data: &[u8]) {
        if self.lock().as_ref().is_some_and(|open| open.channel == channel) {
            let words: String = String::from_utf8_lossy(data).chars().take(LONGEST_COMPLAINT).collect();
            tracing::debug!("the relay on the jump host: {}", escape_str(&words));
        }
    }

    /// It is given up.
    pub fn give_up(&self, why: &str) {
        if let Some(open) = &*self.lock() {
            end(&open.over, why);
        }
    }

    /// Datagrams' senders that are silent are gone. When the relay was heard last; `None`: there is none.
    pub fn tick(&self, now: Instant) -> Option<Instant> {
        let mut open = self.lock();
        let open = open.as_mut()?;
        open.doors.values_mut().for_each(|door| door.tick(now));
        Some(open.heard)
    }

    /// The connection is over: whoever sent datagrams was cut off.
    pub fn close(&self) {
        let open = self.lock().take();
        drop(open);
    }
}

/// The first reason is the one that counts.
fn end(over: &watch::Sender<Option<String>>, why: &str) {
    over.send_if_modified(|over| over.is_none() && over.replace(why.to_owned()).is_none());
}

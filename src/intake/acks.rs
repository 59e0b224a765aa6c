//! What a RELP sender hears, and when: an acknowledgement never before the record is safe, and all of them in order.

use std::collections::VecDeque;

use super::framing::{Over, Said, after};
use crate::sink::Safe;

/// Places in the output that are remembered for one sender; beyond that its records are acknowledged some at a time. A
/// place is a read from the network, so that a window of a librelp sender (128 frames) is far from it.
const PLACES: usize = 1024;
/// Answers that are made at once, in bytes.
const MOUTHFUL: usize = 16 * 1024;
/// The server wants no more (it has the number 0).
const SERVER_CLOSE: &str = "0 serverclose 0\n";

/// The answers that one sender is owed.
#[derive(Debug, Default)]
pub struct Acks {
    /// The answer to `open`, as it goes out.
    greeting: Option<String>,
    /// The number of the next record to be acknowledged.
    next: u32,
    /// Records that are safe when the output is so far: the position, and how many more than at the place before.
    places: VecDeque<(u64, u64)>,
    over: Option<Over>,
    /// The last word was said.
    done: bool,
    /// It was ours: nothing that came after it is taken.
    left: bool,
}

impl Acks {
    /// Takes what the framing has found; its records end at `position` or before.
    pub fn hear(&mut self, said: Said, position: u64) {
        if self.done {
            return;
        }
        if let Some(opened) = said.opened {
            self.greeting = Some(answer(opened.txnr, &greeting(opened.accepted)));
            self.next = after(opened.txnr);
        }
        if said.records > 0 {
            let full = self.places.len() >= PLACES;
            match self.places.back_mut() {
                // What waits longer than it has to is acknowledged all the same.
                Some(last) if full => *last = (position, last.1 + said.records),
                _ => self.places.push_back((position, said.records)),
            }
        }
        self.over = self.over.or(said.over);
    }

    /// Appends to `out` what may be said now; asked again it goes on.
    pub fn say(&mut self, safe: Safe, out: &mut Vec<u8>) {
        if self.done {
            return;
        }
        if let Some(greeting) = self.greeting.take() {
            out.extend_from_slice(greeting.as_bytes());
        }
        while out.len() < MOUTHFUL
            && let Some((position, records)) = self.places.front_mut()
        {
            if *position <= safe.lost {
                // Nothing after it may be said either. The sender comes again and repeats it all.
                self.places.clear();
                self.over = Some(Over::Bad);
                break;
            }
            if *position > safe.until {
                return;
            }
            out.extend_from_slice(answer(self.next, "200 OK").as_bytes());
            self.next = after(self.next);
            *records -= 1;
            if *records == 0 {
                self.places.pop_front();
            }
        }
        if self.places.is_empty()
            && !self.done
            && let Some(over) = self.over
        {
            if let Over::Closed(txnr) = over {
                out.extend_from_slice(answer(txnr, "").as_bytes());
            }
            out.extend_from_slice(SERVER_CLOSE.as_bytes());
            self.done = true;
        }
    }

    /// Appends to `out` that no more is wanted, once nothing is owed: whatever is under way then has no acknowledgement, and the
    /// sender brings it to whoever comes next. Whether it was said now.
    pub fn leave(&mut self, out: &mut Vec<u8>) -> bool {
        if self.owes() || self.done {
            return false;
        }
        out.extend_from_slice(SERVER_CLOSE.as_bytes());
        (self.done, self.left) = (true, true);
        true
    }

    /// Whether the sender was told to go, so that what it sends now will come again.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.left
    }

    /// Whether everything was said and nothing will follow.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether something will be said even if the sender sends nothing more.
    #[must_use]
    pub fn owes(&self) -> bool {
        !self.places.is_empty() || self.greeting.is_some() || (self.over.is_some() && !self.done)
    }
}

/// The frame that answers the one of this number.
fn answer(txnr: u32, data: &str) -> String {
    if data.is_empty() { format!("{txnr} rsp 0\n") } else { format!("{txnr} rsp {} {data}\n", data.len()) }
}

fn greeting(accepted: bool) -> String {
    if !accepted {
        return "500 the command syslog is needed and was not offered".to_owned();
    }
    format!("200 OK\nrelp_version=0\nrelp_software=reclog,{}\ncommands=syslog", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
#[path = "acks_tests.rs"]
mod tests;

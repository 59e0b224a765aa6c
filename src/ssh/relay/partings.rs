//! Senders whose end came, until the relay has been heard after it. Pure.
//!
//! The kernel ends the connections of a relay that is killed just as its own word would. Only a relay that answers what it
//! was asked after that end was alive at it, and meant it.

/// `W`: what is known of a sender. There are no more of them than senders that are in.
#[derive(Debug)]
pub struct Partings<W> {
    /// The number of the last question.
    number: u64,
    /// It has no answer yet.
    open: bool,
    /// They ended before that question.
    before: Vec<W>,
    /// They ended after it.
    after: Vec<W>,
}

impl<W> Default for Partings<W> {
    fn default() -> Self {
        Self { number: 0, open: false, before: Vec::new(), after: Vec::new() }
    }
}

impl<W> Partings<W> {
    /// The end of `who` came.
    pub fn part(&mut self, who: W) {
        self.after.push(who);
    }

    /// The question to ask now, if any.
    pub fn question(&mut self) -> Option<u64> {
        if self.open || self.after.is_empty() {
            return None;
        }
        self.open = true;
        self.number += 1;
        self.before = std::mem::take(&mut self.after);
        Some(self.number)
    }

    /// The answer to this question came: who has ended for sure.
    pub fn answered(&mut self, number: u64) -> Vec<W> {
        if !self.open || number != self.number {
            return Vec::new();
        }
        self.open = false;
        std::mem::take(&mut self.before)
    }

    /// Nobody will answer any more: who was cut, for all that is known.
    pub fn give_up(&mut self) -> Vec<W> {
        let mut all = std::mem::take(&mut self.before);
        all.append(&mut self.after);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_counts_when_an_answer_to_a_later_question_came() {
        let mut partings = Partings::default();
        assert_eq!(partings.question(), None, "nobody to ask for");
        partings.part("a");
        assert_eq!(partings.question(), Some(1));
        partings.part("b");
        assert_eq!(partings.question(), None, "one at a time");
        assert_eq!(partings.answered(0), Vec::<&str>::new());
        assert_eq!(partings.answered(1), ["a"]);
        assert_eq!(partings.answered(1), Vec::<&str>::new());
        assert_eq!(partings.question(), Some(2));
        partings.part("c");
        assert_eq!(partings.give_up(), ["b", "c"]);
        assert_eq!(partings.answered(2), Vec::<&str>::new());
    }
}

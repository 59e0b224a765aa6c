//! Where in a history a moment is.

use std::io;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;

use super::columns::Columns;
use super::layout::Piece;
use super::page::{self, Bounds, Line};
use super::view::View;

/// Bytes of a range in which every line is looked at; a longer one is halved.
const NEAR: u64 = 64 * 1024;
/// Lines in a row that are asked for a time; some of a format may have none, those of a sender that broke them in two.
const TRIES: usize = 100;
/// Of a line, the bytes that are asked: the time stands in front.
const FRONT: usize = 64 * 1024;

static GO_ON: AtomicBool = AtomicBool::new(false);

/// The first line at or after `when`: by the times that lines have; where they have none, by when files were put away and
/// written, as if bytes had come evenly. `written`: the last write to the newest piece, where that is no archive.
pub fn find(view: &mut View<'_>, when: Timestamp, columns: &Columns, written: Timestamp) -> io::Result<u64> {
    // What was received before a file was put away is in it, or in an older one.
    let pieces: Vec<Piece> = view.pieces().collect();
    let later = |piece: &Piece| piece.at.is_none_or(|at| at >= when);
    let Some(place) = pieces.iter().position(later) else { return Ok(view.end()) };
    let piece = pieces[place];
    let before = place.checked_sub(1).and_then(|place| pieces[place].at);
    let (begin, end) = (piece.start, piece.end());
    if first_timed(view, columns, begin, end)?.is_some() {
        return by_lines(view, when, columns, begin, end);
    }
    let from = evenly(when, before, piece.at.unwrap_or(written), begin, end);
    let stretch = page::after(view, from, &bounds(1))?;
    Ok(stretch.lines.first().map_or(stretch.to, |line| line.offset))
}

fn bounds(lines: usize) -> Bounds<'static> {
    Bounds { lines, bytes: FRONT, filter: None, cancel: &GO_ON }
}

/// Halves the range until what is left is read line by line.
fn by_lines(view: &mut View<'_>, when: Timestamp, columns: &Columns, begin: u64, end: u64) -> io::Result<u64> {
    let (mut low, mut high) = (begin, end);
    while high - low > NEAR {
        let middle = low + (high - low) / 2;
        match first_timed(view, columns, middle, high)? {
            Some((line, time)) if time < when => low = line.offset,
            _ => high = middle,
        }
    }
    let mut at = low;
    // A line may begin before `high` and end behind it; the next one is the first of the next half.
    loop {
        let stretch = page::after(view, at, &bounds(TRIES))?;
        for line in &stretch.lines {
            if columns.read(&line.bytes).time.is_some_and(|time| time >= when) {
                return Ok(line.offset);
            }
        }
        if stretch.edge || stretch.to >= end || stretch.to == at {
            return Ok(stretch.to);
        }
        at = stretch.to;
    }
}

/// The first line between `from` and `to` that has a time.
fn first_timed(view: &mut View<'_>, columns: &Columns, from: u64, to: u64) -> io::Result<Option<(Line, Timestamp)>> {
    let (mut at, mut left) = (from, TRIES);
    while left > 0 {
        let stretch = page::after(view, at, &bounds(left))?;
        let count = stretch.lines.len();
        for line in stretch.lines {
            if line.offset >= to {
                return Ok(None);
            }
            if let Some(time) = columns.read(&line.bytes).time {
                return Ok(Some((line, time)));
            }
        }
        if stretch.edge || count == 0 {
            break;
        }
        (at, left) = (stretch.to, left - count.min(left));
    }
    Ok(None)
}

/// Where `when` is if the bytes from `begin` to `end` have come evenly between two moments.
fn evenly(when: Timestamp, first: Option<Timestamp>, last: Timestamp, begin: u64, end: u64) -> u64 {
    let Some(first) = first else {
        // Nothing is known of the beginning.
        return if when > last { end } else { begin };
    };
    let (all, part) = (last.as_microsecond() - first.as_microsecond(), when.as_microsecond() - first.as_microsecond());
    if all <= 0 || part <= 0 {
        return begin;
    }
    let bytes = i128::from(end - begin) * i128::from(part.min(all)) / i128::from(all);
    begin + u64::try_from(bytes).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn between_two_moments_bytes_have_come_evenly() {
        assert_eq!(evenly(at(15), Some(at(10)), at(20), 1000, 3000), 2000);
        assert_eq!(evenly(at(5), Some(at(10)), at(20), 1000, 3000), 1000);
        assert_eq!(evenly(at(25), Some(at(10)), at(20), 1000, 3000), 3000);
        assert_eq!(evenly(at(15), Some(at(20)), at(20), 1000, 3000), 1000);
        assert_eq!((evenly(at(15), None, at(20), 10, 30), evenly(at(25), None, at(20), 10, 30)), (10, 30));
        let wide = u64::MAX / 4;
        assert_eq!(evenly(at(15), Some(at(10)), at(20), 0, wide), wide / 2);
    }
}

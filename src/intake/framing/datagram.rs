//! A datagram is a record.

use super::Made;
use crate::plan::Framing;
use crate::sink::{End, Records};

/// Appends one datagram to `out`: one record, whatever is in it. One that is too long is split, its line end included, as
/// by [`super::Framer`].
pub fn datagram(framing: Framing, max_line: usize, bytes: &[u8], out: &mut dyn Records) -> Made {
    if framing == Framing::Raw {
        out.chunk(bytes);
        return Made { records: 1, ..Made::default() };
    }
    let (mut made, mut rest, max_line) = (Made::default(), bytes, max_line.max(2));
    while rest.len() > max_line || (rest.len() == max_line && rest.last() != Some(&b'\n')) {
        let (piece, others) = rest.split_at(max_line - 1);
        made.split = 1;
        rest = others;
        end_of_record(piece, out, &mut made);
    }
    end_of_record(rest, out, &mut made);
    made
}

fn end_of_record(piece: &[u8], out: &mut dyn Records, made: &mut Made) {
    match piece.strip_suffix(b"\n") {
        Some(text) => out.record([text, &[]], End::Theirs),
        None => out.record([piece, &[]], End::Ours),
    }
    made.records += 1;
}

//! Who can connect to a port, in words.

use super::place::Place;
use super::printer::Printer;
use super::wrap::{indented, width};
use crate::collector::events::UpStream;
use crate::escape::escape_str;
use crate::ledger::Reach;
use crate::ssh::Finding;

/// The line of the block: only for what is proven. `several`: with the port.
#[must_use]
pub fn line(stream: &UpStream, several: bool) -> Option<String> {
    let finding = stream.finding.as_ref().filter(|finding| finding.reach == Reach::Proven)?;
    let port = if several { format!("port {}: ", stream.remote_port) } else { String::new() };
    let seen = finding.seen_as.as_deref().map(|seen| format!(" (seen as {})", escape_str(address(seen))));
    Some(format!("  reach  {port}proven from outside{}\n", seen.unwrap_or_default()))
}

/// Notes and warnings about it.
pub fn tell(place: &Place, stream: &UpStream, printer: Printer) {
    let place = place.text();
    let Some(finding) = &stream.finding else {
        if stream.reach == Reach::Unproven {
            printer.note(&format!("not proven: that {place} can be reached from outside (nobody looked: --no-probe)"));
        }
        return;
    };
    let width = width(&std::io::stderr());
    match finding.reach {
        Reach::Proven if !finding.why.is_empty() => printer.warning(&finding.why),
        Reach::Proven => {}
        Reach::LoopbackOnly => printer.warning(&format!("nobody outside can connect: {}", finding.why)),
        Reach::Unproven => {
            printer.note(&format!("not proven: that {place} can be reached from outside:"));
            printer.note(indented(&finding.why, "  ", width).trim_end());
        }
    }
    let more = more(finding, width);
    if !more.is_empty() {
        printer.note(more.trim_end());
    }
}

/// What else there is to know, what to do, and what could not be told.
fn more(finding: &Finding, width: usize) -> String {
    let mut text = String::new();
    for note in &finding.notes {
        text.push_str(&indented(&format!("note: {note}"), "", width));
    }
    for (remedy, number) in finding.remedies.iter().zip(1..) {
        text.push_str(&indented(&format!("{number}. {remedy}"), "  ", width));
    }
    for untold in &finding.untold {
        text.push_str(&indented(&format!("not told: {untold}"), "  ", width));
    }
    text
}

/// `203.0.113.9:4711` without the port, which is another one for each connection.
fn address(seen: &str) -> &str {
    let host = seen.rsplit_once(':').map_or(seen, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(finding: Finding) -> UpStream {
        UpStream {
            name: "main".into(),
            host: "h".into(),
            remote_port: 514,
            socket: None,
            udp: false,
            bind: "*".into(),
            framing: crate::plan::Framing::Lines,
            keyword: false,
            reach: finding.reach,
            finding: Some(finding),
            out: "/o".into(),
        }
    }

    #[test]
    fn only_what_is_proven_has_a_line_of_the_block() {
        let proven = |seen: &str| Finding { reach: Reach::Proven, seen_as: Some(seen.into()), ..Finding::default() };
        let line = |finding, several| line(&stream(finding), several);
        assert_eq!(line(proven("192.0.2.7:99"), false).unwrap(), "  reach  proven from outside (seen as 192.0.2.7)\n");
        assert_eq!(
            line(proven("[2001:db8::7]:99"), true).unwrap(),
            "  reach  port 514: proven from outside (seen as 2001:db8::7)\n"
        );
        assert_eq!(line(proven("\x1b[2J:1"), false).unwrap(), "  reach  proven from outside (seen as \\x1b[2J)\n");
        assert_eq!(line(Finding::default(), false), None);
    }

    #[test]
    fn no_line_is_wider_than_a_terminal_and_lines_to_paste_stay_below_each_other() {
        let long = "a word and another ".repeat(9);
        let finding = Finding {
            notes: vec![long.clone()],
            remedies: vec![format!("{long}:\n  do this\x1b"), long.clone()],
            untold: vec![long],
            ..Finding::default()
        };
        let text = more(&finding, 80);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("\n      do this\\x1b\n  2. a word"), "{text}");
        // In a pipe every sentence is one line.
        assert_eq!(more(&finding, usize::MAX).lines().count(), 5);
    }
}

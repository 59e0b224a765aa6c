//! Who can connect to a port, in words.

use super::place::Place;
use super::printer::Printer;
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
    match finding.reach {
        Reach::Proven => {
            for note in &finding.notes {
                printer.note(&format!("note: {}", escape_str(note)));
            }
        }
        Reach::LoopbackOnly => {
            printer.warning(&format!("nobody outside can connect: {}", finding.why));
            more(finding, printer);
        }
        Reach::Unproven => {
            let why = escape_str(&finding.why);
            printer.note(&format!("not proven: that {place} can be reached from outside:\n  {why}"));
            more(finding, printer);
        }
    }
}

/// What to do, and what could not be told.
fn more(finding: &Finding, printer: Printer) {
    for (remedy, number) in finding.remedies.iter().zip(1..) {
        printer.note(&format!("  {number}. {}", indented(remedy, "     ")));
    }
    for untold in &finding.untold {
        printer.note(&format!("  not told: {}", escape_str(untold)));
    }
}

/// Text of several lines, each safe and behind `indent` but for the first.
fn indented(text: &str, indent: &str) -> String {
    text.lines().map(escape_str).collect::<Vec<_>>().join(&format!("\n{indent}"))
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
    fn lines_to_paste_stay_below_each_other() {
        assert_eq!(indented("do\n  this\nand\x1b", "   "), "do\n     this\n   and\\x1b");
    }
}

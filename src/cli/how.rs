//! `how`: what to paste on another machine so that a line arrives.

use super::args::{HowArgs, SenderArg};
use super::pick;
use super::place::Place;
use super::printer::Printer;
use super::snippets::{self, snippet};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::paths::Paths;
use crate::plan::Framing;

/// Prints the snippet for a running stream and nothing else on standard output.
pub async fn run(args: &HowArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let (collector, streams) = pick::streams(args.name.as_deref(), paths, printer).await?;
    if streams.len() > 1 {
        let names: Vec<String> = streams.iter().map(|s| format!("{}/{}", collector.name, s.name)).collect();
        return Err(Error::usage(format!("the collector \"{}\" has several streams", collector.name))
            .hint(format!("name one: {}", names.join(", "))));
    }
    let Some(stream) = streams.first() else { return Ok(()) };
    let place = Place::of(&collector, stream);
    if stream.framing == Framing::Relp.as_str() {
        if !stream.keywords.is_empty() {
            if args.sender.is_some() {
                return Err(Error::usage("rsyslog cannot send a keyword: it says nothing before its messages")
                    .hint("`reclog send HOST:PORT --ack --keyword-file FILE` can: leave --sender out")
                    .hint("a stream of its own, without a keyword and with `allow`, takes what it sends"));
            }
            let text = snippets::acked(&place, true)?;
            tell_keyword(printer);
            return printer.data(&text);
        }
        if args.sender.is_none()
            && let Ok(text) = snippets::acked(&place, false)
        {
            printer.note(&format!("this is for rsyslog; where reclog is: {}", text.trim_end()));
        }
        return printer.data(&snippets::relp(args.sender, &place)?);
    }
    let socket = matches!(place, Place::Socket { .. });
    let usual = if socket { SenderArg::Python } else { SenderArg::Bash };
    let sender = args.sender.unwrap_or(usual);
    let text = if stream.keywords.is_empty() {
        snippet(sender, &place, args.udp)?
    } else {
        tell_keyword(printer);
        snippets::with_keyword(sender, &place)?
    };
    if let Some(host) = place.only_on() {
        printer.note(&format!("run this on {}", escape_str(host)));
    }
    printer.data(&text)
}

fn tell_keyword(printer: Printer) {
    printer.note(&format!(
        "{} holds the keyword where the sender runs: bring the file there by a way that nobody listens to",
        snippets::KEYWORD_FILE
    ));
}

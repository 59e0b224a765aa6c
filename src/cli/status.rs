//! `reclog status`

use std::io::IsTerminal;
use std::time::Duration;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use jiff::Timestamp;

use super::args::StatusArgs;
use super::pick;
use super::printer::Printer;
use super::words;
use super::wrap::{indented, width};
use crate::error::Result;
use crate::escape::escape_str;
use crate::ledger::{CollectorSnapshot, Reach, Snapshot, State};
use crate::paths::Paths;
use crate::plan::Framing;

/// How often `--watch` draws.
const REDRAW: Duration = Duration::from_secs(1);

/// Shows what runs.
pub async fn run(args: &StatusArgs, paths: &Paths, printer: Printer) -> Result<()> {
    if !args.watch {
        let snapshot = collect(args.name.as_deref(), paths, printer).await?;
        if args.json {
            printer.json(&snapshot)?;
        } else if !snapshot.collectors.is_empty() {
            printer.data(&text(&snapshot))?;
        }
        return if snapshot.collectors.is_empty() { Err(pick::nothing_runs()) } else { Ok(()) };
    }
    let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    let draw = async {
        loop {
            let snapshot = collect(args.name.as_deref(), paths, printer).await?;
            let body = if snapshot.collectors.is_empty() { "nothing is running\n".into() } else { text(&snapshot) };
            printer.bytes(format!("{clear}{body}").as_bytes())?;
            tokio::time::sleep(REDRAW).await;
        }
    };
    tokio::select! {
        result = draw => result,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn collect(name: Option<&str>, paths: &Paths, printer: Printer) -> Result<Snapshot> {
    let mut collectors = Vec::new();
    match name {
        Some(_) => collectors.push(pick::one(name, paths, printer).await?.client.snapshot().await?),
        None => {
            for mut running in pick::running(paths, printer).await {
                match running.client.snapshot().await {
                    Ok(snapshot) => collectors.push(snapshot),
                    // One that ends at this moment is not there any more.
                    Err(error) => printer.warning(&error.message),
                }
            }
        }
    }
    Ok(Snapshot { collectors })
}

fn text(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for (index, collector) in snapshot.collectors.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&head(collector, Timestamp::now()));
        text.push_str(&table(collector));
        for stream in &collector.streams {
            for output in stream.outputs.iter().skip(1) {
                let lost = output.lost.filter(|lost| *lost > 0);
                let lost = lost.map_or_else(String::new, |lost| format!("  ({} lost)", words::plural(lost, "record")));
                text.push_str(&format!("    {} → {}{lost}\n", stream.name, words::path(&output.path)));
            }
        }
        if let Some(place) = &collector.metrics {
            text.push_str(&format!("    metrics at {}\n", escape_str(place)));
        }
        for sentence in &collector.health {
            text.push_str(&indented(&format!("! {sentence}"), "  ", width(&std::io::stdout())));
        }
        for stream in &collector.streams {
            if let Some(away) = words::turned_away(&stream.senders) {
                text.push_str(&format!("  ! {}: {away}\n", stream.name));
            }
            if let Some(lost) = stream.datagrams_lost.filter(|lost| *lost > 0) {
                text.push_str(&format!("  ! {}: {} lost\n", stream.name, words::plural(lost, "datagram")));
            }
        }
    }
    text
}

fn head(c: &CollectorSnapshot, now: Timestamp) -> String {
    let mark = match c.state {
        State::Up if c.health.is_empty() => "●",
        State::Failed => "✖",
        _ => "○",
    };
    let mut line = format!("{mark} {}  {}", c.name, c.state.as_str());
    if let Some(target) = &c.target {
        line.push_str(&format!("  {}", escape_str(target)));
    }
    line.push_str(&format!("  pid {}, for {}", c.pid, words::since(c.since, now)));
    if c.reconnects > 0 {
        line.push_str(&format!(", {}", words::plural(c.reconnects, "reconnect")));
    }
    line.push('\n');
    line
}

fn table(c: &CollectorSnapshot) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        // A script or a pipe has no width; nothing is broken for it.
        table.set_width(u16::MAX);
    } else if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout()) {
        table.set_width(size.ws_col.max(40));
    }
    table.set_header(["  STREAM", "PORT", "SENDERS", "RECORDS", "STORED", "REACH", "FILE"]);
    for s in &c.streams {
        let reach = match s.reach {
            Reach::Proven => "proven",
            Reach::LoopbackOnly => "loopback",
            Reach::Unproven => "unproven",
        };
        let file = s.outputs.first().map(|output| words::path(&output.path)).unwrap_or_default();
        // What nearly all have is not worth a column.
        let framing =
            if s.framing == Framing::default().as_str() { String::new() } else { format!(" ({})", s.framing) };
        let port = match &s.socket {
            Some(path) => words::path(path),
            None if s.datagrams_lost.is_none() => s.remote_port.to_string(),
            None if c.target.is_none() => format!("udp:{}", s.remote_port),
            None => format!("{} +udp", s.remote_port),
        };
        table.add_row([
            format!("  {}{}", s.name, escape_str(&framing)),
            port,
            words::count(s.senders.open),
            words::count(s.records),
            words::bytes(s.ledger.stored),
            if c.target.is_some() { reach.to_owned() } else { "local".to_owned() },
            file,
        ]);
    }
    for column in table.column_iter_mut().take(6) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    for column in 1..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if let Some(file) = table.column_mut(6) {
        file.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(10)));
    }
    let lines: Vec<String> = table.lines().map(|l| l.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

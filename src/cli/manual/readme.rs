//! README as a source of the manual: its sections and tables are held against the program by tests, so the manual says the same.

use super::roff::Roff;

const README: &str = include_str!("../../../README.md");

/// The lines below the heading `title`, up to the next heading of its rank.
pub fn section(title: &str) -> Option<Vec<&'static str>> {
    let mut lines = README.lines();
    let heading = lines.find(|line| rank(line) > 0 && line.trim_start_matches('#').trim() == title)?;
    let mut fenced = false;
    let inside = lines.take_while(|line| {
        fenced ^= line.starts_with("```");
        fenced || rank(line) == 0 || rank(line) > rank(heading)
    });
    Some(inside.collect())
}

fn rank(line: &str) -> usize {
    let marks = line.bytes().take_while(|b| *b == b'#').count();
    if line[marks..].starts_with(' ') { marks } else { 0 }
}

/// The rows of the tables in the section `title` whose first column is called `column`, cell by cell.
pub fn rows(title: &str, column: &str) -> Vec<Vec<String>> {
    let lines = section(title).unwrap_or_default();
    let heads = format!("| {column} |");
    let below = lines.into_iter().skip_while(|line| !line.starts_with(&heads)).skip(2);
    below.take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// `\|` is no end of a cell.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().replace("\\|", "\0");
    line.trim_matches('|').split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
}

/// Puts the section `title` into `page`, without its subsections and without tables whose first column is in `but`.
pub fn put(page: &mut Roff, title: &str, but: &[&str]) {
    let lines = section(title).unwrap_or_default();
    let mut rest = lines.as_slice();
    while let Some(first) = rest.first() {
        let count = match *first {
            line if line.starts_with("```") => 2 + rest[1..].iter().take_while(|line| !line.starts_with("```")).count(),
            line if rank(line) > 0 => return,
            line if line.starts_with('|') => rest.iter().take_while(|line| line.starts_with('|')).count(),
            line if is_item(line) => 1 + rest[1..].iter().take_while(|line| line.starts_with("  ")).count(),
            "" => 1,
            _ => rest
                .iter()
                .take_while(|line| {
                    !line.is_empty() && !is_item(line) && !line.starts_with('|') && !line.starts_with("```")
                })
                .count()
                .max(1),
        };
        let (block, after) = rest.split_at(count.min(rest.len()));
        rest = after;
        match *first {
            line if line.starts_with("```") => page.code(&block[1..block.len() - 1].join("\n")),
            line if line.starts_with('|') => table(page, block, but),
            line if is_item(line) => page.item(&block.join(" ")[2..]),
            // A picture has no place on a terminal.
            line if line.is_empty() || line.starts_with("![") => {}
            _ => page.paragraph(&block.join(" ")),
        }
    }
}

fn is_item(line: &str) -> bool {
    line.starts_with("- ")
}

/// The first column names what the others tell of it.
fn table(page: &mut Roff, lines: &[&str], but: &[&str]) {
    let Some((head, rows)) = lines.split_first() else { return };
    let head = cells(head);
    if but.contains(&head[0].as_str()) {
        return;
    }
    for row in rows.iter().skip(1).map(|row| cells(row)) {
        let told: Vec<String> = row
            .iter()
            .zip(&head)
            .enumerate()
            .skip(1)
            .filter(|(_, (cell, _))| !cell.is_empty())
            .map(
                |(n, (cell, head))| {
                    if n + 1 == row.len() && row.len() == 2 { (*cell).clone() } else { format!("{head}: {cell}") }
                },
            )
            .collect();
        let term = if row[0].is_empty() { "(always)" } else { &row[0] };
        page.term(term, &told.join("; "));
    }
}

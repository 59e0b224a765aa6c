//! Pages in the macros of man(7), as groff and mandoc both take them without a word.

/// Longest line of source in bytes that mandoc finds in style, its end left out.
const WIDTH: usize = 78;

/// A page as it is written.
#[derive(Debug, Default)]
pub struct Roff(String);

impl Roff {
    /// A page of `section`, of the day `date` (`YYYY-MM-DD`).
    pub fn page(name: &str, section: u8, date: &str) -> Self {
        let mut page = Self::default();
        let version = env!("CARGO_PKG_VERSION");
        page.0.push_str(&format!(
            ".TH {} {section} {date} \"reclog {version}\" \"Manual of reclog\"\n",
            name.to_uppercase()
        ));
        // Words of command lines are not torn, and the right margin costs no holes.
        page.0.push_str(".nh\n.ad l\n");
        page
    }

    /// A section.
    pub fn heading(&mut self, title: &str) {
        self.0.push_str(&format!(".SH {}\n", quoted(title)));
    }

    /// A part of one.
    pub fn subheading(&mut self, title: &str) {
        self.0.push_str(&format!(".SS {}\n", quoted(title)));
    }

    /// What whatis(1) finds.
    pub fn name(&mut self, name: &str, about: &str) {
        self.heading("NAME");
        self.lines(&format!("{} \\- {}", inline(name), inline(about)));
    }

    /// What follows begins a line.
    pub fn line_break(&mut self) {
        self.0.push_str(".br\n");
    }

    /// The first words below a heading.
    pub fn text(&mut self, markdown: &str) {
        self.lines(&inline(markdown));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, markdown: &str) {
        self.space();
        self.text(markdown);
    }

    /// Before a paragraph; below a heading it would be an empty one.
    fn space(&mut self) {
        if !self.0.lines().last().is_some_and(|line| line.starts_with(".SH") || line.starts_with(".SS")) {
            self.0.push_str(".PP\n");
        }
    }

    /// A term and what it means; both are Markdown.
    pub fn term(&mut self, term: &str, meaning: &str) {
        let line = guarded(&inline(term));
        // The macro takes one line.
        if line.len() > WIDTH {
            self.paragraph(term);
            self.inset(|page| page.text(meaning));
            return;
        }
        self.0.push_str(&format!(".TP\n{line}\n"));
        self.text(meaning);
    }

    /// An item of a list.
    pub fn item(&mut self, markdown: &str) {
        self.0.push_str(".IP \\(bu 2\n");
        self.text(markdown);
    }

    /// Terms inside of what a term means.
    pub fn inset(&mut self, inside: impl FnOnce(&mut Self)) {
        self.0.push_str(".RS\n");
        inside(self);
        self.0.push_str(".RE\n");
    }

    /// Lines as they stand.
    pub fn code(&mut self, text: &str) {
        self.space();
        self.0.push_str(".RS 4\n.nf\n");
        for line in text.trim_end().lines() {
            self.0.push_str(&format!("{}\n", guarded(&literal(line.trim_end()))));
        }
        self.0.push_str(".fi\n.RE\n");
    }

    /// The source.
    pub fn into_text(self) -> String {
        self.0
    }

    fn lines(&mut self, text: &str) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
                self.0.push_str(&format!("{}\n", guarded(&line)));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            self.0.push_str(&format!("{}\n", guarded(&line)));
        }
    }
}

/// An argument of a macro.
fn quoted(text: &str) -> String {
    format!("\"{}\"", inline(text).replace('"', "\\(dq"))
}

/// A line that would be a request is text; one that would be nothing is an empty line.
fn guarded(line: &str) -> String {
    match line {
        "" => "\\&".to_owned(),
        line if line.starts_with(['.', '\'']) => format!("\\&{line}"),
        line => line.to_owned(),
    }
}

/// Text that is to be typed: nothing in it becomes a dash or a quotation mark of print.
pub fn literal(text: &str) -> String {
    text.chars().map(|c| escaped(c, true)).collect()
}

fn escaped(c: char, typed: bool) -> String {
    match c {
        '\\' => "\\e".to_owned(),
        '-' if typed => "\\-".to_owned(),
        '\'' if typed => "\\(aq".to_owned(),
        '`' => "\\(ga".to_owned(),
        '^' => "\\(ha".to_owned(),
        '~' => "\\(ti".to_owned(),
        c if c.is_ascii() => c.to_string(),
        c => format!("\\[u{:04X}]", c as u32),
    }
}

/// Markdown within a paragraph: code, strong and emphasised words, links.
pub fn inline(markdown: &str) -> String {
    let mut out = String::new();
    let mut rest = markdown;
    let spans: [(&str, &str, &str, bool); 3] =
        [("`", "`", "\\fB", true), ("**", "**", "\\fB", false), ("*", "*", "\\fI", false)];
    while let Some(first) = rest.chars().next() {
        let link = rest.strip_prefix('[').and_then(|inside| {
            let (text, after) = inside.split_once("](")?;
            let (url, after) = after.split_once(')')?;
            (!text.contains(']')).then_some((text, url, after))
        });
        if let Some((text, url, after)) = link {
            out.push_str(&inline(text));
            if url.contains("://") {
                out.push_str(&format!(" <{}>", literal(url)));
            }
            rest = after;
            continue;
        }
        let span = spans.iter().find_map(|(open, close, font, typed)| {
            let (inside, after) = rest.strip_prefix(open)?.split_once(close)?;
            // A lone asterisk is one.
            (!inside.is_empty() && (*typed || !inside.starts_with(char::is_whitespace)))
                .then_some((inside, after, *font, *typed))
        });
        if let Some((inside, after, font, typed)) = span {
            let inside = if typed { literal(inside) } else { inline(inside) };
            out.push_str(&format!("{font}{inside}\\fR"));
            rest = after;
        } else {
            out.push_str(&escaped(first, false));
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_written_becomes_a_request_or_gets_lost() {
        let mut page = Roff::page("x", 1, "2026-11-21");
        page.paragraph(".TH `.so /etc/passwd` 'x \\fB and a\\b");
        page.code(".so x\n'y\n\n\\n");
        let text = page.into_text();
        let requests = text.lines().filter(|line| line.starts_with(['.', '\'']));
        assert_eq!(
            requests.map(|line| &line[..3]).collect::<Vec<_>>(),
            [".TH", ".nh", ".ad", ".PP", ".PP", ".RS", ".nf", ".fi", ".RE"]
        );
        assert!(text.contains("\\&.TH \\fB.so /etc/passwd\\fR 'x \\efB and a\\eb\n"), "{text}");
        assert!(text.contains("\\&.so x\n\\(aqy\n\\&\n\\en\n"), "{text}");
    }

    #[test]
    fn words_in_a_line_have_their_fonts() {
        assert_eq!(inline("the `--out -` of *one* **two**"), "the \\fB\\-\\-out \\-\\fR of \\fIone\\fR \\fBtwo\\fR");
        assert_eq!(inline("see [docs/x.md](docs/x.md), [a](https://b.c/d)"), "see docs/x.md, a <https://b.c/d>");
        assert_eq!(
            inline("`*` (all) [default: * (all)] 2 * 3 → ~"),
            "\\fB*\\fR (all) [default: * (all)] 2 * 3 \\[u2192] \\(ti"
        );
    }
}

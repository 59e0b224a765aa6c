//! Text for a terminal of 80 columns, made safe.

use std::io::IsTerminal;

use crate::escape::escape_str;

/// Columns of a terminal.
const COLUMNS: usize = 80;

/// The columns of this stream: elsewhere than on a terminal a sentence stays one line, for whoever searches in it.
#[must_use]
pub fn width(stream: &impl IsTerminal) -> usize {
    if stream.is_terminal() { COLUMNS } else { usize::MAX }
}

/// `text` in lines of at most `width` characters, broken between words; a longer word stands alone.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let text = escape_str(&text.replace('\n', " "));
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("at least one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// `text` behind `indent`, in lines of `width`: its first line wrapped, what stands below it is to be pasted and stays as
/// it is, two columns further in.
#[must_use]
pub fn indented(text: &str, indent: &str, width: usize) -> String {
    let mut lines = text.split('\n');
    let sentence = wrapped(lines.next().unwrap_or_default(), width.saturating_sub(indent.len() + 2));
    let mut all = format!("{indent}{}\n", sentence.join(&format!("\n{indent}  ")));
    for line in lines {
        all.push_str(&format!("{indent}  {}\n", escape_str(line)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_lines_to_paste_stay_as_they_are() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a incomprehensible b", 5), ["a", "incomprehensible", "b"]);
        assert_eq!(wrapped("", 5), [""]);
        let text = indented("say this:\n  a  b\nc", "  ", 40);
        assert_eq!(text, "  say this:\n      a  b\n    c\n");
    }
}

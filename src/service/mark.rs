//! Whose a unit file is: reclog's own begin with a line that holds a checksum of the rest; pure.

use sha2::{Digest, Sha256};

/// What stands before the checksum.
const MARK: &str = "# Written by `reclog service`. Changes belong into a drop-in. sha256:";

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// reclog wrote it, and it is as it was written.
    Reclog,
    /// reclog wrote it, and somebody has changed it since.
    Changed,
    /// Somebody else wrote it.
    Stranger,
}

/// `body` with the line before it that says whose it is.
#[must_use]
pub fn marked(body: &str) -> String {
    format!("{MARK}{}\n{body}", sum(body))
}

/// Whose `text` is.
#[must_use]
pub fn owner(text: &str) -> Owner {
    let Some((given, body)) = text.strip_prefix(MARK).and_then(|rest| rest.split_once('\n')) else {
        return Owner::Stranger;
    };
    if given == sum(body) { Owner::Reclog } else { Owner::Changed }
}

/// The lines that are in one text alone, as a person reads a change: `- old` and `+ new`.
#[must_use]
pub fn difference(old: &str, new: &str) -> Vec<String> {
    let lines = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with(MARK) && !line.is_empty()).map(str::to_owned).collect()
    };
    let (old, new) = (lines(old), lines(new));
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(come).collect()
}

fn sum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_somebody_changed_is_told_from_ours_and_theirs() {
        let text = marked("[Unit]\nA=1\n");
        assert_eq!(owner(&text), Owner::Reclog);
        assert_eq!(owner(&text.replace("A=1", "A=2")), Owner::Changed);
        assert_eq!(owner(&format!("{text}\n")), Owner::Changed);
        for stranger in ["", "[Unit]\nA=1\n", &format!("\n{text}")] {
            assert_eq!(owner(stranger), Owner::Stranger, "{stranger}");
        }
    }

    #[test]
    fn a_change_is_told_by_its_lines() {
        let (old, new) = (marked("a\nb\nc\n"), marked("a\n\nB\nc\n"));
        assert_eq!(difference(&old, &new), ["- b", "+ B"]);
        assert_eq!(difference(&old, &old), Vec::<String>::new());
    }
}

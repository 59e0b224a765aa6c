//! "Did you mean …?"

/// The one of `valid` that a person who wrote `text` most likely meant; `None` when nothing is near.
///
/// `-` and `_`, capital and small letters are the same here, so `Remote-Port` is `remote_port`.
#[must_use]
pub fn nearest<'a>(text: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = plain(text);
    // More than 64 characters is no slip of the pen, and edit distance costs length × length.
    if text.is_empty() || text.len() > 64 {
        return None;
    }
    valid
        .into_iter()
        .filter_map(|candidate| {
            let name = plain(candidate);
            let distance = strsim::damerau_levenshtein(&text, &name);
            // One slip in three letters; a word left out (`port` for `remote_port`) is near, too, but less so.
            let near = distance <= (text.chars().count().max(name.chars().count()) / 3).max(1);
            let part = text.len() >= 3 && name.len() >= 3 && (name.contains(&text) || text.contains(&name));
            (near || part).then_some(((!near, distance), candidate))
        })
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?`` for the [`nearest`] name.
#[must_use]
pub fn did_you_mean<'a>(text: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(text, valid).map(|name| format!("did you mean `{name}`?"))
}

fn plain(text: &str) -> String {
    text.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_find_the_key_that_was_meant() {
        let keys = ["remote_port", "bind", "out", "framing", "max_line", "max_connections", "sync"];
        for (written, meant) in [
            ("remote-port", "remote_port"),
            ("remoteport", "remote_port"),
            ("Remote_Prot", "remote_port"),
            ("port", "remote_port"),
            ("output", "out"),
            ("bnid", "bind"),
            ("maxline", "max_line"),
        ] {
            assert_eq!(nearest(written, keys), Some(meant), "{written}");
        }
        assert_eq!(nearest("a-b-c-", ["a_b_c_"]), Some("a_b_c_"), "only the hyphens differ");
        for far in ["zebra", "", "x", &"remote_port".repeat(9)] {
            assert_eq!(nearest(far, keys), None, "{far}");
        }
    }
}

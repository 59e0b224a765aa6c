//! The page, as it lies in the program.

/// One file of it.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its `Content-Type`.
    pub kind: &'static str,
    /// Its contents.
    pub text: &'static str,
}

const JS: &str = "text/javascript; charset=utf-8";

macro_rules! assets {
    ($($kind:expr => $($name:literal)+;)+) => {
        /// All files below `page/`, by name.
        const ALL: &[(&str, Asset)] =
            &[$($(($name, Asset { kind: $kind, text: include_str!(concat!("page/", $name)) }),)+)+];
    };
}

assets! {
    JS => "ansi.js" "api.js" "bar.js" "buffer.js" "clipboard.js" "colour.js" "dialogs.js" "enter.js" "finder.js" "graph.js" "history.js" "json.js" "keys.js" "link.js" "list.js"
        "main.js" "merge.js" "overview.js" "place.js" "prefs.js" "row.js" "sse.js" "text.js" "words.js";
    "text/css; charset=utf-8" => "style.css";
    "image/svg+xml" => "icon.svg";
}

/// The page itself.
pub const INDEX: &str = include_str!("page/index.html");
/// Where users log in; `{said}` and `{next}` are filled in.
pub const LOGIN: &str = include_str!("page/login.html");
/// For whoever has no token.
pub const STRANGER: &str = include_str!("page/stranger.html");

/// The file called `name`; compared, never opened.
#[must_use]
pub fn find(name: &str) -> Option<Asset> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, asset)| *asset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_in_the_program_and_all_of_it_is_small() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/page");
        let mut bytes = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let text = match name.as_str() {
                "index.html" => INDEX,
                "login.html" => LOGIN,
                "stranger.html" => STRANGER,
                name => find(name).unwrap_or_else(|| panic!("{name} is not in the program")).text,
            };
            bytes += text.len();
        }
        assert!(bytes < 150 * 1024, "{bytes}");
        assert!(find("../mod.rs").is_none() && find("").is_none());
    }
}

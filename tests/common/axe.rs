//! What axe-core finds in a page.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::browser::Browser;

/// axe-core, which scripts/test fetches.
#[must_use]
pub fn axe() -> Option<String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"));
    std::fs::read_to_string(target.join("tools/axe-core-4.14.1.js")).ok()
}

/// What axe-core finds by the rules of WCAG 2.2 AA and by good practice; what was looked at must not be nothing.
#[track_caller]
pub fn assert_accessible(browser: &Browser, axe: &str, what: &str) {
    let found = browser.js_async(&format!(
        "{axe};\
         const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];\
         const all = await axe.run({{ runOnly: tags }});\
         const told = (v) => v.id + ': ' + v.help + ' ' + v.nodes.map((n) => n.html.slice(0, 200) + ' ' + n.failureSummary).slice(0, 3).join(' | ');\
         return {{ violations: all.violations.map(told), passes: all.passes.map((p) => p.id) }};"
    ));
    assert_eq!(found["violations"], json!([]), "{what}: {found:#}");
    let passes = found["passes"].as_array().unwrap();
    assert!(passes.len() > 10 && passes.contains(&json!("color-contrast")), "{what}: {passes:?}");
}

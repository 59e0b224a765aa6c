//! The keyword that a person types, or the environment holds.

use std::path::Path;

use zeroize::Zeroizing;

use super::prompt::Prompt;
use crate::error::{Error, Result};
use crate::plan::{KEYWORD_VARIABLE, Plan, Source, word};
use crate::ssh::{Answer, keep_out_of_core_files};

/// Whether the environment holds one; an empty one is a mistake that is told, not none.
pub fn is_in_environment() -> bool {
    std::env::var_os(KEYWORD_VARIABLE).is_some()
}

/// The word that `plan` waits for, if it does; `written` is what `--keyword-file` says.
///
/// # Errors
/// Usage when there is none, or none that senders could say; interrupted when the person has enough.
pub async fn given(plan: &Plan, written: Option<&Path>, prompt: &Prompt) -> Result<Option<Zeroizing<String>>> {
    let mut all = plan.streams.iter().flat_map(|stream| &stream.keywords);
    if !all.any(|keyword| keyword.from == Source::Given) {
        return Ok(None);
    }
    keep_out_of_core_files();
    let elsewhere = "name a file: --keyword-file FILE";
    // Only `-` gets here with one.
    let (whose, said) = if written.is_some() {
        ("the keyword", asked(plan, prompt).await?)
    } else {
        let said = std::env::var_os(KEYWORD_VARIABLE).unwrap_or_default().into_string();
        let said = said.map_err(|_| Error::usage(format!("{KEYWORD_VARIABLE} is not UTF-8")).hint(elsewhere))?;
        (KEYWORD_VARIABLE, Zeroizing::new(said))
    };
    word(said.as_bytes()).map_err(|why| Error::usage(format!("{whose} {why}")).hint(elsewhere))?;
    Ok(Some(said))
}

async fn asked(plan: &Plan, prompt: &Prompt) -> Result<Zeroizing<String>> {
    let text = format!("Keyword for the senders of \"{}\": ", plan.name);
    match prompt.secret(text).await? {
        Answer::Text(said) => Ok(said),
        Answer::Declined => Err(Error::usage("no keyword was given")),
        Answer::Nobody => Err(Error::usage("cannot ask for the keyword: there is no terminal")
            .hint(format!("set {KEYWORD_VARIABLE}, or name a file: --keyword-file FILE"))),
    }
}

//! `reclog send`

use super::printer::Printer;
use super::prompt::Prompt;
use super::spinner::Spinner;
use super::up::interrupt;
use crate::console::args::SendArgs;
use crate::console::send;
use crate::console::terminal::Said;
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::ssh::{Answer, Person as _, Question, QuestionKind};

/// Sends lines to a collector. A keyword is asked for as passphrases are; the rest needs no runtime, and holds up this one.
pub async fn run(args: SendArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let typed = if send::asks(&args) {
        let question = Question { text: send::QUESTION.into(), kind: QuestionKind::Secret };
        let prompt = Prompt::new(printer, Spinner::new(None));
        let answer = tokio::select! {
            biased;
            answer = prompt.ask(question) => answer,
            // The question is dropped, and the terminal is as it was.
            () = interrupt() => return Err(Error::interrupted()),
        };
        Some(send::typed(match answer {
            Answer::Text(said) => Said::Text(said),
            Answer::Declined => Said::Declined,
            Answer::Nobody => Said::Nobody,
        })?)
    } else {
        None
    };
    send::run(&args, paths, printer, typed.as_ref())
}

//! Why a connection did not come about whose wire is a program.

use super::proxy::Program;
use super::settings::Settings;
use crate::error::Error;
use crate::escape::escape_str;

/// How [`Program::last_words`] begin when there was no such program.
const NOT_FOUND: &str = "ended with exit code 127";

/// A program that has ended is the better reason for a connection that did not come about.
pub async fn blame(program: &mut Program, command: &str, settings: &Settings, error: Error) -> Error {
    if error.kind != crate::error::Kind::Failed {
        return error;
    }
    match program.last_words().await {
        Some(words) => Error::failed(format!(
            "cannot connect to {}: the ProxyCommand `{}` {words}",
            settings.target(),
            escape_str(command)
        ))
        .hint(if words.starts_with(NOT_FOUND) {
            "the shell does not find the program: is it installed, and its folder in PATH?"
        } else {
            "it has to pass the bytes itself (no ProxyUseFdpass) and has no terminal; for ssh -W take ProxyJump, which asks through reclog"
        }),
        None => error,
    }
}

//! The verb `send`: what was written on the command line becomes settings, and signals become the wish to end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use zeroize::Zeroizing;

use super::args::{SendArgs, SendFraming};
use super::printer::Printer;
use super::terminal::Said as Answer;
use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::paths::{Paths, absolute};
use crate::secret::KEYWORD_VARIABLE;
use crate::send::{self, Ack, Framing, Keyword, Said, Settings, Stop, Target, Wake};
use crate::units::{parse_duration, parse_size};

/// Bytes that may lie in a spool: a day of a busy machine.
const SPOOL_SIZE: u64 = 1 << 30;
/// How long an acknowledgement may take: librelp's number.
const ACK_TIMEOUT: Duration = Duration::from_secs(90);
/// What to do when nobody can be asked.
const ELSEWHERE: &str = "--keyword-file FILE reads it from a file";
/// What stands before the cursor when a person is to type the keyword.
pub const QUESTION: &str = "Keyword: ";

/// Whether a person is to type the keyword.
#[must_use]
pub fn asks(args: &SendArgs) -> bool {
    args.keyword_file.as_deref() == Some(Path::new("-"))
}

/// What came of that question.
///
/// # Errors
/// Usage when nothing did.
pub fn typed(answer: Answer) -> Result<Zeroizing<String>> {
    match answer {
        Answer::Text(said) => Ok(said),
        Answer::Declined => Err(Error::usage("no keyword was given").hint(ELSEWHERE)),
        Answer::Nobody => Err(Error::usage("cannot ask for the keyword: there is no terminal").hint(ELSEWHERE)),
    }
}

/// Sends lines to a collector; blocks. `typed` is the keyword that a person gave, where one was asked. The first SIGINT or
/// SIGTERM asks for the end, the second one ends the process: what is in the spool stays there whenever that is.
///
/// # Errors
/// Usage when the arguments contradict each other, and those of [`send::run`].
pub fn run(args: &SendArgs, paths: &Paths, printer: Printer, typed: Option<&Zeroizing<String>>) -> Result<()> {
    let mut settings = settings(args, paths)?;
    settings.keyword = keyword(args.keyword_file.as_deref(), typed.map(|said| said.as_str()))?;
    let failed = |what: &str, e: &std::io::Error| Error::failed(format!("cannot {what}: {}", io_reason(e)));
    let wake = Wake::new().map_err(|e| failed("start sending", &e))?;
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|e| failed("handle Ctrl-C", &e))?;
    let caller = wake.clone();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if caller.stopped().is_some() {
                let error = Error::interrupted();
                printer.error(&error);
                // The loop may be waiting for a disk that hangs; nothing else ends that.
                std::process::exit(error.kind.exit_code().into());
            }
            caller.stop(if signal == SIGINT { Stop::Person } else { Stop::Manager });
        }
    });
    send::run(&settings, &wake, &mut |said| match said {
        Said::Note(text) => printer.note(&escape_str(&text)),
        Said::Warning(text) => printer.warning(&text),
    })
}

fn settings(args: &SendArgs, paths: &Paths) -> Result<Settings> {
    let target = Target::parse(&args.target).map_err(|why| Error::usage(format!("cannot send: {why}")))?;
    let ack = args.ack || args.framing == Some(SendFraming::Relp);
    if let (true, Some(SendFraming::Lines | SendFraming::Syslog)) = (args.ack, args.framing) {
        return Err(Error::usage("--ack and --framing contradict each other: only RELP is acknowledged")
            .hint("leave --framing out"));
    }
    for (given, flag) in [
        (args.spool.is_some(), "--spool"),
        (args.spool_size.is_some(), "--spool-size"),
        (args.ack_timeout.is_some(), "--ack-timeout"),
    ] {
        if given && !ack {
            return Err(Error::usage(format!("{flag} needs --ack")).hint("without it nothing is known to be stored"));
        }
    }
    let most = args.spool_size.as_deref().map_or(Ok(SPOOL_SIZE), parse_size);
    let patience = args.ack_timeout.as_deref().map_or(Ok(ACK_TIMEOUT), parse_duration);
    let wrong = |flag: &'static str| move |why| Error::usage(format!("{flag}: {why}"));
    let (most, patience) = (most.map_err(wrong("--spool-size"))?, patience.map_err(wrong("--ack-timeout"))?);
    if most == 0 || patience.is_zero() {
        return Err(Error::usage("--spool-size and --ack-timeout must be more than 0"));
    }
    let spool = match &args.spool {
        Some(folder) => absolute(folder),
        None => paths.state.join("send").join(file_safe(&target)),
    };
    let ack = ack.then_some(Ack { spool, most, patience });
    let framing = if args.framing == Some(SendFraming::Syslog) { Framing::Syslog } else { Framing::Lines };
    let follow: Vec<PathBuf> = args.follow.iter().map(|path| absolute(path)).collect();
    Ok(Settings { target, keyword: None, follow, framing, ack, keep_trying: args.keep_trying })
}

/// `HOST_PORT`: what a host may be called has no `/`.
fn file_safe(target: &Target) -> String {
    let host: String =
        target.host.chars().map(|c| if c.is_ascii_alphanumeric() || ".-%".contains(c) { c } else { '_' }).collect();
    format!("{host}_{}", target.port)
}

/// The word to be said first: of a file, a person or the environment.
fn keyword(file: Option<&Path>, typed: Option<&str>) -> Result<Option<Keyword>> {
    match (typed, file) {
        (Some(said), _) => Keyword::said(said.as_bytes(), "the keyword").map(Some),
        (None, Some(path)) => Keyword::of_file(path).map(Some),
        (None, None) => std::env::var_os(KEYWORD_VARIABLE)
            .map(|said| Keyword::said(&Zeroizing::new(said.into_encoded_bytes()), KEYWORD_VARIABLE))
            .transpose(),
    }
}

//! `reclog send`

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::args_send::{SendArgs, SendFraming};
use super::printer::Printer;
use super::prompt::Prompt;
use super::spinner::Spinner;
use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::paths::{Paths, absolute};
use crate::plan::{KEYWORD_VARIABLE, LONGEST_KEYWORD, word};
use crate::profile::{parse_duration, parse_size};
use crate::send::{self, Ack, Framing, Said, Settings, Stop, Target, Wake};
use crate::ssh::{Answer, Person as _, Question, QuestionKind};

/// Bytes that may lie in a spool: a day of a busy machine.
const SPOOL_SIZE: u64 = 1 << 30;
/// How long an acknowledgement may take: librelp's number.
const ACK_TIMEOUT: Duration = Duration::from_secs(90);

/// Sends lines to a collector.
pub async fn run(args: SendArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let mut settings = settings(&args, paths)?;
    settings.keyword = keyword(args.keyword_file.as_deref(), printer).await?;
    let failed = |what: &str, e: &std::io::Error| Error::failed(format!("cannot {what}: {}", io_reason(e)));
    let wake = Wake::new().map_err(|e| failed("start sending", &e))?;
    let listen = |kind| signal(kind).map_err(|e| failed("handle Ctrl-C", &e));
    let (mut person, mut manager) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let worker = wake.clone();
    let mut work = tokio::task::spawn_blocking(move || {
        send::run(&settings, &worker, &mut |said| match said {
            Said::Note(text) => printer.note(&escape_str(&text)),
            Said::Warning(text) => printer.warning(&text),
        })
    });
    let mut stopped = false;
    loop {
        let who = tokio::select! {
            done = &mut work => return done.unwrap_or_else(|_| Err(Error::failed("sending has come to a sudden end"))),
            Some(()) = person.recv() => Stop::Person,
            Some(()) = manager.recv() => Stop::Manager,
        };
        if std::mem::replace(&mut stopped, true) {
            // What is in the spool stays there whenever this ends.
            return Err(Error::interrupted());
        }
        wake.stop(who);
    }
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
async fn keyword(file: Option<&Path>, printer: Printer) -> Result<Option<Zeroizing<String>>> {
    let elsewhere = "--keyword-file FILE reads it from a file";
    let (bytes, from) = match file {
        None => match std::env::var_os(KEYWORD_VARIABLE) {
            None => return Ok(None),
            Some(said) => (Zeroizing::new(said.into_encoded_bytes()), KEYWORD_VARIABLE.to_owned()),
        },
        Some(path) if path == Path::new("-") => {
            let question = Question { text: "Keyword: ".into(), kind: QuestionKind::Secret };
            match Prompt::new(printer, Spinner::new(None)).ask(question).await {
                Answer::Text(said) => (Zeroizing::new(said.as_bytes().to_vec()), "the keyword".to_owned()),
                Answer::Declined => return Err(Error::usage("no keyword was given").hint(elsewhere)),
                Answer::Nobody => {
                    return Err(Error::usage("cannot ask for the keyword: there is no terminal").hint(elsewhere));
                }
            }
        }
        Some(path) => {
            let shown = escape_str(&path.display().to_string());
            let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_KEYWORD + 3));
            let read = std::fs::File::open(path)
                .and_then(|file| file.take(LONGEST_KEYWORD as u64 + 3).read_to_end(&mut bytes));
            read.map_err(|e| Error::usage(format!("cannot read the keyword file {shown}: {}", io_reason(&e))))?;
            (bytes, format!("the keyword file {shown}"))
        }
    };
    let said = word(&bytes).and_then(|said| std::str::from_utf8(said).map_err(|_| "is not UTF-8"));
    let said = said.map_err(|why| {
        Error::usage(format!("{from} {why}")).hint(format!("a keyword is one line of 1 to {LONGEST_KEYWORD} bytes"))
    })?;
    Ok(Some(Zeroizing::new(said.to_owned())))
}

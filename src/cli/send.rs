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
use crate::plan::LONGEST_KEYWORD;
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
    let (text, from) = match file {
        None => match std::env::var_os("RECLOG_KEYWORD").filter(|word| !word.is_empty()) {
            None => return Ok(None),
            Some(word) => (word.into_string().ok().map(Zeroizing::new), "RECLOG_KEYWORD".to_owned()),
        },
        Some(path) if path == Path::new("-") => {
            let question = Question { text: "Keyword: ".into(), kind: QuestionKind::Secret };
            match Prompt::new(printer, Spinner::new(None)).ask(question).await {
                Answer::Text(word) => (Some(word), "the keyword".to_owned()),
                _ => {
                    return Err(Error::failed("cannot ask for the keyword: there is no terminal")
                        .hint("--keyword-file FILE reads it from a file"));
                }
            }
        }
        Some(path) => {
            let shown = path.display();
            let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_KEYWORD + 3));
            let read = std::fs::File::open(path)
                .and_then(|file| file.take(LONGEST_KEYWORD as u64 + 3).read_to_end(&mut bytes));
            read.map_err(|e| Error::failed(format!("cannot read the keyword file {shown}: {}", io_reason(&e))))?;
            let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
            let text = std::str::from_utf8(line).ok().map(|text| Zeroizing::new(text.to_owned()));
            (text, format!("the keyword file {shown}"))
        }
    };
    let word = text.ok_or_else(|| Error::failed(format!("{from} is no text")))?;
    let word = Zeroizing::new(word.trim_end_matches(['\r', '\n']).to_owned());
    if word.is_empty() {
        return Err(Error::failed(format!("{from} is empty")).hint("its first line is the keyword"));
    }
    if word.len() > LONGEST_KEYWORD || word.contains('\n') {
        return Err(Error::failed(format!("{from} holds no line of at most {LONGEST_KEYWORD} bytes")));
    }
    Ok(Some(word))
}

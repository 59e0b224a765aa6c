//! `reclog web`

use std::process::Stdio;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::args_watch::{WebArgs, WebCommand};
use super::printer::Printer;
use super::web_user;
use crate::error::{Error, Result, io_reason};
use crate::paths::Paths;
use crate::plan::is_name;
use crate::web::{self, Options, Web, door::Place};

/// Serves the page in the foreground until Ctrl-C or SIGTERM.
pub async fn run(args: WebArgs, paths: &Paths, printer: Printer) -> Result<()> {
    if let Some(WebCommand::User(user)) = args.command {
        return web_user::run(user.command, paths, printer).await;
    }
    let place = match &args.listen {
        Some(text) => web::place(text)?,
        None => Place::Tcp(web::DEFAULT),
    };
    if let Some(name) = args.names.iter().find(|name| !is_name(name)) {
        return Err(Error::usage(format!("{} is no name of a collector", crate::escape::escape_str(name))));
    }
    let base = args.base_path.unwrap_or_default();
    let base = base.trim_end_matches('/').to_owned();
    if !base.is_empty()
        && (!base.starts_with('/') || base.contains(['?', '#', '%', '"', ';', ' ']) || base.contains("//"))
    {
        return Err(Error::usage(format!(
            "cannot use --base-path {}: it is no path",
            crate::escape::escape_str(&base)
        ))
        .hint("write it like `/logs`"));
    }
    let failed = |e: std::io::Error| Error::failed(format!("cannot hear signals: {}", io_reason(&e)));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let options = Options {
        place,
        names: args.names,
        stopped: args.stopped,
        token: !args.no_token,
        hosts: args.hosts,
        base,
        certificate: args.tls_cert.zip(args.tls_key),
        proxies: args.trust_proxy,
    };
    crate::collector::allow_many_files();
    let web = Web::open(options, paths.clone()).await?;
    if let Some(fingerprint) = web.fingerprint() {
        printer.note(&format!("SHA-256 {fingerprint}"));
    }
    printer.data(&format!("{}\n", web.link))?;
    if args.open {
        open(&web.link, printer);
    }
    let stop = CancellationToken::new();
    let served = tokio::spawn(web.serve(stop.clone()));
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    stop.cancel();
    let _ = served.await;
    Ok(())
}

/// Lets the desktop open the link.
fn open(link: &str, printer: Printer) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = std::process::Command::new(program);
    command.arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.spawn() {
        Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
        Err(e) => printer.warning(&format!("cannot open a browser: {program}: {}", io_reason(&e))),
    }
}

//! `reclog web`

use std::process::Stdio;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::args_watch::WebArgs;
use super::printer::Printer;
use crate::error::{Error, Result, io_reason};
use crate::paths::Paths;
use crate::plan::is_name;
use crate::web::{self, Options, Web, door::Place};

/// Serves the page in the foreground until Ctrl-C or SIGTERM.
pub async fn run(args: WebArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let place = match &args.listen {
        Some(text) => web::place(text)?,
        None => Place::Tcp(web::DEFAULT),
    };
    if args.no_token && matches!(place, Place::Tcp(_)) {
        return Err(Error::usage("cannot leave out the token on TCP: every account of this machine could look")
            .hint("`--listen unix:/path --no-token` leaves it to the rights of the socket"));
    }
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
    let options =
        Options { place, names: args.names, stopped: args.stopped, token: !args.no_token, hosts: args.hosts, base };
    let web = Web::open(options, paths.clone()).await?;
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

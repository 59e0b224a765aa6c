//! Ends that come from outside: Ctrl-C, SIGTERM and deadlines. Every wait of the bench asks here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Fallible;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Between two questions where nothing can wake us. Short beside everything it is used for (times from 50 ms up), long
/// enough to leave the processor to those who are measured.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// Whether the bench was told to end.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Turns SIGINT and SIGTERM into a flag, so that the ways out are the usual ones and every `Drop` runs: the children
/// are in process groups of their own, a Ctrl-C at the terminal does not reach them.
pub fn listen_for_signals() -> Fallible<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut int, mut term) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = int.recv() => (), _ = term.recv() => () }
        });
        INTERRUPTED.store(true, Ordering::Relaxed);
    });
    Ok(())
}

/// Asks until there is an answer; an error names `what` after `limit`, or says that the bench was interrupted.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Fallible<Option<T>>) -> Fallible<T> {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if interrupted() {
            return Err("interrupted".into());
        }
        if since.elapsed() > limit {
            return Err(format!("{what}: not within {} s", limit.as_secs()).into());
        }
        thread::sleep(ASK_AGAIN);
    }
}

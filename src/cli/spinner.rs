//! What moves on the terminal while something is awaited, and rests while a person is asked.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::printer::Printer;

/// A spinner on stderr; nothing where stderr is no terminal or `--quiet` is given.
#[must_use]
pub fn bar(printer: Printer) -> ProgressBar {
    if printer.is_quiet() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg}").expect("literal"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Spinner(Arc<Mutex<Spin>>);

#[derive(Debug)]
struct Spin {
    /// None where nothing is to move.
    printer: Option<Printer>,
    bar: Option<ProgressBar>,
    message: String,
    /// Who wants it to rest: a banner may come while a question is open.
    resting: usize,
}

impl Spinner {
    /// Moves at once, where `printer` lets it.
    #[must_use]
    pub fn new(printer: Option<Printer>) -> Self {
        let spinner = Self(Arc::new(Mutex::new(Spin { printer, bar: None, message: String::new(), resting: 1 })));
        spinner.resume();
        spinner
    }

    fn spin(&self) -> MutexGuard<'_, Spin> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is going on.
    pub fn say(&self, message: String) {
        let mut spin = self.spin();
        if let Some(bar) = &spin.bar {
            bar.set_message(message.clone());
        }
        spin.message = message;
    }

    /// Clears its line and rests.
    pub fn pause(&self) {
        let mut spin = self.spin();
        spin.resting += 1;
        if let Some(bar) = spin.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Goes on after every [`Spinner::pause`] has its end.
    pub fn resume(&self) {
        let mut spin = self.spin();
        spin.resting = spin.resting.saturating_sub(1);
        if let (0, Some(printer), None) = (spin.resting, spin.printer, &spin.bar) {
            let bar = bar(printer);
            bar.set_message(spin.message.clone());
            spin.bar = Some(bar);
        }
    }

    /// Clears its line for good.
    pub fn finish(&self) {
        self.spin().printer = None;
        self.pause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_until_everybody_is_done() {
        let spinner = Spinner::new(Some(Printer::new(false, 0)));
        let moves = || spinner.spin().bar.is_some();
        assert!(moves());
        spinner.pause();
        // A banner in the middle of a question.
        spinner.pause();
        spinner.resume();
        assert!(!moves());
        spinner.resume();
        assert!(moves());
        spinner.finish();
        spinner.resume();
        assert!(!moves());
    }
}

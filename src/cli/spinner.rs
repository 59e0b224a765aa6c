//! What moves on the terminal while something is awaited, and rests while a person is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::ProgressBar;

use super::printer::Printer;

/// See the module.
#[derive(Debug, Clone)]
pub struct Spinner(Arc<Mutex<Spin>>);

#[derive(Debug)]
struct Spin {
    /// None where nothing is to move.
    printer: Option<Printer>,
    bar: Option<ProgressBar>,
    message: String,
}

impl Spinner {
    /// Moves at once, where `printer` lets it.
    #[must_use]
    pub fn new(printer: Option<Printer>) -> Self {
        let spinner = Self(Arc::new(Mutex::new(Spin { printer, bar: None, message: String::new() })));
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
        if let Some(bar) = self.spin().bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Goes on after [`Spinner::pause`].
    pub fn resume(&self) {
        let mut spin = self.spin();
        if let (Some(printer), None) = (spin.printer, &spin.bar) {
            let bar = printer.spinner();
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

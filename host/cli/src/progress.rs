use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A shorter transfer shows no bar.
const QUIET: Duration = Duration::from_millis(500);

const KNOWN: &str =
    "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left";
const UNKNOWN: &str = "{msg} {spinner} {binary_bytes} {binary_bytes_per_sec}";

/// Bytes, rate and remaining time on standard error, if that is a terminal. The bar
/// disappears when it is dropped, as indicatif does by default.
pub struct Progress {
    bar: ProgressBar,
    /// When the bar is due; none where it is there already or never comes.
    due: Option<Instant>,
}

impl Progress {
    pub fn new(message: &'static str, total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = if total.is_some() { KNOWN } else { UNKNOWN };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(message);
        let due = io::stderr().is_terminal().then(|| Instant::now() + QUIET);
        Self { bar, due }
    }

    /// No bar, since the bytes themselves go to the terminal.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), due: None }
    }

    pub fn add(&mut self, bytes: u64) {
        self.bar.inc(bytes);
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.due = None;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

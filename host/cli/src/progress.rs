use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use artifact_store::ArtifactStore;
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
    message: &'static str,
    /// When the bar is due; none where it is there already or never comes.
    due: Option<Instant>,
    /// Of many artifacts, how many are done, and how many there are where that is known.
    done: u64,
    artifacts: Option<u64>,
    /// Bytes that need no transfer.
    spared: u64,
}

impl Progress {
    pub fn new(message: &'static str, total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let due = io::stderr().is_terminal().then(|| Instant::now() + QUIET);
        let progress = Self { bar, message, due, done: 0, artifacts: None, spared: 0 };
        progress.restyle(total.is_some());
        progress.bar.set_message(message);
        progress
    }

    /// No bar, since the bytes themselves go to the terminal.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), due: None, ..Self::new("", None) }
    }

    /// Whether there will be a bar: what is only for it is worth the work then.
    pub fn is_wanted(&self) -> bool {
        self.due.is_some() || !self.bar.is_hidden()
    }

    /// There are so many artifacts with so many bytes.
    pub fn expect(&mut self, artifacts: u64, bytes: u64) {
        self.artifacts = Some(artifacts);
        self.bar.set_length(bytes.saturating_sub(self.spared));
        self.restyle(true);
        self.count();
    }

    pub fn add(&mut self, bytes: u64) {
        self.bar.inc(bytes);
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.due = None;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// One of many artifacts is done; so many of its bytes needed no transfer.
    pub fn done(&mut self, spared: u64) {
        self.done += 1;
        self.spared += spared;
        if let Some(total) = self.bar.length() {
            self.bar.set_length(total.saturating_sub(spared));
        }
        self.count();
        self.add(0);
    }

    fn count(&self) {
        if !self.is_wanted() {
            return;
        }
        let (message, done) = (self.message, self.done);
        self.bar.set_message(match self.artifacts {
            Some(artifacts) => format!("{message} {done}/{artifacts}"),
            None => format!("{message} {done}"),
        });
    }

    fn restyle(&self, is_known: bool) {
        let style = ProgressStyle::with_template(if is_known { KNOWN } else { UNKNOWN });
        self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    }
}

/// Does the work, and meanwhile counts what a store has for it, for the eyes alone: the artifacts with
/// a prefix whose keys are behind `start_after`.
pub async fn counting<T>(
    progress: &RefCell<Progress>,
    store: &ArtifactStore,
    prefix: &str,
    start_after: Option<&str>,
    work: impl Future<Output = T>,
) -> T {
    let count = async {
        if progress.borrow().is_wanted() {
            let mut listing = store.list(prefix);
            let (mut artifacts, mut bytes) = (0, 0);
            loop {
                match listing.next().await {
                    Ok(Some(entry)) if start_after.is_some_and(|key| *entry.key <= *key) => {}
                    Ok(Some(entry)) => (artifacts, bytes) = (artifacts + 1, bytes + entry.size),
                    Ok(None) => break progress.borrow_mut().expect(artifacts, bytes),
                    // The work says it.
                    Err(_) => break,
                }
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        outcome = work => outcome,
        never = count => never,
    }
}

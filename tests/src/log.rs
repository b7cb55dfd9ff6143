use std::io::{Result, Write};
use std::sync::{Arc, Mutex};

/// What `call` returns, and all that is logged on this thread meanwhile.
pub fn logged<T>(call: impl FnOnce() -> T) -> (T, String) {
    logged_at(tracing::Level::TRACE, call)
}

/// The same, of what is logged at this level.
pub fn logged_at<T>(level: tracing::Level, call: impl FnOnce() -> T) -> (T, String) {
    // `tracing` keeps one answer for all threads to whether anybody listens at a place, and makes it
    // anew when a subscriber comes: not at one instant with the places that come meanwhile.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let outcome = tracing::subscriber::with_default(subscriber, call);
    let text = log.0.lock().unwrap().clone();
    (outcome, String::from_utf8(text).unwrap())
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

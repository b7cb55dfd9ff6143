use std::io::{Result, Write};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tracing::Dispatch;

/// What `call` returns, and all that is logged on this thread meanwhile.
pub fn logged<T>(call: impl FnOnce() -> T) -> (T, String) {
    logged_at(tracing::Level::TRACE, call)
}

/// The same, of what is logged at this level.
pub fn logged_at<T>(level: tracing::Level, call: impl FnOnce() -> T) -> (T, String) {
    // `tracing` keeps one answer for all threads to whether anybody listens at a place, and makes it
    // anew when a subscriber comes. A place that another thread meets for the first time just then
    // would be missed. To it somebody always listens; those that were being met when that began are
    // in the list a moment later.
    static ALWAYS: OnceLock<Dispatch> = OnceLock::new();
    ALWAYS.get_or_init(|| {
        let always = Dispatch::new(tracing_subscriber::registry());
        std::thread::sleep(Duration::from_millis(50));
        always
    });
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

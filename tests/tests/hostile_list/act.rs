//! Brings a behaviour about, by way of both APIs, and puts its outcome into words.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use artifact_store::{
    ArtifactStore, Backend, Error, ErrorKind, Limits, ReadOptions, WriteOptions, blocking,
};
use artifact_store_tests::{bare, guest};
use tokio::runtime::Runtime;

use crate::list::{Behaviour, Verb, bare_code};
use crate::place::Place;

/// So many items of a listing are enough.
const ITEMS: usize = 1000;

/// Where the calls of the async API wait.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    })
}

/// A call of these sizes ends within seconds, whether its backend stands still or moves a byte now and
/// then.
fn limits() -> Limits {
    let time = Duration::from_millis(200);
    Limits::default().call_timeout(time).least_rate(1 << 20).memory(64 << 20).buffer(16 << 20)
}

/// The store of each hostile backend, which serves from the beginning to the end.
pub struct Stores {
    place: Arc<Place>,
    open: Mutex<HashMap<&'static str, ArtifactStore>>,
}

impl Stores {
    pub fn new(place: Arc<Place>) -> Self {
        Self { place, open: Mutex::default() }
    }

    /// Opens the store of a backend that opens.
    pub fn warm(&self, behaviour: &Behaviour) {
        if behaviour.verb != Verb::Open {
            let _ = self.of(behaviour);
        }
    }

    fn of(&self, behaviour: &Behaviour) -> Result<ArtifactStore, Error> {
        let open = self.open.lock().unwrap().get(behaviour.guest).cloned();
        if let Some(store) = open {
            return Ok(store);
        }
        let backend = match bare_code(behaviour.guest) {
            Some(code) => {
                let code: Vec<_> = code.iter().map(|(word, code)| (*word, &**code)).collect();
                bare(&code)
            }
            None => Backend::from_file(guest(behaviour.guest))
                .grants(self.place.grants(behaviour.guest)),
        };
        let store = runtime().block_on(ArtifactStore::open(backend.limits(limits())))?;
        self.open.lock().unwrap().insert(behaviour.guest, store.clone());
        Ok(store)
    }
}

/// The outcome of each call.
pub fn act(stores: &Stores, place: &Place, behaviour: &Behaviour) -> Vec<String> {
    let key = place.fill_in(behaviour.key);
    let verb = behaviour.verb;
    let store = match stores.of(behaviour) {
        Ok(store) => store,
        Err(error) => return vec![named(&error)],
    };
    if behaviour.at_once > 1 {
        let calls: Vec<_> = (0..behaviour.at_once)
            .map(|_| {
                let (store, key) = (store.clone(), key.clone());
                runtime().spawn(async move { in_words(there(&store, verb, &key).await) })
            })
            .collect();
        let join = |call| match runtime().block_on(call) {
            Ok(outcome) => outcome,
            Err(error) => format!("panic: {error}"),
        };
        return calls.into_iter().map(join).collect();
    }
    let blocking = blocking::ArtifactStore::from(store.clone());
    let first = in_words(here(&blocking, verb, &key));
    place.prepare(behaviour);
    vec![first, in_words(runtime().block_on(there(&store, verb, &key)))]
}

fn in_words(outcome: Result<String, Error>) -> String {
    outcome.unwrap_or_else(|error| named(&error))
}

/// The case of an error, unless it shows more than it should.
fn named(error: &Error) -> String {
    let mut shown = format!("{error}{error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        write!(shown, "{next}{next:?}").unwrap();
        cause = next.source();
    }
    let is_raw = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if shown.len() > 256 << 10 || shown.chars().any(is_raw) {
        return format!("an error that is not fit to be shown: {} bytes", shown.len());
    }
    match error.kind() {
        ErrorKind::NotFound => "not-found",
        ErrorKind::AlreadyExists => "already-exists",
        ErrorKind::ConditionFailed => "condition-failed",
        ErrorKind::InvalidAttribute(_) => "invalid-attribute",
        ErrorKind::InvalidKey(_) => "invalid-key",
        ErrorKind::InvalidRange => "invalid-range",
        ErrorKind::TooLarge { .. } => "too-large",
        ErrorKind::AccessDenied(_) => "access-denied",
        ErrorKind::NoSpace(_) => "no-space",
        ErrorKind::Corrupt(_) => "corrupt",
        ErrorKind::Unavailable(text) => return format!("unavailable {text:.60}"),
        ErrorKind::Unsupported(_) => "unsupported",
        ErrorKind::Other(text) => return format!("other {text:.60}"),
        ErrorKind::Load(_) => "load",
        ErrorKind::Trap(_) => "trap",
        ErrorKind::Exhausted { what, .. } => return format!("exhausted {what}"),
        ErrorKind::Busy { .. } => "busy",
        ErrorKind::Timeout(_) => "timeout",
        ErrorKind::Protocol(_) => "protocol",
        ErrorKind::Io(error) => return format!("io {error:.60}"),
        other => return format!("{other:.60?}"),
    }
    .into()
}

/// The error of the store that an error of a reader stands for.
fn inner(error: std::io::Error) -> Result<String, Error> {
    error.downcast::<Error>().map_or_else(|error| Ok(format!("io {error}")), Err)
}

/// One call of each API, whose futures are waited for by `$await`.
macro_rules! call {
    ($store:ident, $verb:ident, $key:ident $(, $await:tt)?) => {{
        let large = vec![7; 1 << 20];
        let written = |info: artifact_store::Info| format!("ok {}", info.size);
        match $verb {
            Verb::Put => written($store.put($key, large)$(.$await)??),
            Verb::Create => written($store.put_new($key, large)$(.$await)??),
            Verb::Write => {
                let options = WriteOptions::default();
                written($store.write($key, &[7; 3 << 20][..], options)$(.$await)??)
            }
            Verb::Get | Verb::Open => {
                let data = $store.get($key)$(.$await)??;
                format!("ok {:.60}", String::from_utf8_lossy(&data))
            }
            Verb::Read(offset, length) => {
                let options = ReadOptions::default().offset(offset).length(length);
                let mut reader = $store.read($key, options)$(.$await)??;
                let mut size = 0;
                while let Some(chunk) = reader.next_chunk()$(.$await)?? {
                    size += chunk.len();
                }
                format!("ok {size}")
            }
            Verb::ReadSome => {
                let mut reader = $store.read($key, ReadOptions::default())$(.$await)??;
                reader.next_chunk()$(.$await)??;
                "ok".into()
            }
            Verb::WriteSome => {
                let mut writer = $store.writer($key, WriteOptions::default())?;
                match writer.write_all(&[7; 3 << 20])$(.$await)? {
                    Ok(()) => "ok".into(),
                    Err(error) => return inner(error),
                }
            }
            Verb::Delete => $store.delete($key)$(.$await)?.map(|()| "ok".into())?,
            Verb::Stat => format!("ok {}", $store.stat($key)$(.$await)??.size),
            Verb::Sweep => {
                let swept = $store.sweep(Duration::ZERO)$(.$await)??;
                format!("ok {}", swept.removed)
            }
            Verb::List | Verb::Audit => unreachable!("they differ"),
        }
    }};
}

fn here(store: &blocking::ArtifactStore, verb: Verb, key: &str) -> Result<String, Error> {
    use std::io::Write as _;
    Ok(match verb {
        Verb::List => {
            let listed = store.list(key).take(ITEMS).collect::<Result<Vec<_>, _>>()?;
            format!("ok {}", listed.len())
        }
        Verb::Audit => {
            let found = store.audit().take(ITEMS).collect::<Result<Vec<_>, _>>()?;
            format!("ok {}", found.len())
        }
        _ => call!(store, verb, key),
    })
}

async fn there(store: &ArtifactStore, verb: Verb, key: &str) -> Result<String, Error> {
    use tokio::io::AsyncWriteExt as _;
    let mut count = 0;
    Ok(match verb {
        Verb::List => {
            let mut listing = store.list(key);
            while count < ITEMS && listing.next().await?.is_some() {
                count += 1;
            }
            format!("ok {count}")
        }
        Verb::Audit => {
            let mut audit = store.audit();
            while count < ITEMS && audit.next().await?.is_some() {
                count += 1;
            }
            format!("ok {count}")
        }
        _ => call!(store, verb, key, await),
    })
}

//! A backend over a fresh store, as the checks see it: each call is recorded.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;

use super::direct::{self, Download, Pause, Upload};
use super::step::Step;
use super::trace::{Entry, Trace, cursor_shown, shown, shown_bytes};
use super::{Failure, Interface, Stop, Way};
use crate::bindings::inventory::Page;
use crate::bindings::maintenance::{Findings, SweepReport};
use crate::bindings::types;
use crate::budget::on_this_thread;
use crate::error::{ErrorKind, Operation};
use crate::serving::{Loaded, Running};
use crate::{Backend, ReadOptions, blocking};

pub(super) type Answer<T> = Result<T, ErrorKind>;
pub(super) type Verdict<T = ()> = Result<T, Stop>;

/// The calls of one check.
pub(super) struct Subject {
    /// The backend as it was given, not loaded.
    pub(super) origin: Backend,
    backend: Arc<Loaded>,
    way: Way,
    /// Whether it is the second host over one store.
    is_other: bool,
    trace: Arc<Trace>,
    /// The directory that the backend was granted, if it was one.
    pub(super) dir: Option<PathBuf>,
    pub(super) seed: u64,
}

impl Subject {
    pub(super) fn open(
        backend: Backend,
        way: Way,
        dir: Option<&Path>,
        seed: u64,
    ) -> crate::Result<Self> {
        let origin = backend.sweep_older_than(None);
        let backend = on_this_thread(origin.clone().load())?.0;
        let dir = dir.map(Path::to_owned);
        Ok(Self { origin, backend, way, is_other: false, trace: Arc::default(), dir, seed })
    }

    /// A second host over the same store, which shares nothing with the first but that.
    pub(super) fn other(&self, backend: Backend) -> crate::Result<Self> {
        let origin = backend.sweep_older_than(None);
        let backend = on_this_thread(origin.clone().load())?.0;
        let (trace, dir) = (Arc::clone(&self.trace), self.dir.clone());
        Ok(Self { origin, backend, way: self.way, is_other: true, trace, dir, seed: self.seed })
    }

    pub(super) fn offers(&self, interface: Interface) -> bool {
        self.backend.pool.offers(interface)
    }

    /// What comes now does not depend on what was before.
    pub(super) fn begin(&self) {
        self.trace.restart();
    }

    /// Drops all instances, with whatever they keep in memory.
    pub(super) fn drop_instances(&self) {
        self.backend.pool.forget_idle();
        self.trace.add(Step::DropInstances, self.is_other, String::new());
    }

    /// Says in the trace what happens beside the calls.
    pub(super) fn note(&self, what: &str) {
        self.note_about("", what);
    }

    fn note_about(&self, key: &str, what: &str) {
        self.trace.note(key, format!("{}{what}", Trace::label(self.is_other)));
    }

    /// All that happened, where each of it can be done again.
    pub(super) fn steps(&self) -> Option<Vec<Entry>> {
        self.trace.steps()
    }

    /// What came of each call.
    pub(super) fn outcomes(&self) -> Vec<String> {
        self.trace.outcomes()
    }

    /// Does what was done before once more.
    pub(super) fn repeat(&self, step: &Step) {
        match step {
            Step::Put(key, data) => drop(self.put(key, data)),
            Step::Get(key) => drop(self.get(key)),
            Step::Delete(key) => drop(self.delete(key)),
            Step::Write(key, upload) => drop(self.write(key, upload.clone())),
            Step::Read { key, range, take } => drop(self.read_with(key, *range, *take, None)),
            Step::Stat(key) => drop(self.stat(key)),
            Step::List { prefix, cursor, limit } => {
                drop(self.page(prefix, cursor.as_deref(), *limit));
            }
            Step::Audit { cursor, limit } => drop(self.audit(cursor.as_deref(), *limit)),
            Step::Sweep(age) => drop(self.sweep(*age)),
            Step::DropInstances => self.drop_instances(),
        }
    }

    fn call(&self, operation: Operation, key: &str) -> Running {
        if self.way == Way::Fresh {
            self.backend.pool.forget_idle();
        }
        Running::new(self.backend.call(operation, key))
    }

    fn host(&self) -> blocking::ArtifactStore {
        blocking::ArtifactStore::serve(Arc::clone(&self.backend))
    }

    fn record<T>(
        &self,
        step: Step,
        answer: Answer<T>,
        show: impl FnOnce(&T) -> String,
    ) -> Answer<T> {
        let outcome = match &answer {
            Ok(value) => show(value),
            Err(kind) => error_shown(kind),
        };
        self.trace.add(step, self.is_other, outcome);
        answer
    }

    pub(super) fn put(&self, key: &str, data: impl AsRef<[u8]>) -> Answer<()> {
        let data = data.as_ref();
        let answer = match self.way {
            Way::Host => self.host().put(key, data.to_vec()).map(drop).map_err(kind),
            _ => on_this_thread(self.call(Operation::Put, key).run(async |accessor, exports| {
                let answer = exports.store.call_put(accessor, key.into(), data.to_vec()).await?;
                Ok(answer.map_err(ErrorKind::from))
            })),
        };
        let step = Step::Put(key.into(), Bytes::copy_from_slice(data));
        self.record(step, answer, |()| "ok".into())
    }

    pub(super) fn get(&self, key: &str) -> Answer<Vec<u8>> {
        let answer = match self.way {
            Way::Host => self.host().get(key).map(Vec::from).map_err(kind),
            _ => on_this_thread(self.call(Operation::Get, key).run(async |accessor, exports| {
                let answer = exports.store.call_get(accessor, key.into()).await?;
                Ok(answer.map_err(ErrorKind::from))
            })),
        };
        self.record(Step::Get(key.into()), answer, |data| format!("ok({})", shown_bytes(data)))
    }

    pub(super) fn delete(&self, key: &str) -> Answer<()> {
        let answer = match self.way {
            Way::Host => self.host().delete(key).map_err(kind),
            _ => {
                on_this_thread(self.call(Operation::Delete, key).run(async |accessor, exports| {
                    let answer = exports.store.call_delete(accessor, key.into()).await?;
                    Ok(answer.map_err(ErrorKind::from))
                }))
            }
        };
        self.record(Step::Delete(key.into()), answer, |()| "ok".into())
    }

    pub(super) fn write(&self, key: &str, upload: Upload) -> Answer<types::Info> {
        self.write_with(key, upload, None)
    }

    fn write_with(&self, key: &str, upload: Upload, pause: Option<Pause>) -> Answer<types::Info> {
        let step = Step::Write(key.into(), upload.clone());
        let answer = match self.way {
            Way::Host => self.write_through_host(key, upload),
            _ => on_this_thread(direct::write(&self.call(Operation::Put, key), upload, pause)),
        };
        self.record(step, answer, info_shown)
    }

    fn write_through_host(&self, key: &str, upload: Upload) -> Answer<types::Info> {
        use std::io::Write;
        let mut writer = self.host().writer(key, upload.options).map_err(kind)?;
        for chunk in &upload.chunks {
            writer.write_all(chunk).map_err(|error| match error.downcast::<crate::Error>() {
                Ok(error) => kind(error),
                Err(error) => ErrorKind::Io(error),
            })?;
        }
        match upload.end {
            Ok(_) => writer.commit().map(|info| info_of(&info)).map_err(kind),
            Err(why) => {
                writer.abort();
                Err(ErrorKind::Other(why))
            }
        }
    }

    /// Writes, and does something else when so many chunks were sent.
    pub(super) fn write_paused(
        &self,
        key: &str,
        upload: Upload,
        chunks: usize,
        during: impl FnOnce() -> Verdict,
    ) -> Verdict<Answer<types::Info>> {
        let (pause, reached, go_on) = Pause::new(chunks);
        std::thread::scope(|scope| {
            let size = upload.size();
            let writing = scope.spawn(move || self.write_with(key, upload, Some(pause)));
            // An error where the write ended before it came so far.
            let is_reached = reached.recv().is_ok();
            let outcome = if is_reached {
                let begun = format!("a write of {} has sent a part", shown(key));
                self.note_about(key, &format!("{begun} of its {size} bytes"));
                during()
            } else {
                Ok(())
            };
            let _ = go_on.send(());
            let written = writing.join().map_err(|_| self.fail("an answer", "a panic"))?;
            outcome.map(|()| written)
        })
    }

    /// Begins to write and drops the instance when so many chunks were sent.
    pub(super) fn write_dropped(&self, key: &str, upload: Upload, chunks: usize) {
        let (pause, reached, go_on) = Pause::new(chunks);
        let call = Step::Write(key.into(), upload.clone()).to_string();
        std::thread::scope(|scope| {
            let (stop, stopped) = futures::channel::oneshot::channel::<()>();
            let writing = scope.spawn(move || {
                let call = self.call(Operation::Put, key);
                let write = std::pin::pin!(direct::write(&call, upload, Some(pause)));
                on_this_thread(futures::future::select(stopped, write));
            });
            let _ = reached.recv_timeout(Duration::from_secs(60));
            let _ = stop.send(());
            // Nothing goes on before it has stopped.
            let _ = writing.join();
            drop(go_on);
        });
        self.note_about(key, &format!("{call}: the instance is dropped after a part of the bytes"));
    }

    pub(super) fn read(&self, key: &str, offset: u64, length: Option<u64>) -> Answer<Download> {
        self.read_with(key, (offset, length), None, None)
    }

    /// Reads so many bytes and drops the stream.
    pub(super) fn read_some(&self, key: &str, bytes: usize) -> Answer<Download> {
        self.read_with(key, (0, None), Some(bytes), None)
    }

    fn read_with(
        &self,
        key: &str,
        range: (u64, Option<u64>),
        take: Option<usize>,
        pause: Option<Pause>,
    ) -> Answer<Download> {
        let answer = match self.way {
            Way::Host => self.read_through_host(key, range, take),
            _ => {
                let call = self.call(Operation::Get, key);
                on_this_thread(direct::read(&call, range, take, pause))
            }
        };
        let step = Step::Read { key: key.into(), range, take };
        self.record(step, answer, |Download { info, bytes, end }| {
            let end = match end {
                Some(Ok(())) => ", future: ok".into(),
                Some(Err(error)) => format!(", future: {}", error_shown(error)),
                None => String::new(),
            };
            format!("{} with {}{end}", info_shown(info), shown_bytes(bytes))
        })
    }

    fn read_through_host(
        &self,
        key: &str,
        (offset, length): (u64, Option<u64>),
        take: Option<usize>,
    ) -> Answer<Download> {
        use std::io::Read;
        let reader = self.host().read(key, ReadOptions { offset, length }).map_err(kind)?;
        let info = info_of(reader.info());
        let mut bytes = Vec::new();
        let read = reader.take(take.map_or(u64::MAX, |take| take as u64)).read_to_end(&mut bytes);
        let end = match read.map_err(|error| error.downcast::<crate::Error>()) {
            Ok(_) => take.is_none().then_some(Ok(())),
            Err(Ok(error)) => Some(Err(kind(error))),
            Err(Err(error)) => Some(Err(ErrorKind::Io(error))),
        };
        Ok(Download { info, bytes, end })
    }

    /// Reads all, and does something else when so many bytes have come.
    pub(super) fn read_paused(
        &self,
        key: &str,
        bytes: usize,
        during: impl FnOnce() -> Verdict,
    ) -> Verdict<Answer<Download>> {
        let (pause, reached, go_on): (_, mpsc::Receiver<()>, _) = Pause::new(bytes);
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || self.read_with(key, (0, None), None, Some(pause)));
            let is_reached = reached.recv().is_ok();
            let outcome = if is_reached {
                self.note_about(key, &format!("a read of {} has taken {bytes} bytes", shown(key)));
                during()
            } else {
                Ok(())
            };
            let _ = go_on.send(());
            let read = reading.join().map_err(|_| self.fail("an answer", "a panic"))?;
            outcome.map(|()| read)
        })
    }

    pub(super) fn stat(&self, key: &str) -> Answer<types::Info> {
        let answer = match self.way {
            Way::Host => self.host().stat(key).map(|info| info_of(&info)).map_err(kind),
            _ => on_this_thread(self.call(Operation::Stat, key).run(async |accessor, exports| {
                let Some(inventory) = &exports.inventory else { return Ok(Err(not_offered())) };
                let answer = inventory.call_stat(accessor, key.into()).await?;
                Ok(answer.map_err(ErrorKind::from))
            })),
        };
        self.record(Step::Stat(key.into()), answer, info_shown)
    }

    /// One page of a listing.
    pub(super) fn page(&self, prefix: &str, cursor: Option<&str>, limit: u32) -> Answer<Page> {
        let call = self.call(Operation::List, prefix);
        let answer = on_this_thread(call.run(async |accessor, exports| {
            let Some(inventory) = &exports.inventory else { return Ok(Err(not_offered())) };
            let cursor = cursor.map(str::to_owned);
            let answer =
                inventory.call_list_artifacts(accessor, prefix.into(), cursor, limit).await?;
            Ok(answer.map_err(ErrorKind::from))
        }));
        let cursor = cursor.map(str::to_owned);
        let step = Step::List { prefix: prefix.into(), cursor, limit };
        self.record(step, answer, |page| {
            let keys = page.entries.iter().map(|entry| shown(&entry.key));
            page_shown(keys.collect(), page.next.as_deref())
        })
    }

    /// One page of an audit.
    pub(super) fn audit(&self, cursor: Option<&str>, limit: u32) -> Answer<Findings> {
        let answer =
            on_this_thread(self.call(Operation::Audit, "").run(async |accessor, exports| {
                let Some(upkeep) = &exports.maintenance else { return Ok(Err(not_offered())) };
                let cursor = cursor.map(str::to_owned);
                let answer = upkeep.call_audit(accessor, cursor, limit).await?;
                Ok(answer.map_err(ErrorKind::from))
            }));
        let step = Step::Audit { cursor: cursor.map(str::to_owned), limit };
        self.record(step, answer, |page| {
            let items = page.items.iter().map(|item| format!("{:?} {:?}", item.kind, item.name));
            page_shown(items.collect(), page.next.as_deref())
        })
    }

    pub(super) fn sweep(&self, older_than_seconds: u64) -> Answer<SweepReport> {
        let answer =
            on_this_thread(self.call(Operation::Sweep, "").run(async |accessor, exports| {
                let Some(upkeep) = &exports.maintenance else { return Ok(Err(not_offered())) };
                let answer = upkeep.call_sweep(accessor, older_than_seconds).await?;
                Ok(answer.map_err(ErrorKind::from))
            }));
        self.record(Step::Sweep(older_than_seconds), answer, |report| {
            format!("ok(removed {}, kept {})", report.removed, report.kept)
        })
    }

    /// A failure with the calls that led to it.
    pub(super) fn fail(&self, expected: impl Into<String>, seen: impl Into<String>) -> Stop {
        self.fail_about(&[], expected, seen)
    }

    /// The same, with the calls that are about these keys alone.
    pub(super) fn fail_about(
        &self,
        keys: &[&str],
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) -> Stop {
        Stop::Failed(self.failure(keys, expected.into(), seen.into()))
    }

    /// The same where the last answer, and no other, is wrong.
    pub(super) fn fail_by_last(
        &self,
        keys: &[&str],
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) -> Stop {
        Stop::FailedByLast(self.failure(keys, expected.into(), seen.into()))
    }

    fn failure(&self, keys: &[&str], expected: String, seen: String) -> Failure {
        let calls = self.trace.about(keys);
        Failure { way: self.way, calls, is_reduced: false, expected, seen }
    }
}

/// Through the host the time is not in question.
fn info_of(info: &crate::Info) -> types::Info {
    types::Info { size: info.size, checksum: info.checksum, modified: None }
}

fn kind(error: crate::Error) -> ErrorKind {
    error.into_kind()
}

fn not_offered() -> ErrorKind {
    ErrorKind::Unsupported("the backend does not offer this".into())
}

/// The case of an error and its text.
pub(super) fn error_shown(kind: &ErrorKind) -> String {
    let text = kind.to_string();
    let text = &text[..text.floor_char_boundary(200)];
    format!("err({}: {})", kind.name(), text.escape_debug())
}

fn info_shown(info: &types::Info) -> String {
    let checksum = info.checksum.map_or("none".into(), |checksum| format!("{checksum:016x}"));
    format!("ok(size {}, checksum {checksum})", info.size)
}

fn page_shown(items: Vec<String>, next: Option<&str>) -> String {
    const MOST: usize = 12;
    let count = items.len();
    let mut text = items.into_iter().take(MOST).collect::<Vec<_>>().join(", ");
    if count > MOST {
        text.push_str(&format!(", … {count} in all"));
    }
    format!("ok([{text}], next: {})", cursor_shown(next))
}

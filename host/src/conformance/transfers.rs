//! The calls of a backend that move streams: complete, paused halfway, or dropped.

use std::sync::mpsc;
use std::time::Duration;

use super::Way;
use super::direct::{self, Download, Pause, Upload};
use super::shown::{info_shown, shown, shown_bytes};
use super::step::Step;
use super::subject::{Answer, Subject, Verdict, info_of, kind};
use crate::ReadOptions;
use crate::bindings::types;
use crate::budget::on_this_thread;
use crate::error::{ErrorKind, Operation};

impl Subject {
    pub(super) fn write(&self, key: &str, upload: Upload) -> Answer<types::Info> {
        self.write_with(key, upload, None)
    }

    fn write_with(&self, key: &str, upload: Upload, pause: Option<Pause>) -> Answer<types::Info> {
        let step = Step::Write(key.into(), upload.clone());
        let answer = match self.way {
            Way::Host => self.write_through_host(key, upload),
            _ => {
                let call = self.call(Operation::Put, key);
                self.placed(&call, on_this_thread(direct::write(&call, upload, pause)))
            }
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

    /// Writes, and runs `during` after so many chunks.
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
            // This is an error if the write ended earlier.
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

    /// Begins to write, and drops the instance after so many chunks.
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
            // The check goes on only after the write has stopped.
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

    pub(super) fn read_with(
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
                self.placed(&call, on_this_thread(direct::read(&call, range, take, pause)))
            }
        };
        if let Ok(Download { end: Some(Err(kind)), .. }) = &answer {
            self.trace().note_time(kind);
        }
        let step = Step::Read { key: key.into(), range, take };
        self.record(step, answer, |Download { info, bytes, end }| {
            let end = match end {
                Some(Ok(())) => ", future: ok".into(),
                Some(Err(error)) => format!(", future: {}", self.trace().error_shown(error)),
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
        let reader =
            self.host().read(key, ReadOptions { offset, length, suffix: None }).map_err(kind)?;
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

    /// Reads everything, and runs `during` after so many bytes.
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
}

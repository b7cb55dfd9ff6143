//! Where parts wait until their upload is complete: a file without a name, which goes with its last
//! owner, however that ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::{PutPayload, Result};

use crate::error::generic;

/// How many bytes are read back at once.
const PIECE: u64 = 1 << 20;

/// The parts of one upload, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: Option<Arc<Path>>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Made with the first part.
    file: Option<File>,
    end: u64,
    /// Where the part of each number lies. One that came twice lies where it came last.
    parts: BTreeMap<usize, Range<u64>>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot keep the parts of an upload in `{dir}`")]
struct SpoolError {
    dir: String,
    source: io::Error,
}

#[derive(Debug, thiserror::Error)]
#[error("part {0} of the upload was not stored")]
struct PartMissing(usize);

impl Spool {
    pub(crate) fn new(dir: Option<Arc<Path>>) -> Self {
        Self { dir, kept: Mutex::default() }
    }

    /// Keeps a part.
    pub(crate) async fn keep(self: Arc<Self>, number: usize, payload: PutPayload) -> Result<()> {
        self.blocking(move |spool| spool.append(number, &payload)).await
    }

    fn append(&self, number: usize, payload: &PutPayload) -> io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = kept.end;
        let file = match &mut kept.file {
            Some(file) => file,
            none => none.insert(match &self.dir {
                Some(dir) => tempfile::tempfile_in(dir)?,
                None => tempfile::tempfile()?,
            }),
        };
        // What a write that failed has left is written over.
        file.seek(SeekFrom::Start(begin))?;
        for chunk in payload {
            file.write_all(chunk)?;
        }
        kept.end += payload.content_length() as u64;
        let end = kept.end;
        kept.parts.insert(number, begin..end);
        Ok(())
    }

    /// The pieces of these parts, one after the other, and the size of them all.
    pub(crate) fn pieces(
        &self,
        numbers: impl IntoIterator<Item = usize>,
    ) -> Result<(Vec<Range<u64>>, u64)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Parts that lie one behind the other are one run.
        let (mut runs, mut size) = (Vec::<Range<u64>>::new(), 0);
        for number in numbers {
            let part = kept.parts.get(&number).ok_or_else(|| generic(PartMissing(number)))?;
            size += part.end - part.start;
            match runs.last_mut().filter(|run| run.end == part.start) {
                Some(run) => run.end = part.end,
                None => runs.push(part.clone()),
            }
        }
        let pieces = runs.into_iter().flat_map(|Range { start, end }| {
            (start..end).step_by(PIECE as usize).map(move |at| at..end.min(at + PIECE))
        });
        Ok((pieces.collect(), size))
    }

    /// Reads a piece back.
    pub(crate) async fn read(self: Arc<Self>, piece: Range<u64>) -> Result<Bytes> {
        self.blocking(move |spool| {
            let mut kept = spool.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(file) = &mut kept.file else { return Err(io::ErrorKind::NotFound.into()) };
            let mut data = vec![0; (piece.end - piece.start) as usize];
            file.seek(SeekFrom::Start(piece.start))?;
            file.read_exact(&mut data)?;
            Ok(data.into())
        })
        .await
    }

    /// Runs what waits for the disk, on a thread for that where there is a runtime.
    async fn blocking<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let spool = Arc::clone(&self);
        let done = match tokio::runtime::Handle::try_current() {
            Ok(runtime) => runtime
                .spawn_blocking(move || work(&spool))
                .await
                .unwrap_or_else(|lost| Err(lost.into())),
            Err(_) => work(&spool),
        };
        done.map_err(|source| {
            let dir = self.dir.as_deref().map_or_else(std::env::temp_dir, Path::to_owned);
            generic(SpoolError { dir: dir.display().to_string(), source })
        })
    }
}

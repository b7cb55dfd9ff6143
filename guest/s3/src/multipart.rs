//! Artifacts in parts. An upload is invisible until it is completed.

use std::cell::RefCell;
use std::pin::pin;

use artifact_store_backend::checksum::{checksum, joined};
use artifact_store_backend::{Error, Mode, Result};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;

use crate::bindings::WriteOptions;
use crate::client::{Call, random};
use crate::copy::Original;
use crate::download::{Place, head};
use crate::http::Method;
use crate::settings::Settings;
use crate::upload::{MAX_SIZE, Source, settle};
use crate::xml;

/// The most parts of an upload.
const PARTS: usize = 10_000;

/// If the size is unknown, the size of parts doubles after this many parts.
const DOUBLE: usize = 1000;

/// The size of a part that the service copies, and how many are copied at once. Each takes a service
/// about a second.
const COPIED_PART: u64 = 64 << 20;
const COPIED_AT_ONCE: usize = 16;

/// How many parts are in memory at once: both being sent, or one being sent while the next fills.
const AT_ONCE: usize = 2;

/// An upload that begins when it is needed.
pub struct Multipart<'a> {
    settings: &'a Settings,
    place: &'a Place<'a>,
    options: &'a WriteOptions,
    /// What is copied, if no bytes are sent.
    original: Option<&'a Original>,
    write: String,
    /// The service's name for the upload, while there is one to remove.
    id: RefCell<Option<String>>,
    tags: RefCell<Vec<String>>,
}

impl<'a> Multipart<'a> {
    pub fn new(settings: &'a Settings, place: &'a Place<'a>, options: &'a WriteOptions) -> Self {
        let (id, tags) = Default::default();
        Self { settings, place, options, original: None, write: random(), id, tags }
    }

    /// The parts are those of this artifact.
    pub fn of(self, original: &'a Original) -> Self {
        Self { original: Some(original), ..self }
    }

    /// Sends `first` and what follows it; returns the size and the checksum of everything.
    pub async fn send(&self, first: Vec<u8>, source: &mut Source) -> Result<(u64, u64)> {
        let id = self.begin().await?;
        let (mut sum, mut size) = (checksum(&[]), 0);
        let mut under_way = FuturesUnordered::new();
        let (mut part, mut is_last) = (first, false);
        for number in 0.. {
            let (of_part, bytes) = (checksum(&part), part.len() as u64);
            sum = joined(sum, of_part, bytes);
            size += bytes;
            if number == PARTS || size > MAX_SIZE {
                return Err(Error::TooLarge(size - bytes));
            }
            self.tags.borrow_mut().push(String::new());
            under_way.push(self.send_part(&id, number, part, of_part));
            if is_last {
                break;
            }
            while under_way.len() >= AT_ONCE {
                under_way.next().await.transpose()?;
            }
            let mut filled = pin!(source.fill(self.part(number + 1), self.options.size));
            (part, is_last) = loop {
                if under_way.is_empty() {
                    break filled.await?;
                }
                match select(filled, under_way.next()).await {
                    Either::Left((next, _)) => break next?,
                    Either::Right((sent, waiting)) => {
                        sent.transpose()?;
                        filled = waiting;
                    }
                }
            };
        }
        while let Some(sent) = under_way.next().await {
            sent?;
        }
        Ok((size, sum))
    }

    /// The size of a part, such that the permitted number of parts suffices for the announced size,
    /// or for any possible size.
    pub fn part(&self, number: usize) -> usize {
        let least = self.settings.part;
        match self.options.size {
            // All parts have the same size, as some services require.
            Some(size) => {
                let needed = size.div_ceil(PARTS as u64).next_multiple_of(1 << 20);
                usize::try_from(needed).unwrap_or(usize::MAX).max(least)
            }
            None => least << (number / DOUBLE).min(7),
        }
    }

    async fn begin(&self) -> Result<String> {
        let object = &self.place.object;
        self.look().await?;
        let mut call = Call::new("start the upload of", Method::Post, object)
            .query("uploads", "")
            .artifact(self.place.key, self.place.is_hashed, &self.write)
            .attributes(&self.options.attributes);
        if let Some(checksum) = self.original.and_then(|original| original.info.checksum) {
            call = call.keep_checksum(checksum);
        }
        if self.settings.sends_checksum {
            call = call
                .header("x-amz-checksum-algorithm", "CRC64NVME")
                .header("x-amz-checksum-type", "FULL_OBJECT");
        }
        let answer = call.run(self.settings).await?;
        let root = answer.root.filter(|root| root.name == "InitiateMultipartUploadResult");
        let id = root.and_then(|root| Some(root.text_of("UploadId")?.to_owned()));
        let id = id.ok_or_else(|| call.foreign(answer.status, "it has no upload ID"))?;
        *self.id.borrow_mut() = Some(id.clone());
        Ok(id)
    }

    /// Compares the object with the mode of the write. This decides no race, but can save a
    /// transfer. A key that may not read may still store.
    async fn look(&self) -> Result<()> {
        let mode = &self.options.mode;
        if matches!(mode, Mode::Overwrite) {
            return Ok(());
        }
        let found = match head(self.settings, &self.place.object).await {
            Ok(found) => found,
            Err(failure) if matches!(failure.status(), 401 | 403) => return Ok(()),
            Err(failure) => return Err(failure.into()),
        };
        match mode {
            Mode::Create if found.is_some() => Err(Error::AlreadyExists),
            Mode::Replace(version)
                if found.and_then(|it| it.version()).as_ref() != Some(version) =>
            {
                Err(Error::ConditionFailed)
            }
            _ => Ok(()),
        }
    }

    async fn send_part(&self, id: &str, number: usize, part: Vec<u8>, checksum: u64) -> Result<()> {
        let call = Call::new("upload a part of", Method::Put, &self.place.object)
            .query("partNumber", (number + 1).to_string())
            .query("uploadId", id)
            .checksum(self.settings, checksum)
            .body(&part);
        let answer = call.run(self.settings).await?;
        let tag = answer.tag.ok_or_else(|| call.foreign(answer.status, "it has no ETag"))?;
        self.tags.borrow_mut()[number] = tag;
        Ok(())
    }

    /// The service copies all parts, some of them at once.
    pub async fn copy(&self, original: &Original) -> Result<()> {
        let (id, size) = (self.begin().await?, original.info.size);
        let count = size.div_ceil(COPIED_PART);
        self.tags.borrow_mut().resize(usize::try_from(count).unwrap_or(PARTS), String::new());
        let mut parts = (0..count).map(|part| {
            let last = (part + 1).saturating_mul(COPIED_PART).min(size) - 1;
            // A service may refuse to take a part of a small object.
            let range = (count > 1).then(|| format!("bytes={}-{last}", part * COPIED_PART));
            self.copy_part(&id, part as usize, original, range)
        });
        let mut under_way: FuturesUnordered<_> = parts.by_ref().take(COPIED_AT_ONCE).collect();
        while let Some(copied) = under_way.next().await {
            copied?;
            under_way.extend(parts.next());
        }
        Ok(())
    }

    async fn copy_part(
        &self,
        id: &str,
        number: usize,
        original: &Original,
        range: Option<String>,
    ) -> Result<()> {
        let call = Call::new("copy a part to", Method::Put, &self.place.object)
            .query("partNumber", (number + 1).to_string())
            .query("uploadId", id);
        let mut call = original.of(call);
        if let Some(range) = range {
            call = call.header("x-amz-copy-source-range", range);
        }
        let answer = match call.run(self.settings).await {
            Err(failure) if Original::was_replaced(&failure) => return Err(original.replaced()),
            answer => answer?,
        };
        let root = answer.root.filter(|root| root.name == "CopyPartResult");
        let tag = root.and_then(|root| Some(root.text_of("ETag")?.to_owned()));
        let tag = tag.ok_or_else(|| call.foreign(answer.status, "it has no ETag"))?;
        self.tags.borrow_mut()[number] = tag;
        Ok(())
    }

    /// Makes one artifact of all parts, in one step. Returns its version.
    pub async fn complete(&self, checksum: Option<u64>) -> Result<Option<String>> {
        let id = self.id.borrow().clone().unwrap_or_default();
        let body = xml::complete_upload(&self.tags.borrow());
        let mut call = Call::new("complete the upload of", Method::Post, &self.place.object)
            .query("uploadId", id)
            .condition(&self.options.mode)
            .body(body.as_bytes());
        if let Some(checksum) = checksum.filter(|_| self.settings.sends_checksum) {
            call = call.checksum(self.settings, checksum);
            call = call.header("x-amz-checksum-type", "FULL_OBJECT");
        }
        let done = match call.run(self.settings).await {
            Ok(answer) => match answer.root {
                Some(root) if root.name == "CompleteMultipartUploadResult" => {
                    let tag = root.text_of("ETag");
                    Ok(self.place.version(self.settings, &self.write, tag).await)
                }
                _ => Err(call
                    .foreign(answer.status, "it does not report that the upload is complete")
                    .into()),
            },
            // Nobody sent these bytes, so they were not changed on the way.
            Err(failure) if self.original.is_some() && failure.is_code("BadDigest") => {
                Err(Error::Corrupt(format!("what is copied to `{}` is damaged", self.place.object)))
            }
            Err(failure) => {
                let (object, mode) = (&self.place.object, &self.options.mode);
                settle(self.settings, object, &self.write, mode, failure).await
            }
        };
        if done.is_ok() {
            self.id.borrow_mut().take();
        }
        done
    }

    /// Removes what was sent, if anything. If that fails too, the error says so: the parts take up
    /// room until a sweep.
    pub async fn abort(&self, error: Error) -> Error {
        let Some(id) = self.id.borrow_mut().take() else { return error };
        let call = Call::new("abort the upload of", Method::Delete, &self.place.object)
            .query("uploadId", id);
        match call.run(self.settings).await {
            Ok(_) => error,
            Err(failure) if failure.is_code("NoSuchUpload") => error,
            Err(_) => left_behind(error),
        }
    }
}

fn left_behind(error: Error) -> Error {
    let with = |why: String| format!("{why}; its unfinished upload is left to a sweep");
    match error {
        Error::Unavailable(why) => Error::Unavailable(with(why)),
        Error::Other(why) => Error::Other(with(why)),
        Error::AccessDenied(why) => Error::AccessDenied(with(why)),
        Error::NoSpace(why) => Error::NoSpace(with(why)),
        error => error,
    }
}

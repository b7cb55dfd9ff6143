//! Artifacts in parts. An upload is invisible until it is completed.

use std::cell::RefCell;
use std::pin::pin;

use artifact_store_backend::checksum::{checksum, joined};
use artifact_store_backend::{Error, Result};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;

use crate::bindings::{Mode, WriteOptions};
use crate::client::{Call, random};
use crate::download::{Place, head};
use crate::http::Method;
use crate::settings::Settings;
use crate::upload::{MAX_SIZE, Source, settle};
use crate::xml;

/// The most parts of an upload.
const PARTS: usize = 10_000;

/// If the size is unknown, the size of parts doubles after this many parts.
const DOUBLE: usize = 1000;

/// How many parts are in memory at once: both being sent, or one being sent while the next fills.
const AT_ONCE: usize = 2;

/// An upload that begins when it is needed.
pub struct Multipart<'a> {
    settings: &'a Settings,
    place: &'a Place<'a>,
    options: WriteOptions,
    write: String,
    /// The service's name for the upload, while there is one to remove.
    id: RefCell<Option<String>>,
    tags: RefCell<Vec<String>>,
}

impl<'a> Multipart<'a> {
    pub fn new(settings: &'a Settings, place: &'a Place<'a>, options: WriteOptions) -> Self {
        let (id, tags) = Default::default();
        Self { settings, place, options, write: random(), id, tags }
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
        // This decides no race, but can save a transfer. A key that may not read may still store.
        if self.options.mode == Mode::Create {
            match head(self.settings, object).await {
                Ok(Some(_)) => return Err(Error::AlreadyExists),
                Ok(None) => {}
                Err(failure) if matches!(failure.status(), 401 | 403) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        let mut call = Call::new("start the upload of", Method::Post, object)
            .query("uploads", "")
            .artifact(self.place.key, self.place.is_hashed, &self.write);
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

    /// Makes one artifact of all parts, in one step.
    pub async fn complete(&self, checksum: u64) -> Result<()> {
        let id = self.id.borrow().clone().unwrap_or_default();
        let body = xml::complete_upload(&self.tags.borrow());
        let mut call = Call::new("complete the upload of", Method::Post, &self.place.object)
            .query("uploadId", id)
            .checksum(self.settings, checksum)
            .body(body.as_bytes());
        if self.settings.sends_checksum {
            call = call.header("x-amz-checksum-type", "FULL_OBJECT");
        }
        if self.options.mode == Mode::Create {
            call = call.header("if-none-match", "*");
        }
        let done = match call.run(self.settings).await {
            Ok(answer) => match answer.root {
                Some(root) if root.name == "CompleteMultipartUploadResult" => Ok(()),
                _ => Err(call
                    .foreign(answer.status, "it does not report that the upload is complete")
                    .into()),
            },
            Err(failure) => {
                let (object, mode) = (&self.place.object, self.options.mode);
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

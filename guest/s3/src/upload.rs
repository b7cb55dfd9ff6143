//! Storing artifacts: small ones by one request, others in parts. In both cases nothing is visible
//! before the seal was compared with the bytes.

use artifact_store_backend::checksum::checksum;
use artifact_store_backend::{Attribute, Error, Info, Mode, Result, Seal, attributes, seal};
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use futures_util::future::try_join;

use crate::bindings::WriteOptions;
use crate::client::{Call, random, settings};
use crate::download::{Place, head};
use crate::failure::Failure;
use crate::http::Method;
use crate::multipart::Multipart;
use crate::settings::Settings;
use crate::version;

/// The largest artifact that S3 accepts.
pub const MAX_SIZE: u64 = 5 << 40;

/// Stores all of `data` by one request.
pub async fn put(key: &str, data: &[u8]) -> Result<()> {
    let settings = settings()?;
    let place = Place::of(settings, key);
    store(settings, &place, data, checksum(data), &Mode::Overwrite, &[]).await?;
    Ok(())
}

pub async fn delete(key: &str) -> Result<()> {
    let settings = settings()?;
    let place = Place::of(settings, key);
    let call = Call::new("delete", Method::Delete, &place.object);
    let unsure = match call.run(settings).await {
        Ok(answer) if answer.is_empty => return Ok(()),
        Ok(answer) => call.foreign(answer.status, "a response to a delete has no body"),
        Err(failure) if failure.is_absent() => return Ok(()),
        Err(failure) if failure.is_vaguely_absent() || failure.may_be_done() => failure,
        Err(failure) => return Err(failure.into()),
    };
    // Whatever the answer was, only the absence of the object counts.
    match head(settings, &place.object).await {
        Ok(None) => Ok(()),
        Ok(Some(_)) | Err(_) => Err(unsure.into()),
    }
}

pub async fn write(
    key: &str,
    data: StreamReader<u8>,
    end: FutureReader<std::result::Result<Seal, String>>,
    options: WriteOptions,
) -> Result<Info> {
    let settings = settings()?;
    let place = Place::of(settings, key);
    attributes::check(attributes::pairs(&options.attributes))?;
    if matches!(&options.mode, Mode::Replace(version) if !version::is_possible(version)) {
        return Err(Error::ConditionFailed);
    }
    if options.size.is_some_and(|size| size > MAX_SIZE) {
        return Err(Error::TooLarge(MAX_SIZE));
    }
    let source = Source { data, carried: None };
    let parts = Multipart::new(settings, &place, &options);
    // Both at the same time: the caller may wait for either to be taken.
    let received = try_join(receive(source, &parts, options.size), seal::wait(end, options.size));
    let stored = match received.await {
        Ok((received, seal)) => publish(settings, &place, &parts, received, seal, &options).await,
        Err(error) => Err(error),
    };
    match stored {
        Ok(info) => Ok(info),
        Err(error) => Err(parts.abort(error).await),
    }
}

/// The bytes that came, and where they are.
pub struct Received {
    pub size: u64,
    pub checksum: u64,
    /// All bytes; `None` if they are in parts.
    whole: Option<Vec<u8>>,
}

async fn receive(mut source: Source, parts: &Multipart<'_>, size: Option<u64>) -> Result<Received> {
    let (first, is_last) = source.fill(parts.part(0), size).await?;
    if is_last {
        let (size, checksum) = (first.len() as u64, checksum(&first));
        return Ok(Received { size, checksum, whole: Some(first) });
    }
    let (size, checksum) = parts.send(first, &mut source).await?;
    Ok(Received { size, checksum, whole: None })
}

async fn publish(
    settings: &Settings,
    place: &Place<'_>,
    parts: &Multipart<'_>,
    received: Received,
    seal: Seal,
    options: &WriteOptions,
) -> Result<Info> {
    seal::check(&seal, received.size, received.checksum)?;
    let WriteOptions { mode, attributes, .. } = options;
    let version = match received.whole {
        Some(data) => store(settings, place, &data, seal.checksum, mode, attributes).await?,
        None => parts.complete(Some(seal.checksum)).await?,
    };
    Ok(Info {
        size: seal.size,
        checksum: Some(seal.checksum),
        modified: None,
        version,
        attributes: attributes.clone(),
    })
}

/// One request, which can be repeated: the bytes are in memory. Returns the version.
async fn store(
    settings: &Settings,
    place: &Place<'_>,
    data: &[u8],
    checksum: u64,
    mode: &Mode,
    attributes: &[Attribute],
) -> Result<Option<String>> {
    let write = random();
    let call = Call::new("store", Method::Put, &place.object)
        .artifact(place.key, place.is_hashed, &write)
        .attributes(attributes)
        .keep_checksum(checksum)
        .checksum(settings, checksum)
        .condition(mode)
        .body(data);
    match call.run(settings).await {
        Ok(answer) => match answer.tag {
            Some(tag) => Ok(version::of_tag(&tag)),
            None => Err(call.foreign(answer.status, "it has no ETag").into()),
        },
        Err(failure) => settle(settings, &place.object, &write, mode, failure).await,
    }
}

/// The outcome of a failed write: whatever the answer was, the write succeeded if the object is the
/// one that it stored; then this returns its version. An earlier attempt may have been stored
/// although its answer was an error or was lost, and so may this one if a proxy sent it twice.
pub async fn settle(
    settings: &Settings,
    object: &str,
    write: &str,
    mode: &Mode,
    failure: Failure,
) -> Result<Option<String>> {
    let unmet = unmet(mode, &failure);
    let is_gone = failure.is_code("NoSuchUpload");
    if unmet.is_none() && !is_gone && !failure.may_be_done() {
        return Err(failure.into());
    }
    let found = head(settings, object).await;
    if let Ok(Some(found)) = &found
        && found.write() == Some(write)
    {
        return Ok(found.version());
    }
    // An earlier attempt may have been stored, and deleted or replaced since by somebody who saw it.
    // A create reports another's artifact all the same, since a retry would meet it, too.
    let is_anothers = matches!((mode, &found), (Mode::Create, Ok(Some(_))));
    match unmet {
        Some(_) if failure.is_open && !is_anothers => Err(Error::Unavailable(format!(
            "cannot determine whether `{object}` was stored by this write or was there before"
        ))),
        Some(error) => Err(error),
        None => Err(failure.into()),
    }
}

/// The error of a write whose condition does not hold, if that is why it failed.
fn unmet(mode: &Mode, failure: &Failure) -> Option<Error> {
    match mode {
        Mode::Overwrite => None,
        Mode::Create => failure.is_precondition().then_some(Error::AlreadyExists),
        // AWS says of an absent object that it is absent.
        Mode::Replace(_) => {
            (failure.is_precondition() || failure.is_absent()).then_some(Error::ConditionFailed)
        }
    }
}

/// The caller's bytes, taken in pieces of a chosen size.
pub struct Source {
    data: StreamReader<u8>,
    /// A byte that was read to see whether there are more.
    carried: Option<u8>,
}

impl Source {
    /// The next `size` bytes, or fewer, and whether they are the last.
    pub async fn fill(&mut self, size: usize, likely: Option<u64>) -> Result<(Vec<u8>, bool)> {
        let likely = likely.map_or(64 << 10, |likely| usize::try_from(likely).unwrap_or(size));
        // Room for one more byte distinguishes a full piece from the last one.
        let full = size + 1;
        let mut bytes = Vec::new();
        reserve(&mut bytes, likely.saturating_add(1).min(full))?;
        bytes.extend(self.carried.take());
        loop {
            let how;
            (how, bytes) = self.data.read(bytes).await;
            if let StreamResult::Dropped | StreamResult::Cancelled = how {
                return Ok((bytes, true));
            }
            if bytes.len() == full {
                self.carried = bytes.pop();
                return Ok((bytes, false));
            }
            if bytes.len() == bytes.capacity() {
                let more = bytes.len().min(full - bytes.len());
                reserve(&mut bytes, more)?;
            }
        }
    }
}

fn reserve(bytes: &mut Vec<u8>, more: usize) -> Result<()> {
    bytes.try_reserve_exact(more).map_err(|_| {
        let text = format!("no memory for a part of {} bytes or more", bytes.len() + more);
        Error::Other(text)
    })
}

//! Reading artifacts and their info.

use artifact_store_backend::checksum::checksum;
use artifact_store_backend::{Error, Info, Result, outcome};
use wasip3::http::types::ErrorCode;

use crate::bindings::{Contents, wit_future};
use crate::client::{Call, settings};
use crate::failure::{Failure, unread};
use crate::http::{Body, Method, Response, Unread};
use crate::settings::Settings;
use crate::version;

/// The largest artifact that `get` carries, in bytes; larger ones need `read`.
const IN_MEMORY: u64 = 64 << 20;

/// The most bytes that `read` brings without a stream.
const AT_ONCE: u64 = 64 << 10;

/// The largest number that all services accept in a range.
const GREATEST: u64 = i64::MAX as u64;

type Failable<T> = std::result::Result<T, Failure>;

/// An object of this store, and the key that it has to hold.
pub struct Place<'a> {
    pub key: &'a str,
    pub object: String,
    pub is_hashed: bool,
}

impl<'a> Place<'a> {
    pub fn of(settings: &Settings, key: &'a str) -> Self {
        let object = settings.names.object(key);
        let is_hashed = settings.names.parse(&object) == crate::name::Named::Hashed;
        Self { key, object, is_hashed }
    }

    /// The info of the artifact according to the answer.
    pub fn info(&self, response: &Response) -> Result<Info> {
        let foreign = || {
            let text = format!("the response for `{}` has no ETag or no length", self.object);
            Error::Unavailable(text)
        };
        let info = response.info().ok_or_else(foreign)?;
        if self.is_hashed && response.key().as_deref() != Some(self.key) {
            return Err(Error::Corrupt(format!("`{}` does not hold this key", self.object)));
        }
        Ok(info)
    }

    /// The version of what this write stored, for which the service stated this ETag or none.
    pub async fn version(
        &self,
        settings: &Settings,
        write: &str,
        tag: Option<&str>,
    ) -> Option<String> {
        if let Some(tag) = tag.filter(|tag| !tag.is_empty()) {
            return version::of_tag(tag);
        }
        let found = head(settings, &self.object).await.ok().flatten()?;
        (found.write() == Some(write)).then(|| found.version())?
    }
}

/// The headers of an object; `None` if there is no such object.
pub async fn head(settings: &Settings, object: &str) -> Failable<Option<Response>> {
    let call = Call::new("stat", Method::Head, object).with_checksum(settings);
    match call.begin(settings).await {
        Ok(response) => Ok(Some(response)),
        Err(failure) if matches!(failure.status(), 400..=499) => explain(settings, object).await,
        Err(failure) => Err(failure),
    }
}

/// The answer to `HEAD` has no body, and thus does not distinguish an absent object from an absent
/// bucket, or from a server that knows neither. The answer to a `GET` says why.
async fn explain(settings: &Settings, object: &str) -> Failable<Option<Response>> {
    let call = Call::new("stat", Method::Get, object).with_checksum(settings);
    match call.begin(settings).await {
        // It was created meanwhile. Its body is not read.
        Ok(response) => Ok(Some(response)),
        Err(failure) if failure.is_absent() => Ok(None),
        Err(failure) => Err(failure),
    }
}

pub async fn stat(key: &str) -> Result<Info> {
    let settings = settings()?;
    let place = Place::of(settings, key);
    look(settings, &place).await?.ok_or(Error::NotFound)
}

/// The info of the artifact; `None` if there is none. Some services report a length only together
/// with the bytes.
pub async fn look(settings: &Settings, place: &Place<'_>) -> Result<Option<Info>> {
    let Some(mut response) = head(settings, &place.object).await? else { return Ok(None) };
    if response.tag().is_some() && response.info().is_none() {
        let Some(whole) = explain(settings, &place.object).await? else { return Ok(None) };
        response = whole;
        if response.tag().is_some() && response.info().is_none() {
            let (object, endpoint) = (&place.object, settings.bucket.endpoint());
            return Err(Error::Other(format!(
                "{endpoint} does not report the size of `{object}`: it sends no Content-Length"
            )));
        }
    }
    place.info(&response).map(Some)
}

/// The whole artifact. If the answer is cut, all of it is requested again: the rest alone could
/// belong to another generation.
pub async fn get(key: &str) -> Result<Vec<u8>> {
    let settings = settings()?;
    let place = Place::of(settings, key);
    let call = Call::new("read", Method::Get, &place.object).with_checksum(settings);
    let mut cause = ErrorCode::HttpResponseIncomplete;
    for _ in 0..3 {
        let response = call.begin(settings).await?;
        let info = place.info(&response)?;
        if info.size > IN_MEMORY {
            return Err(Error::TooLarge(IN_MEMORY));
        }
        match whole(response.body, info.size).await {
            Ok(data) => {
                let checksum = checksum(&data);
                if info.checksum.is_some_and(|stated| stated != checksum) {
                    let text = format!("`{}` does not match its checksum", place.object);
                    return Err(Error::Corrupt(text));
                }
                return Ok(data);
            }
            Err(code) => cause = code,
        }
        // This took all the time of one call.
        if matches!(cause, ErrorCode::ConnectionReadTimeout) {
            break;
        }
    }
    Err(unread(settings, &place.object, &cause))
}

/// The `size` bytes of a body, and an error where it has fewer or more.
async fn whole(body: Body, size: u64) -> std::result::Result<Vec<u8>, ErrorCode> {
    let most = usize::try_from(size).map_err(|_| ErrorCode::HttpResponseIncomplete)?;
    match body.read(most).await {
        Ok(data) if data.len() == most => Ok(data),
        Err(Unread::Failed(code)) => Err(code),
        Ok(_) | Err(Unread::TooLong) => Err(ErrorCode::HttpResponseIncomplete),
    }
}

pub async fn read(key: &str, offset: u64, length: Option<u64>) -> Result<(Info, Contents)> {
    let settings = settings()?;
    let place = Place::of(settings, key);
    if length == Some(0) || offset > GREATEST {
        return at_end(settings, &place, |size| offset <= size, offset).await;
    }
    let mut call = Call::new("read", Method::Get, &place.object).with_checksum(settings);
    let last = length.and_then(|length| offset.checked_add(length - 1)).filter(|l| *l < GREATEST);
    match last {
        Some(last) => call = call.header("range", format!("bytes={offset}-{last}")),
        None if offset > 0 => call = call.header("range", format!("bytes={offset}-")),
        None => {}
    }
    let response = match call.begin(settings).await {
        Ok(response) => response,
        // This is also the answer to every range of an empty object.
        Err(failure) if failure.status() == 416 => {
            return at_end(settings, &place, |size| offset == size, offset).await;
        }
        Err(failure) => return Err(failure.into()),
    };
    let info = place.info(&response)?;
    if offset > info.size {
        return Err(Error::InvalidRange);
    }
    let begins_at =
        if response.status == 206 { response.range().map_or(0, |range| range.0) } else { 0 };
    if begins_at != offset {
        let text =
            format!("the response for `{}` begins at byte {begins_at}, not {offset}", place.object);
        return Err(Error::Other(text));
    }
    let (body, object) = (response.body, place.object);
    let left = info.size - offset;
    // Some services send all of the artifact, whatever part was requested.
    let sent = match length {
        Some(length) if response.status == 206 => length.min(left),
        _ => left,
    };
    if sent <= AT_ONCE {
        let data = whole(body, sent).await.map_err(|code| unread(settings, &object, &code))?;
        return Ok((info, Contents::Bytes(data)));
    }
    let (report, outcome) = wit_future::new(outcome::dropped);
    // The bytes go from host to host; this only learns how that went.
    outcome::report(report, async move {
        let ended = body.ended.await;
        drop(body.done);
        ended.map(|_| ()).map_err(|code| unread(settings, &object, &code))
    });
    Ok((info, Contents::Streamed((body.stream, outcome))))
}

/// A read of zero bytes, if the artifact's size permits it.
async fn at_end(
    settings: &Settings,
    place: &Place<'_>,
    is_fine: impl FnOnce(u64) -> bool,
    offset: u64,
) -> Result<(Info, Contents)> {
    let info = look(settings, place).await?.ok_or(Error::NotFound)?;
    if offset > info.size {
        return Err(Error::InvalidRange);
    }
    if !is_fine(info.size) {
        let text = format!("`{}` was replaced while it was read", place.object);
        return Err(Error::Unavailable(text));
    }
    Ok((info, Contents::Bytes(Vec::new())))
}

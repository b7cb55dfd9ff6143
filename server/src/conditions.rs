//! Conditions of requests: on what is read, on what is replaced, and on what is deleted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use artifact_store::{ArtifactStore, Info, Mode};
use http::{HeaderMap, HeaderName, header};
use s3s::dto::{ETag, ETagCondition, Timestamp, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::access::may_replace;
use crate::error::{failed, found};
use crate::etag;
use crate::keys::Key;

/// What a condition names. Any of these will do.
pub(crate) struct Tags(Vec<ETagCondition>);

impl From<ETagCondition> for Tags {
    fn from(condition: ETagCondition) -> Self {
        Self(vec![condition])
    }
}

impl Tags {
    /// Those of a header of plain HTTP, which may have several. What is no tag is that of no object.
    pub(crate) fn of(headers: &HeaderMap, name: HeaderName) -> Option<Self> {
        let mut values = headers.get_all(name).iter().peekable();
        values.peek()?;
        let all = values.flat_map(|value| {
            let mut is_quoted = false;
            value.as_bytes().split(move |byte| {
                is_quoted ^= *byte == b'"';
                *byte == b',' && !is_quoted
            })
        });
        let tags = all.map(|tag| ETagCondition::parse_http_header(tag.trim_ascii()));
        Some(Self(tags.filter_map(Result::ok).collect()))
    }

    fn are_any(&self) -> bool {
        matches!(&*self.0, [ETagCondition::Any])
    }

    /// Whether the client knows this object, perhaps in another form: for `If-None-Match`.
    fn weakly_name(&self, info: &Info) -> bool {
        self.name(info, ETag::weak_cmp)
    }

    /// Whether it is this very object, of which a weak tag is none: for `If-Match`.
    fn strongly_name(&self, info: &Info) -> bool {
        self.name(info, ETag::strong_cmp)
    }

    fn name(&self, info: &Info, is_alike: impl Fn(&ETag, &ETag) -> bool) -> bool {
        let tag = etag::of(info);
        self.0.iter().any(|condition| match condition.as_etag() {
            Some(wanted) => tag.as_ref().is_some_and(|tag| is_alike(wanted, tag)),
            None => true,
        })
    }

    /// The same for `If-Range`, which has one tag.
    pub(crate) fn are_that_of(&self, info: &Info) -> bool {
        matches!(&*self.0, [ETagCondition::ETag(_)]) && self.strongly_name(info)
    }
}

/// The conditions under which an object is read.
#[derive(Default)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<Tags>,
    pub(crate) if_none_match: Option<Tags>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

/// Takes these from the input of an operation: those on the object that it reads, or with `source` on
/// the one that it copies.
macro_rules! asked {
    ($input:expr) => {
        $crate::conditions::Conditions {
            if_match: $input.if_match.map(Into::into),
            if_none_match: $input.if_none_match.map(Into::into),
            if_modified_since: $input.if_modified_since,
            if_unmodified_since: $input.if_unmodified_since,
        }
    };
    ($input:expr, source) => {
        $crate::conditions::Conditions {
            if_match: $input.copy_source_if_match.map(Into::into),
            if_none_match: $input.copy_source_if_none_match.map(Into::into),
            if_modified_since: $input.copy_source_if_modified_since,
            if_unmodified_since: $input.copy_source_if_unmodified_since,
        }
    };
}
pub(crate) use asked;

impl Conditions {
    /// Those of plain HTTP, which ignores what is no time.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let time = |name| {
            let text = headers.get(name)?.to_str().ok()?;
            Timestamp::parse(TimestampFormat::HttpDate, text).ok()
        };
        Self {
            if_match: Tags::of(headers, header::IF_MATCH),
            if_none_match: Tags::of(headers, header::IF_NONE_MATCH),
            if_modified_since: time(header::IF_MODIFIED_SINCE),
            if_unmodified_since: time(header::IF_UNMODIFIED_SINCE),
        }
    }

    pub(crate) fn are_none(&self) -> bool {
        self.if_match.is_none()
            && self.if_none_match.is_none()
            && self.if_modified_since.is_none()
            && self.if_unmodified_since.is_none()
    }

    /// For a read: 304 where the client has the object already, 412 where it wants another one.
    pub(crate) fn check(&self, info: &Info) -> S3Result<()> {
        if !self.permits(info) {
            return Err(s3_error!(PreconditionFailed, "the object does not meet the condition"));
        }
        match self.is_new(info) {
            true => Ok(()),
            false => Err(not_modified(info)),
        }
    }

    /// For a copy, of which each failure is a 412.
    pub(crate) fn check_source(&self, info: &Info) -> S3Result<()> {
        match self.permits(info) && self.is_new(info) {
            true => Ok(()),
            false => Err(s3_error!(PreconditionFailed, "the source does not meet the condition")),
        }
    }

    /// A tag counts more than a time.
    fn permits(&self, info: &Info) -> bool {
        match (&self.if_match, &self.if_unmodified_since, seconds(info)) {
            (Some(tags), ..) => tags.strongly_name(info),
            (None, Some(since), Some(modified)) => modified <= since.clone(),
            _ => true,
        }
    }

    fn is_new(&self, info: &Info) -> bool {
        match (&self.if_none_match, &self.if_modified_since, seconds(info)) {
            (Some(tags), ..) => !tags.weakly_name(info),
            (None, Some(since), Some(modified)) => modified > since.clone(),
            _ => true,
        }
    }
}

/// When the artifact was put, as headers say it: in whole seconds.
fn seconds(info: &Info) -> Option<Timestamp> {
    Some(Timestamp::from(whole_seconds(info)?))
}

fn whole_seconds(info: &Info) -> Option<SystemTime> {
    let since = info.modified?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(UNIX_EPOCH + Duration::from_secs(since.as_secs()))
}

fn not_modified(info: &Info) -> S3Error {
    let mut error = s3_error!(NotModified);
    if let Some(Ok(tag)) = etag::of(info).map(|tag| tag.to_http_header()) {
        error.set_headers(HeaderMap::from_iter([(http::header::ETAG, tag)]));
    }
    error
}

/// How an object is to be stored.
pub(crate) struct Write {
    pub(crate) mode: Mode,
    /// Whether the access key, and no condition, decides that nothing is replaced.
    is_forced: bool,
}

impl Write {
    /// The error of the write, as the client is to learn it.
    pub(crate) fn explain(&self, error: S3Error) -> S3Error {
        match self.is_forced && *error.code() == S3ErrorCode::PreconditionFailed {
            true => denied(),
            false => error,
        }
    }
}

fn denied() -> S3Error {
    s3_error!(AccessDenied, "this access key does not permit to replace an object")
}

/// How an object is to be stored under the conditions of the request, and by whom.
pub(crate) async fn write(
    store: &ArtifactStore,
    key: &str,
    by: &Key,
    if_match: Option<impl Into<Tags>>,
    if_none_match: Option<impl Into<Tags>>,
) -> S3Result<Write> {
    let plain = |mode| Ok(Write { mode, is_forced: false });
    match (if_match.map(Into::into), if_none_match.map(Into::into)) {
        (None, None) if may_replace(by) => plain(Mode::Overwrite),
        (None, None) => Ok(Write { mode: Mode::Create, is_forced: true }),
        (None, Some(tags)) if tags.are_any() => plain(Mode::Create),
        (Some(_), _) if !may_replace(by) => Err(denied()),
        (Some(tags), None) => {
            let info = store.stat(key).await.map_err(failed)?;
            if !tags.strongly_name(&info) {
                let text = "the key has another object than the condition names";
                return Err(s3_error!(PreconditionFailed, "{text}"));
            }
            let version = info.version.ok_or_else(indistinct)?;
            plain(Mode::Replace(version))
        }
        _ => Err(s3_error!(NotImplemented, "`If-None-Match` of a write has to be `*`, alone")),
    }
}

/// The same, of the headers themselves, which `s3s` does not read for a copy.
pub(crate) fn condition(headers: &HeaderMap, name: &str) -> S3Result<Option<ETagCondition>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let condition = ETagCondition::parse_http_header(value.as_bytes());
    condition.map(Some).map_err(|_| s3_error!(InvalidArgument, "`{name}` is no entity tag"))
}

/// The conditions under which an object is deleted.
#[derive(Default)]
pub(crate) struct Deletion {
    pub(crate) if_match: Option<Tags>,
    pub(crate) if_modified: Option<Timestamp>,
    pub(crate) if_size: Option<i64>,
}

impl Deletion {
    /// Deletes the object if this is true of it. Whether there was one, where there is a condition.
    pub(crate) async fn delete(&self, store: &ArtifactStore, key: &str) -> S3Result<bool> {
        if self.is_none() {
            return store.delete(key).await.map(|()| true).map_err(failed);
        }
        let Some(info) = found(store.stat(key).await)? else { return Ok(false) };
        if !self.permits(&info) {
            return Err(s3_error!(PreconditionFailed, "the object does not meet the condition"));
        }
        let deleted = match self.is_of_any() {
            true => store.delete(key).await,
            false => store.delete_if(key, &info.version.ok_or_else(indistinct)?).await,
        };
        deleted.map(|()| true).map_err(failed)
    }

    fn is_none(&self) -> bool {
        self.if_match.is_none() && self.if_modified.is_none() && self.if_size.is_none()
    }

    /// Whether any object will do.
    fn is_of_any(&self) -> bool {
        let is_any = self.if_match.as_ref().is_some_and(Tags::are_any);
        is_any && self.if_modified.is_none() && self.if_size.is_none()
    }

    fn permits(&self, info: &Info) -> bool {
        let is_tagged = self.if_match.as_ref().is_none_or(|tags| tags.strongly_name(info));
        let is_of_time = self.if_modified.as_ref().is_none_or(|time| is_of_second(info, time));
        let is_of_size = self.if_size.is_none_or(|size| u64::try_from(size) == Ok(info.size));
        is_tagged && is_of_time && is_of_size
    }
}

/// Headers state a time in whole seconds, and listings in milliseconds.
fn is_of_second(info: &Info, time: &Timestamp) -> bool {
    whole_seconds(info).is_some_and(|begin| {
        let end = begin.checked_add(Duration::from_secs(1)).map(Timestamp::from);
        Timestamp::from(begin) <= *time && end.is_some_and(|end| *time < end)
    })
}

fn indistinct() -> S3Error {
    s3_error!(NotImplemented, "the store cannot tell two generations apart")
}

//! What the headers of an object say about its artifact.

use artifact_store_backend::{Attribute, Info, Instant};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use crate::client::Call;
use crate::http::Response;
use crate::settings::Settings;
use crate::{attributes, version};

/// S3's header for the checksum, in base64.
pub const CHECKSUM: &str = "x-amz-checksum-crc64nvme";

/// The checksum in hexadecimal digits, for services without that header.
const OWN_CHECKSUM: &str = "x-amz-meta-artifact-checksum";

/// The key, if the name of the object does not spell it out.
const KEY: &str = "x-amz-meta-artifact-key";

/// A random number of the write, by which it detects that it has already succeeded.
const WRITE: &str = "x-amz-meta-artifact-write";

impl Call<'_> {
    /// States which artifact this is; S3 stores it with the object.
    pub fn artifact(self, key: &str, is_hashed: bool, write: &str) -> Self {
        let call = self.header(WRITE, write);
        if is_hashed { call.header(KEY, BASE64_URL_SAFE_NO_PAD.encode(key)) } else { call }
    }

    /// States the attributes, to be stored with the object.
    pub fn attributes(self, attributes: &[Attribute]) -> Self {
        let headers = attributes.iter().flat_map(|one| attributes::headers(&one.name, &one.value));
        headers.fold(self, |call, (name, value)| call.header(name, value))
    }

    /// States the checksum of the whole artifact, to be stored with the object.
    pub fn keep_checksum(self, checksum: u64) -> Self {
        self.header(OWN_CHECKSUM, format!("{checksum:016x}"))
    }

    /// States the checksum of the body, or of all parts, for the service to compare.
    pub fn checksum(self, settings: &Settings, checksum: u64) -> Self {
        if !settings.sends_checksum {
            return self;
        }
        self.header(CHECKSUM, BASE64_STANDARD.encode(checksum.to_be_bytes()))
    }

    /// Requests the checksum that the service stores.
    pub fn with_checksum(self, settings: &Settings) -> Self {
        if settings.sends_checksum { self.header("x-amz-checksum-mode", "ENABLED") } else { self }
    }
}

impl Response {
    /// The info of the artifact; `None` if this is not an answer about an object.
    pub fn info(&self) -> Option<Info> {
        self.tag()?;
        let size = match self.status {
            206 => self.range()?.1,
            _ => self.header("content-length")?.parse().ok()?,
        };
        let modified = self.header("last-modified");
        let modified = modified.and_then(|date| DateTimeParser::new().parse_zoned(date).ok());
        Some(Info {
            size,
            checksum: self.checksum(),
            modified: modified.map(|date| seconds(date.timestamp())),
            version: self.version(),
            attributes: self.attributes(),
        })
    }

    /// The version of this generation of the object.
    pub fn version(&self) -> Option<String> {
        version::of_tag(self.tag()?)
    }

    fn attributes(&self) -> Vec<Attribute> {
        let headers: Vec<_> = self.headers().collect();
        let found = headers.iter().map(|(name, value)| (name.as_str(), *value));
        let found = attributes::parse(found).into_iter();
        found.map(|(name, value)| Attribute { name, value }).collect()
    }

    /// The coding of the body, if the writer of the artifact did not state it: then it is not the
    /// artifact's.
    pub fn foreign_coding(&self) -> Option<&str> {
        let coding = self.header("content-encoding")?;
        let is_own = |own: Attribute| {
            own.name == "content-encoding" && own.value.eq_ignore_ascii_case(coding)
        };
        let is_foreign =
            !coding.eq_ignore_ascii_case("identity") && !self.attributes().into_iter().any(is_own);
        is_foreign.then_some(coding)
    }

    /// The tag of this generation of the object.
    pub fn tag(&self) -> Option<&str> {
        self.header("etag").filter(|tag| !tag.is_empty())
    }

    /// The first byte of a part, and the size of the whole object.
    pub fn range(&self) -> Option<(u64, u64)> {
        let range = self.header("content-range")?;
        let (bytes, size) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (first, _) = bytes.split_once('-')?;
        Some((first.parse().ok()?, size.parse().ok()?))
    }

    /// The random number of the write of this generation.
    pub fn write(&self) -> Option<&str> {
        self.header(WRITE)
    }

    /// The key, if it is stored here.
    pub fn key(&self) -> Option<String> {
        String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(self.header(KEY)?).ok()?).ok()
    }

    fn checksum(&self) -> Option<u64> {
        // With a part of an object comes the checksum of that part, or an unspecified one.
        let is_whole = self.status != 206
            && self.header("x-amz-checksum-type").is_none_or(|kind| kind == "FULL_OBJECT");
        let stated = self.header(CHECKSUM).filter(|_| is_whole);
        let stated = stated.and_then(|text| BASE64_STANDARD.decode(text).ok());
        let stated = stated.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
        // Our own is that of the first writer. A service that copies damaged bytes may state theirs.
        let own = self.header(OWN_CHECKSUM).filter(|own| own.len() == 16);
        own.and_then(|own| u64::from_str_radix(own, 16).ok()).or(stated)
    }
}

/// A time as all answers of a service agree on it: a listing may have more digits than a header.
pub fn seconds(time: Timestamp) -> Instant {
    Instant { seconds: time.as_second(), nanoseconds: 0 }
}

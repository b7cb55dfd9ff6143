//! Which requests the host signs: those that a store in the granted part of a bucket needs. All
//! others are refused.

use http::header::{self, HeaderName};
use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::clock::Clock;
use crate::error::LoadError;
use crate::grants::{BucketProblem, S3Bucket};
use crate::network::Address;
use crate::network::aws::Keyring;

/// What a request is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Bucket,
    Object,
}

/// One operation of S3: its method and target, the parameters that identify it, and those that it
/// may have besides.
struct Operation(&'static str, Target, &'static [&'static str], &'static [&'static str]);

const OPERATIONS: &[Operation] = &[
    // GetObject, HeadObject, PutObject and CopyObject, DeleteObject.
    Operation("GET", Target::Object, &[], &[]),
    Operation("HEAD", Target::Object, &[], &[]),
    Operation("PUT", Target::Object, &[], &[]),
    Operation("DELETE", Target::Object, &[], &[]),
    // CreateMultipartUpload, UploadPart and UploadPartCopy, CompleteMultipartUpload,
    // AbortMultipartUpload.
    Operation("POST", Target::Object, &["uploads"], &[]),
    Operation("PUT", Target::Object, &["partNumber", "uploadId"], &[]),
    Operation("POST", Target::Object, &["uploadId"], &[]),
    Operation("DELETE", Target::Object, &["uploadId"], &[]),
    // ListParts, ListObjectsV2, ListMultipartUploads.
    Operation(
        "GET",
        Target::Object,
        &["uploadId"],
        &["encoding-type", "max-parts", "part-number-marker"],
    ),
    Operation(
        "GET",
        Target::Bucket,
        &["list-type"],
        &[
            "continuation-token",
            "delimiter",
            "encoding-type",
            "fetch-owner",
            "max-keys",
            "prefix",
            "start-after",
        ],
    ),
    Operation(
        "GET",
        Target::Bucket,
        &["uploads"],
        &["delimiter", "encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker"],
    ),
];

/// Headers of a request that the host replaces or removes.
const REPLACED: &[&str] =
    &["authorization", "date", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

/// The same for parameters, in lower case: those of a signature in the query.
const REPLACED_PARAMETERS: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// The headers that a request may have. Headers of access control, of locks, of tags, of redirects
/// and of encryption with the backend's own key are not among them.
const HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "expires",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "range",
    "user-agent",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-mode",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    COPY_SOURCE,
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-copy-source-range",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-sdk-checksum-algorithm",
];

const COPY_SOURCE: &str = "x-amz-copy-source";

/// The prefix of the headers of a user's metadata.
const METADATA: &str = "x-amz-meta-";

/// How many bytes of a name are shown that a backend made up.
const SHOWN: usize = 64;

/// A part of a bucket, and the credentials for what a store needs there.
#[derive(Debug)]
pub(in crate::network) struct Scope {
    pub(in crate::network) address: Address,
    pub(super) region: String,
    pub(in crate::network) keyring: Keyring,
    pub(in crate::network) clock: Clock,
    bucket: String,
    /// The path of the bucket, decoded, without a `/` at the end.
    path: String,
    /// Empty, or with a `/` at the end.
    prefix: String,
}

/// A request that may be signed: its path and its parameters, decoded.
pub(super) struct Permitted {
    pub(super) path: String,
    pub(super) parameters: Vec<(String, String)>,
}

/// The reason why a request is not signed, as the rest of a sentence.
type Refused<T> = Result<T, String>;

impl Scope {
    /// # Errors
    ///
    /// [`LoadError::Network`] if the endpoint is invalid.
    pub(in crate::network) fn new(bucket: &S3Bucket, keyring: Keyring) -> Result<Self, LoadError> {
        let wrong = |problem: BucketProblem| LoadError::Network {
            what: match problem {
                BucketProblem::Name => "the bucket".into(),
                // The text before an `@` may be a password.
                _ => format!("the endpoint `{}`", after_user(&bucket.endpoint)),
            },
            source: problem.into(),
        };
        Ok(Self {
            address: Address::parse(&bucket.origin().map_err(wrong)?)?,
            region: bucket.region.clone(),
            keyring,
            clock: Clock::default(),
            bucket: bucket.name.clone(),
            path: bucket.path().map_err(wrong)?,
            prefix: bucket.prefix.clone(),
        })
    }

    /// The request as it may be signed, or the reason why it is not signed.
    pub(super) fn permit(&self, head: &Parts) -> Refused<Permitted> {
        let method = head.method.as_str();
        let known = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"];
        let shown = if known.contains(&method) { method } else { "another method" };
        self.check(head).map_err(|what| {
            format!(
                "asked the host to sign `{shown}` of {what}; the host signs only what stores, reads, \
                 copies, lists or deletes objects below `{}/{}`",
                self.bucket, self.prefix
            )
        })
    }

    fn check(&self, head: &Parts) -> Refused<Permitted> {
        let path = canonical(head.uri.path()).ok_or("a path that can be read in several ways")?;
        let (target, of) = self.target(&path)?;
        let parameters = parameters(head.uri.query().unwrap_or_default())
            .map_err(|problem| format!("{of} with {problem}"))?;
        self.check_operation(head.method.as_str(), target, &parameters)
            .map_err(|problem| format!("{of}{problem}"))?;
        self.check_headers(head).map_err(|problem| format!("{of} with {problem}"))?;
        Ok(Permitted { path, parameters })
    }

    fn target(&self, path: &str) -> Refused<(Target, &'static str)> {
        let Some(rest) = path.strip_prefix(&self.path) else {
            return Err(match path {
                "/" => "the service itself".into(),
                _ => "another bucket".into(),
            });
        };
        match rest.strip_prefix('/') {
            None if rest.is_empty() => Ok((Target::Bucket, "the bucket")),
            None => Err("another bucket".into()),
            Some("") => Ok((Target::Bucket, "the bucket")),
            Some(object) if self.holds(object) => Ok((Target::Object, "an object")),
            Some(_) => Err("an object outside of the prefix".into()),
        }
    }

    /// Whether an object of this name is below the prefix.
    fn holds(&self, object: &str) -> bool {
        object.strip_prefix(&self.prefix).is_some_and(|rest| !rest.is_empty())
    }

    fn check_operation(
        &self,
        method: &str,
        target: Target,
        parameters: &[(String, String)],
    ) -> Refused<()> {
        let value = |name: &str| {
            let found = parameters.iter().find(|(parameter, _)| parameter == name);
            found.map(|(_, value)| value.as_str())
        };
        let of_target = || OPERATIONS.iter().filter(|found| found.0 == method && found.1 == target);
        let is_known = |name: &str| {
            of_target()
                .any(|Operation(_, _, needed, more)| needed.contains(&name) || more.contains(&name))
        };
        if let Some((name, _)) = parameters.iter().find(|(name, _)| !is_known(name)) {
            return Err(format!(" with the parameter {}", shown(name)));
        }
        let is_this = |Operation(_, _, needed, more): &Operation| {
            let belongs = |name: &str| needed.contains(&name) || more.contains(&name);
            needed.iter().all(|name| value(name).is_some())
                && parameters.iter().all(|(name, _)| belongs(name))
        };
        if !of_target().any(is_this) {
            return Err(match parameters.is_empty() {
                true => String::new(),
                false => " with these parameters together".into(),
            });
        }
        if value("list-type").is_some_and(|version| version != "2")
            || value("uploads").is_some_and(|value| !value.is_empty())
        {
            return Err(" in another version".into());
        }
        if target == Target::Bucket && !value("prefix").unwrap_or("").starts_with(&self.prefix) {
            return Err(" beyond the prefix".into());
        }
        Ok(())
    }

    fn check_headers(&self, head: &Parts) -> Refused<()> {
        for name in head.headers.keys() {
            let text = name.as_str();
            if is_replaced(name) {
                continue;
            }
            let is_metadata = text.strip_prefix(METADATA).is_some_and(|own| !own.is_empty());
            if !is_metadata && !HEADERS.contains(&text) {
                return Err(format!("the header {}", shown(text)));
            }
            let mut values = head.headers.get_all(name).iter();
            let value = values.next().and_then(|value| value.to_str().ok());
            let (Some(value), None) = (value, values.next()) else {
                return Err(format!("the header {} twice or not in ASCII", shown(text)));
            };
            if text == COPY_SOURCE && !self.is_source(value) {
                return Err("a source outside of the prefix".into());
            }
        }
        Ok(())
    }

    /// Whether an object that is to be copied is below the prefix.
    fn is_source(&self, source: &str) -> bool {
        let source = if source.starts_with('/') { source.into() } else { format!("/{source}") };
        // The source may name a version; earlier contents are not granted.
        let path = canonical(&source).filter(|_| !source.contains(['?', '#']));
        let object = path
            .as_deref()
            .and_then(|path| path.strip_prefix('/')?.strip_prefix(&self.bucket)?.strip_prefix('/'));
        object.is_some_and(|object| self.holds(object))
    }
}

/// Whether this header of the backend is removed.
pub(super) fn is_replaced(name: &HeaderName) -> bool {
    REPLACED.contains(&name.as_str()) || name == header::HOST
}

/// A path, decoded; `None` if services and proxies could read it differently.
fn canonical(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let rest = decoded.strip_prefix('/')?;
    // Double encoding, and characters that some treat as another `/`.
    let encoded = path.to_ascii_lowercase();
    if encoded.contains("%2f") || decoded.chars().any(|c| c.is_control() || "%\\".contains(c)) {
        return None;
    }
    // The path of a bucket may end with a `/`.
    let segments = rest.strip_suffix('/').unwrap_or(rest);
    let is_fine = |segment: &str| {
        // Some treat what follows a `;` as not part of the name.
        let name = segment.split(';').next().unwrap_or_default();
        !matches!(name, "" | "." | "..")
    };
    let is_root = rest.is_empty();
    (is_root || segments.split('/').all(is_fine)).then(|| decoded.into_owned())
}

/// The parameters of a query, decoded, without those of a signature.
fn parameters(query: &str) -> Refused<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(String::from).map_err(|_| "a parameter that is not UTF-8".to_owned())
        };
        let (name, value) = (decode(name)?, decode(value)?);
        let lower = name.to_ascii_lowercase();
        if REPLACED_PARAMETERS.contains(&lower.as_str()) {
            continue;
        }
        if found.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
            return Err(format!("the parameter {} twice", shown(&name)));
        }
        found.push((name, value));
    }
    Ok(found)
}

/// A name that a backend made up, as far as it can be shown.
fn shown(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match name.len() <= SHOWN && !name.is_empty() && name.chars().all(is_plain) {
        true => format!("`{name}`"),
        false => "of another name".into(),
    }
}

fn after_user(endpoint: &str) -> &str {
    endpoint.rsplit('@').next().unwrap_or_default()
}

//! Headers of S3 as attributes of artifacts, and back.

use artifact_store::Attributes;
use http::HeaderMap;
use s3s::dto::Metadata;
use s3s::{S3Result, s3_error};

/// The most bytes of names and values together, here as on AWS.
const MOST: usize = 2048;

/// The headers that are kept, by their names as attributes.
pub(crate) const STANDARD: [&str; 5] = [
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
];

/// The type of what was stored without one, as on AWS.
pub(crate) const NO_TYPE: &str = "binary/octet-stream";

/// What a request says about an object. See [`sent!`].
pub(crate) struct Sent {
    pub(crate) standard: [(&'static str, Option<String>); 5],
    pub(crate) metadata: Option<Metadata>,
}

/// Takes these from the input of any operation that stores an object.
macro_rules! sent {
    ($input:expr) => {
        $crate::attributes::Sent {
            standard: [
                ("content-type", $input.content_type.take()),
                ("content-encoding", $input.content_encoding.take()),
                ("content-disposition", $input.content_disposition.take()),
                ("content-language", $input.content_language.take()),
                ("cache-control", $input.cache_control.take()),
            ],
            metadata: $input.metadata.take(),
        }
    };
}
pub(crate) use sent;

impl Sent {
    /// The same of plain HTTP, which has no metadata of users.
    pub(crate) fn of(headers: &HeaderMap) -> S3Result<Self> {
        let mut standard = STANDARD.map(|name| (name, None));
        for (name, kept) in &mut standard {
            // Several lines of a list are one list.
            let lines = headers.get_all(*name).iter().map(|line| str::from_utf8(line.as_bytes()));
            let lines: Vec<_> = lines
                .collect::<Result<_, _>>()
                .map_err(|_| s3_error!(InvalidArgument, "`{name}` is not UTF-8"))?;
            *kept = (!lines.is_empty()).then(|| lines.join(", "));
        }
        Ok(Self { standard, metadata: None })
    }

    /// The attributes that are stored.
    pub(crate) fn attributes(self) -> S3Result<Attributes> {
        let mut all = Attributes::new();
        for (name, value) in self.standard {
            let value = match (name, value) {
                // That is how the body came, not what the object is.
                ("content-encoding", Some(value)) => {
                    let kept = value.split(',').map(str::trim).filter(|it| *it != "aws-chunked");
                    kept.collect::<Vec<_>>().join(", ")
                }
                (_, value) => value.unwrap_or_default(),
            };
            if !value.is_empty() {
                all = all.with(name, value);
            }
        }
        for (name, value) in self.metadata.into_iter().flatten() {
            all = all.with_metadata(&name, value);
        }
        let size = size(&all);
        match size > MOST {
            true => Err(s3_error!(
                MetadataTooLarge,
                "the metadata has {size} bytes as it is stored; {MOST} are allowed"
            )),
            false => Ok(all),
        }
    }
}

/// How many bytes their names and values have together.
pub(crate) fn size(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// The metadata of users among the attributes.
pub(crate) fn metadata(attributes: &Attributes) -> Option<Metadata> {
    let all: Metadata =
        attributes.metadata().map(|(name, value)| (name.into_owned(), value.to_owned())).collect();
    (!all.is_empty()).then_some(all)
}

/// One of the five standard attributes.
pub(crate) fn standard(attributes: &Attributes, name: &str) -> Option<String> {
    attributes.get(name).map(str::to_owned)
}

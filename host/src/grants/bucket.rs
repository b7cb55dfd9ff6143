use percent_encoding::percent_decode_str;
use url::Url;

/// A bucket of an S3 service, or the part of it below a prefix. The host signs requests for nothing
/// else. See [`Grants::sign_s3`](crate::Grants::sign_s3).
///
/// ```
/// use artifact_store::S3Bucket;
///
/// // Objects whose names begin with `team/a/`, and no others.
/// let bucket = S3Bucket::new("https://s3.example.org", "artifacts")
///     .region("eu-west-1")
///     .prefix("team/a");
/// # let _ = bucket;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Bucket {
    pub(crate) endpoint: String,
    pub(crate) name: String,
    pub(crate) region: String,
    /// Empty, or with a `/` at the end.
    pub(crate) prefix: String,
    is_virtual_hosted: bool,
}

/// What is wrong with a bucket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BucketProblem {
    #[error("it has the form `https://host[:port]` or `http://host[:port]`")]
    Endpoint,
    #[error("this bucket and endpoint do not form a valid host name")]
    Style,
    #[error("a bucket's name has letters, digits, `-`, `_` and `.`, and begins with no `.`")]
    Name,
}

impl S3Bucket {
    /// The whole bucket `name` in the region `us-east-1`, addressed in the path. The endpoint is
    /// `https://host[:port]` or `http://host[:port]`; a path in it comes before the bucket's name.
    #[must_use]
    pub fn new(endpoint: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into().trim().to_owned(),
            name: name.into().trim().to_owned(),
            region: "us-east-1".into(),
            prefix: String::new(),
            is_virtual_hosted: false,
        }
    }

    /// The region of the bucket.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into().trim().to_owned();
        self
    }

    /// Restricts it to the objects below this prefix, which ends where a segment does: `a/b` and
    /// `a/b/c` are below `a`, but `ab` is not.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        let prefix: String = prefix.into();
        self.prefix = match prefix.trim().trim_end_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        self
    }

    /// Addresses the bucket as a part of the host name, and not of the path.
    #[must_use]
    pub fn virtual_hosted(mut self) -> Self {
        self.is_virtual_hosted = true;
        self
    }

    /// Scheme, host and port of the requests.
    pub(crate) fn origin(&self) -> Result<String, BucketProblem> {
        let url = self.url()?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = url.host_str().ok_or(BucketProblem::Endpoint)?;
        Ok(format!("{}://{host}{port}", url.scheme()))
    }

    /// The path of the bucket, decoded, without a `/` at the end.
    pub(crate) fn path(&self) -> Result<String, BucketProblem> {
        let url = self.url()?;
        let path = percent_decode_str(url.path()).decode_utf8();
        let mut path = path.map_err(|_| BucketProblem::Endpoint)?.trim_end_matches('/').to_owned();
        if !self.is_virtual_hosted {
            path = format!("{path}/{}", self.name);
        }
        Ok(path)
    }

    fn url(&self) -> Result<Url, BucketProblem> {
        let url = Url::parse(&self.endpoint).map_err(|_| BucketProblem::Endpoint)?;
        let is_web = matches!(url.scheme(), "http" | "https");
        if !is_web || !url.username().is_empty() || url.password().is_some() {
            return Err(BucketProblem::Endpoint);
        }
        let host = url.host_str().ok_or(BucketProblem::Endpoint)?;
        let url = match self.is_virtual_hosted {
            true => self.in_host(&url, host).ok_or(BucketProblem::Style)?,
            false => url,
        };
        let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_name = !self.name.is_empty() && self.name.chars().all(is_safe);
        // A leading dot could mean a step up in the path.
        (is_name && !self.name.starts_with('.')).then_some(url).ok_or(BucketProblem::Name)
    }

    /// The URL whose host begins with the name of the bucket.
    fn in_host(&self, url: &Url, host: &str) -> Option<Url> {
        let host = format!("{}.{host}", self.name).to_ascii_lowercase();
        let mut found = url.clone();
        found.set_host(Some(&host)).ok()?;
        // If a part was dropped or changed, this is the host of another bucket.
        (found.host_str() == Some(&host)).then_some(found)
    }
}

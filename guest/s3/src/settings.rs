//! What the environment says: which bucket, how to reach it, how to store in it.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::clock::Clock;
use crate::name::Names;
use crate::sigv4::{Signer, encoded_path};

/// The smallest part that S3 takes, the last one aside.
const MIN_PART: usize = 5 << 20;

/// Each of two is held in memory.
const DEFAULT_PART: usize = 8 << 20;

/// The largest part that an instance could hold twice.
const MAX_PART: usize = 1 << 30;

/// The settings of one store.
pub struct Settings {
    pub bucket: Bucket,
    /// `None` if the host signs, or if requests are not signed.
    credentials: Option<Credentials>,
    /// The clock for signatures.
    pub clock: Clock,
    pub names: Names,
    /// The bytes of a part; an artifact that fits into one is stored by one request.
    pub part: usize,
    /// Whether the service gets the checksum in its own header.
    pub sends_checksum: bool,
}

/// Where requests go.
pub struct Bucket {
    pub name: String,
    pub is_https: bool,
    /// The host, and possibly a port.
    pub authority: String,
    /// The path of the bucket, encoded, with a `/` at the end.
    pub path: String,
    region: String,
}

struct Credentials {
    key_id: String,
    secret: String,
    token: Option<String>,
}

impl Bucket {
    /// The name of the service in messages.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http{}://{}", if self.is_https { "s" } else { "" }, self.authority)
    }
}

impl Settings {
    /// Reads the variables, or finds all that is wrong with them.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<Problem>> {
        // What comes from a file or a command ends with a newline, and an empty variable is how
        // many tools unset one.
        let optional = |name: &str| {
            let value = variable(name).map(|value| value.trim().to_owned());
            value.filter(|value| !value.is_empty())
        };
        let mut problems = Vec::new();
        let bucket = noted(bucket(&optional), &mut problems);
        let credentials = noted(credentials(&optional), &mut problems);
        let names = noted(names(&optional), &mut problems);
        let part = noted(part(&optional), &mut problems);
        let sends_checksum = noted(sends_checksum(&optional), &mut problems);
        match (bucket, credentials, names, part, sends_checksum) {
            (Some(bucket), Some(credentials), Some(names), Some(part), Some(sends_checksum)) => {
                let clock = Clock::default();
                Ok(Self { bucket, credentials, clock, names, part, sends_checksum })
            }
            _ => Err(problems),
        }
    }

    /// Who signs here, where somebody does.
    #[must_use]
    pub fn signer(&self) -> Option<Signer<'_>> {
        let Credentials { key_id, secret, token } = self.credentials.as_ref()?;
        Some(Signer { key_id, secret, token: token.as_deref(), region: &self.bucket.region })
    }
}

/// A variable that is missing or wrong, and why: never its value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub name: &'static str,
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the variable {}: {}", self.name, self.reason)
    }
}

fn wrong(name: &'static str, why: &str) -> Problem {
    Problem { name, reason: why.to_owned() }
}

fn noted<T>(read: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    read.map_err(|problem| problems.push(problem)).ok()
}

fn names(optional: &impl Fn(&str) -> Option<String>) -> Result<Names, Problem> {
    let prefix = optional("S3_PREFIX").unwrap_or_default();
    Names::new(&prefix).map_err(|why| wrong("S3_PREFIX", &why))
}

fn part(optional: &impl Fn(&str) -> Option<String>) -> Result<usize, Problem> {
    let Some(size) = optional("S3_PART_SIZE") else { return Ok(DEFAULT_PART) };
    let size = size.parse().ok().filter(|size| (MIN_PART..=MAX_PART).contains(size));
    let valid = format!("it is a number of bytes from {MIN_PART} to {MAX_PART}");
    size.ok_or_else(|| wrong("S3_PART_SIZE", &valid))
}

fn sends_checksum(optional: &impl Fn(&str) -> Option<String>) -> Result<bool, Problem> {
    match optional("S3_CHECKSUM").as_deref() {
        None | Some("crc64nvme") => Ok(true),
        Some("metadata") => Ok(false),
        Some(_) => Err(wrong("S3_CHECKSUM", "it is `crc64nvme` or `metadata`")),
    }
}

fn bucket(optional: &impl Fn(&str) -> Option<String>) -> Result<Bucket, Problem> {
    let name = optional("S3_BUCKET").ok_or_else(|| wrong("S3_BUCKET", "it is not set"))?;
    let region = optional("AWS_REGION").unwrap_or_else(|| "us-east-1".into());
    if !region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Err(wrong("AWS_REGION", "a region has letters, digits and `-`"));
    }
    // As Amazon's own tools have it, the more specific one counts.
    let named = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    let (variable, endpoint) = named
        .into_iter()
        .find_map(|name| Some((name, optional(name)?)))
        .unwrap_or_else(|| ("AWS_REGION", format!("https://s3.{region}.amazonaws.com")));
    let mut url = Url::parse(&endpoint).map_err(|e| wrong(variable, &e.to_string()))?;
    if url.has_authority() && (!url.username().is_empty() || url.password().is_some()) {
        return Err(wrong(variable, "it must not contain a user or a password"));
    }
    let is_https = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(wrong(variable, "it begins with `https://` or `http://`")),
    };
    let host = url.host_str().ok_or_else(|| wrong(variable, "it names no host"))?;
    let is_virtual = match optional("S3_STYLE").as_deref() {
        None | Some("path") => false,
        Some("virtual") => true,
        Some(_) => return Err(wrong("S3_STYLE", "it is `path` or `virtual`")),
    };
    if !is_bucket(&name) {
        let why = "a bucket's name has 3 to 63 letters, digits, `-`, `_` and `.`";
        return Err(wrong("S3_BUCKET", why));
    }
    let decoded = percent_decode_str(url.path()).decode_utf8_lossy();
    let mut path = decoded.trim_end_matches('/').to_owned();
    if is_virtual {
        let host = format!("{name}.{host}").to_ascii_lowercase();
        let is_set = url.set_host(Some(&host)).is_ok() && url.host_str() == Some(&host);
        if !is_set {
            let why = "this bucket and endpoint do not form a valid host name";
            return Err(wrong("S3_STYLE", why));
        }
    } else {
        path = format!("{path}/{name}");
    }
    let path = encoded_path(&format!("{path}/"));
    Ok(Bucket { name, is_https, authority: url.authority().to_owned(), path, region })
}

fn credentials(optional: &impl Fn(&str) -> Option<String>) -> Result<Option<Credentials>, Problem> {
    const NAMES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    let not_set = |name| wrong(name, "it is not set, but others are");
    let (key_id, secret, token) = match NAMES.map(optional) {
        [None, None, None] => return Ok(None),
        [None, ..] => return Err(not_set(NAMES[0])),
        [_, None, _] => return Err(not_set(NAMES[1])),
        [Some(key_id), Some(secret), token] => (key_id, secret, token),
    };
    for (name, value) in [(NAMES[0], Some(&key_id)), (NAMES[2], token.as_ref())] {
        if value.is_some_and(|value| !value.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(wrong(name, "only visible ASCII characters are allowed"));
        }
    }
    if secret.chars().any(char::is_control) {
        return Err(wrong(NAMES[1], "it holds a control character"));
    }
    Ok(Some(Credentials { key_id, secret, token }))
}

fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && !name.starts_with('.')
        && !name.contains("..")
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// One variable, for people. `value` is what holds where it is not set.
pub struct Described {
    pub name: &'static str,
    pub description: &'static str,
    pub is_secret: bool,
    pub value: Option<&'static str>,
}

/// The variables, in the order of `docs/s3.md`; the first one has to be set.
pub const DESCRIBED: [Described; 11] = [
    plain("S3_BUCKET", "the bucket, which has to exist", None),
    plain("S3_PREFIX", "where in the bucket this store is, such as `team/app`", None),
    plain(
        "AWS_ENDPOINT_URL_S3",
        "the service, `https://...` or `http://...`; Amazon's endpoint of the region if neither \
         this nor AWS_ENDPOINT_URL is set",
        None,
    ),
    plain("AWS_ENDPOINT_URL", "the service, if AWS_ENDPOINT_URL_S3 is not set", None),
    plain("AWS_REGION", "the region of the bucket", Some("us-east-1")),
    plain("AWS_ACCESS_KEY_ID", "the credentials' name; requests are not signed without it", None),
    secret("AWS_SECRET_ACCESS_KEY", "the credentials' secret"),
    secret("AWS_SESSION_TOKEN", "the token of temporary credentials"),
    plain(
        "S3_STYLE",
        "`path`: the bucket is part of the path; `virtual`: it is part of the host name",
        Some("path"),
    ),
    plain("S3_PART_SIZE", "bytes of a part, from 5242880 to 1073741824", Some("8388608")),
    plain(
        "S3_CHECKSUM",
        "`crc64nvme`: sent in S3's own header too; `metadata`: for services that refuse that one",
        Some("crc64nvme"),
    ),
];

const fn plain(
    name: &'static str,
    description: &'static str,
    value: Option<&'static str>,
) -> Described {
    Described { name, description, is_secret: false, value }
}

const fn secret(name: &'static str, description: &'static str) -> Described {
    Described { name, description, is_secret: true, value: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<Problem>> {
        Settings::read(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn only_the_bucket_has_to_be_named() {
        let settings = read(&[("S3_BUCKET", "bucket"), ("AWS_REGION", "eu-west-1")]).unwrap();
        assert_eq!(settings.bucket.endpoint(), "https://s3.eu-west-1.amazonaws.com");
        assert_eq!(settings.bucket.path, "/bucket/");
        assert!(settings.signer().is_none() && settings.sends_checksum);
        assert_eq!((settings.part, settings.names.root()), (8 << 20, "_/"));
    }

    #[test]
    fn what_is_described_is_what_holds() {
        let mut variables = vec![("S3_BUCKET", "bucket")];
        variables.extend(DESCRIBED.iter().filter_map(|it| Some((it.name, it.value?))));
        let (named, bare) = (read(&variables).unwrap(), read(&variables[..1]).unwrap());
        assert_eq!((named.bucket.path, named.part), (bare.bucket.path, bare.part));
        assert_eq!(named.bucket.authority, bare.bucket.authority);
        assert_eq!(named.sends_checksum, bare.sends_checksum);
        assert!(read(&[]).err().unwrap().iter().all(|problem| problem.name == DESCRIBED[0].name));
    }

    #[test]
    fn a_bucket_can_be_part_of_the_host() {
        let variables = [
            ("S3_BUCKET", "bucket"),
            ("S3_STYLE", "virtual"),
            ("AWS_ENDPOINT_URL", "http://s3.example.org:81"),
        ];
        let settings = read(&variables).unwrap();
        assert_eq!(settings.bucket.endpoint(), "http://bucket.s3.example.org:81");
        assert_eq!(settings.bucket.path, "/");
    }

    #[test]
    fn a_path_of_the_endpoint_comes_before_the_bucket() {
        for (url, path) in [
            ("http://h", "/bucket/"),
            ("http://h/", "/bucket/"),
            ("http://h/s3/", "/s3/bucket/"),
            ("http://h/a%20b?x#y", "/a%20b/bucket/"),
        ] {
            let settings = read(&[("S3_BUCKET", "bucket"), ("AWS_ENDPOINT_URL", url)]).unwrap();
            assert_eq!(settings.bucket.path, path, "{url}");
        }
    }

    #[test]
    fn the_endpoint_of_s3_counts_more_than_that_of_all_services() {
        for (s3, endpoint) in
            [("http://s3", "http://s3"), ("", "http://all"), (" \n", "http://all")]
        {
            let variables = [
                ("AWS_ENDPOINT_URL", "http://all\n"),
                ("AWS_ENDPOINT_URL_S3", s3),
                ("S3_BUCKET", " bucket\r\n"),
            ];
            assert_eq!(read(&variables).unwrap().bucket.endpoint(), endpoint);
        }
    }

    #[test]
    fn white_space_around_a_value_is_no_part_of_it() {
        let variables = [
            ("S3_BUCKET", "bucket"),
            ("AWS_ACCESS_KEY_ID", "key\n"),
            ("AWS_SECRET_ACCESS_KEY", "\tsecret\r\n"),
            ("AWS_SESSION_TOKEN", "token "),
            ("AWS_REGION", " eu-west-1\n"),
            ("S3_PART_SIZE", "8388608\n"),
        ];
        let settings = read(&variables).unwrap();
        let Signer { key_id, secret, token, region } = settings.signer().unwrap();
        assert_eq!((key_id, secret, token, region), ("key", "secret", Some("token"), "eu-west-1"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_and_no_secret_is_shown() {
        assert_eq!(read(&[]).err().unwrap(), [wrong("S3_BUCKET", "it is not set")]);
        for (name, value) in [
            ("S3_BUCKET", "hush hush"),
            ("S3_BUCKET", "../hush"),
            ("AWS_ENDPOINT_URL", "hush"),
            ("AWS_ENDPOINT_URL", "ftp://hush"),
            ("AWS_ENDPOINT_URL", "http://user:hush@h"),
            ("AWS_ENDPOINT_URL_S3", "hush"),
            ("AWS_REGION", "hush hush"),
            ("S3_STYLE", "hush"),
            ("S3_PREFIX", "a//hush"),
            ("S3_PART_SIZE", "1"),
            ("S3_PART_SIZE", "9999999999999999999999"),
            ("S3_CHECKSUM", "hush"),
            ("AWS_SECRET_ACCESS_KEY", "hush"),
            ("AWS_SESSION_TOKEN", "hush"),
            ("AWS_ACCESS_KEY_ID", "hush"),
        ] {
            let mut variables = vec![(name, value)];
            if name != "S3_BUCKET" {
                variables.push(("S3_BUCKET", "bucket"));
            }
            let problems = read(&variables).err().expect(name);
            assert_eq!(problems.len(), 1, "{name}: {problems:?}");
            assert!(!problems[0].reason.contains("hush"), "{name}: {problems:?}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let problems = read(&[("S3_STYLE", "x"), ("S3_PART_SIZE", "x"), ("S3_CHECKSUM", "x")]);
        let names: Vec<_> = problems.err().unwrap().iter().map(|problem| problem.name).collect();
        assert_eq!(names, ["S3_BUCKET", "S3_PART_SIZE", "S3_CHECKSUM"]);
    }
}

//! What the environment says: which bucket, how to reach it, how to store in it.

use rusty_s3::{Bucket, Credentials, UrlStyle};
use url::Url;

use crate::name::Names;

/// The smallest part that S3 takes, the last one aside.
const MIN_PART: usize = 5 << 20;

/// The largest part that an instance could hold twice.
const MAX_PART: usize = 1 << 30;

/// What one store is made of.
pub struct Settings {
    pub bucket: Bucket,
    /// None where the host signs, or nobody does.
    pub credentials: Option<Credentials>,
    pub names: Names,
    /// The bytes of a part; an artifact that fits into one is stored by one request.
    pub part: usize,
    /// Whether the service is told the checksum in its own header.
    pub sends_checksum: bool,
}

impl Settings {
    /// Reads the variables. The error names the one that is missing or wrong, in the words `the
    /// variable NAME: WHY` by which the host knows it, and no value that may be a secret.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        // An empty variable is how many tools unset one.
        let optional = |name: &str| variable(name).filter(|value| !value.is_empty());
        let wrong = |name: &str, why: &str| format!("the variable {name}: {why}");
        let bucket = optional("S3_BUCKET").ok_or("the variable S3_BUCKET: it is not set")?;
        let region = optional("AWS_REGION").unwrap_or_else(|| "us-east-1".into());
        if !region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err(wrong("AWS_REGION", "a region has letters, digits and `-`"));
        }
        let endpoint = optional("AWS_ENDPOINT_URL")
            .unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let endpoint =
            Url::parse(&endpoint).map_err(|e| wrong("AWS_ENDPOINT_URL", &e.to_string()))?;
        if endpoint.has_authority()
            && (!endpoint.username().is_empty() || endpoint.password().is_some())
        {
            return Err(wrong("AWS_ENDPOINT_URL", "it must hold no user or password"));
        }
        let style = match optional("S3_STYLE").as_deref() {
            None | Some("path") => UrlStyle::Path,
            Some("virtual") => UrlStyle::VirtualHost,
            Some(_) => return Err(wrong("S3_STYLE", "it is `path` or `virtual`")),
        };
        if !is_bucket(&bucket) {
            return Err(wrong(
                "S3_BUCKET",
                "a bucket's name has 3 to 63 letters, digits, `-`, `_` and `.`",
            ));
        }
        let bucket = Bucket::new(endpoint, style, bucket, region)
            .map_err(|e| wrong("AWS_ENDPOINT_URL", &e.to_string()))?;
        let prefix = optional("S3_PREFIX").unwrap_or_default();
        Ok(Self {
            bucket,
            credentials: credentials(&optional)?,
            names: Names::new(&prefix).map_err(|why| wrong("S3_PREFIX", &why))?,
            part: match optional("S3_PART_SIZE") {
                None => 8 << 20,
                Some(size) => size
                    .parse()
                    .ok()
                    .filter(|size| (MIN_PART..=MAX_PART).contains(size))
                    .ok_or_else(|| {
                        wrong("S3_PART_SIZE", "it is a number of bytes from 5242880 to 1073741824")
                    })?,
            },
            sends_checksum: match optional("S3_CHECKSUM").as_deref() {
                None | Some("crc64nvme") => true,
                Some("metadata") => false,
                Some(_) => return Err(wrong("S3_CHECKSUM", "it is `crc64nvme` or `metadata`")),
            },
        })
    }
}

fn credentials(optional: &impl Fn(&str) -> Option<String>) -> Result<Option<Credentials>, String> {
    const NAMES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    let [key, secret, token] = NAMES.map(optional);
    Ok(Some(match (key, secret, token) {
        (None, None, None) => return Ok(None),
        (Some(key), Some(secret), None) => Credentials::new(key, secret),
        (Some(key), Some(secret), Some(token)) => Credentials::new_with_token(key, secret, token),
        (None, ..) => {
            return Err("the variable AWS_ACCESS_KEY_ID: it is not set, but others are".into());
        }
        _ => return Err("the variable AWS_SECRET_ACCESS_KEY: it is not set, but others are".into()),
    }))
}

fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && !name.starts_with('.')
        && !name.contains("..")
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn only_the_bucket_has_to_be_named() {
        let settings = read(&[("S3_BUCKET", "bucket"), ("AWS_REGION", "eu-west-1")]).unwrap();
        let url = settings.bucket.base_url().as_str();
        assert_eq!(url, "https://s3.eu-west-1.amazonaws.com/bucket/");
        assert!(settings.credentials.is_none() && settings.sends_checksum);
        assert_eq!((settings.part, settings.names.root()), (8 << 20, "_/"));
    }

    #[test]
    fn a_bucket_can_be_part_of_the_host() {
        let variables = [
            ("S3_BUCKET", "bucket"),
            ("S3_STYLE", "virtual"),
            ("AWS_ENDPOINT_URL", "http://s3.example.org:81"),
        ];
        let settings = read(&variables).unwrap();
        assert_eq!(settings.bucket.base_url().as_str(), "http://bucket.s3.example.org:81/");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_and_no_secret_is_shown() {
        assert!(read(&[]).err().unwrap().contains("S3_BUCKET"));
        for (name, value) in [
            ("S3_BUCKET", "hush hush"),
            ("S3_BUCKET", "../hush"),
            ("AWS_ENDPOINT_URL", "hush"),
            ("AWS_ENDPOINT_URL", "ftp://hush"),
            ("AWS_ENDPOINT_URL", "http://user:hush@h"),
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
            let error = read(&variables).err().expect(name);
            let named = error.strip_prefix("the variable ").and_then(|rest| rest.split_once(": "));
            assert!(named.is_some() && !error.contains("hush"), "{name}: {error}");
        }
    }
}

use std::collections::BTreeMap;

use super::{Backend, BuiltIn, Source};
use crate::error::{Error, LoadError, Operation, Result, SettingProblem};
use crate::grants::{BucketProblem, CREDENTIALS, Grants, Keys, Kind, S3Bucket, S3Credentials};
use crate::network;
use crate::text::foreign_name;

/// The component behind [`Backend::s3`], built from `guest/s3`.
pub(super) const S3: BuiltIn = BuiltIn {
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/s3.wasm")),
    sha256: include_bytes!(concat!(env!("OUT_DIR"), "/s3.sha256")),
};

const NAME: &str = "s3";

const PREFIX: &str = "S3_PREFIX";

const REGION_VARIABLE: &str = "AWS_REGION";

/// The region if none is named.
const REGION: &str = "us-east-1";

/// Where requests of the S3 backend are signed, and thus what knows the secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sign {
    /// In the host, outside of the sandbox. The backend never sees the credentials.
    #[default]
    Host,
    /// In the backend, which gets the credentials as variables.
    Backend,
}

/// Where the credentials come from, and who signs with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// From the variables; where there are none, nobody signs.
    Variables(Sign),
    /// By the host.
    With(S3Credentials),
}

impl Backend {
    /// The built-in backend that keeps artifacts in a bucket of an S3-compatible service.
    ///
    /// `variables` are those of [`Self::S3_VARIABLES`]; only `S3_BUCKET` is required. The backend
    /// is granted these variables and the one endpoint that they name. White space around a value
    /// is removed, and an empty value counts as not set. Opening the store does not sweep it, which
    /// would cost requests each time: a lifecycle rule of the bucket can do that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Load`](crate::ErrorKind::Load) with [`LoadError::Settings`] names the variables
    /// that are missing or make no sense; opening the store does so for those that only the backend
    /// itself understands.
    ///
    /// ```no_run
    /// use artifact_store::{ArtifactStore, Backend, Sign};
    ///
    /// # async fn example() -> artifact_store::Result<()> {
    /// let variables = [
    ///     ("AWS_ENDPOINT_URL", "https://s3.example.org"),
    ///     ("AWS_REGION", "eu-west-1"),
    ///     ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
    ///     ("AWS_SECRET_ACCESS_KEY", "hush"),
    ///     ("S3_BUCKET", "artifacts"),
    /// ];
    /// let store = ArtifactStore::open(Backend::s3(variables, Sign::Host)?).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn s3<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
        sign: Sign,
    ) -> Result<Self> {
        Self::s3_signed(variables, Signed::Variables(sign))
    }

    /// The same, with credentials that are not among the variables, such as those that the host
    /// finds and renews as Amazon's own tools do. The host signs.
    ///
    /// With [`S3Credentials::aws`] and [`S3Credentials::aws_profile`], a region that is not among the
    /// variables is the one that those tools would use. To find it, this reads the files of
    /// `~/.aws`.
    ///
    /// # Errors
    ///
    /// Those of [`Self::s3`]. If there are no credentials, opening the store fails with
    /// [`LoadError::Credentials`].
    ///
    /// ```no_run
    /// use artifact_store::{ArtifactStore, Backend, S3Credentials};
    ///
    /// # async fn example() -> artifact_store::Result<()> {
    /// let variables = [("S3_BUCKET", "artifacts")];
    /// let backend = Backend::s3_with(variables, S3Credentials::aws_profile("ci"))?;
    /// let store = ArtifactStore::open(backend).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn s3_with<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
        credentials: S3Credentials,
    ) -> Result<Self> {
        Self::s3_signed(variables, Signed::With(credentials))
    }

    fn s3_signed<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
        signed: Signed,
    ) -> Result<Self> {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self::try_s3(variables.collect(), signed)
            .map_err(|error| Error::new(error.into(), Operation::Open, None, &NAME.into()))
    }

    pub(crate) fn try_s3(
        variables: BTreeMap<String, String>,
        signed: Signed,
    ) -> std::result::Result<Self, LoadError> {
        let backend = Self::new(NAME, Source::BuiltIn(S3)).grants(grants(variables, signed)?);
        Ok(backend.sweep_older_than(None))
    }

    /// The variables of [`Backend::s3`]. The first ones are Amazon's own.
    pub const S3_VARIABLES: &'static [&'static str] = &[
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "S3_BUCKET",
        "S3_PREFIX",
        "S3_STYLE",
        "S3_PART_SIZE",
        "S3_CHECKSUM",
    ];

    /// Every variable of [`Self::s3`] is a setting, so an unknown one is a mistake.
    pub(crate) fn check_s3_variable(name: &str) -> std::result::Result<(), SettingProblem> {
        if Self::S3_VARIABLES.contains(&name) {
            return Ok(());
        }
        let mut why = "the backend `s3` has no such setting".to_owned();
        let meant = Self::S3_VARIABLES.iter().find(|known| strsim::levenshtein(name, known) <= 2);
        if let Some(meant) = meant {
            why.push_str(&format!("; did you mean `{meant}`?"));
        }
        Err(setting(&foreign_name(name), &why))
    }

    /// Where a backend of [`Self::s3`] keeps its artifacts, for people: bucket, region and
    /// endpoint. `None` for any other backend.
    ///
    /// ```
    /// use artifact_store::{Backend, Sign};
    ///
    /// let variables = [("S3_BUCKET", "artifacts"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")];
    /// let backend = Backend::s3(variables, Sign::Host)?;
    /// let location = "bucket `artifacts` in the region `us-east-1` at http://127.0.0.1:9000";
    /// assert_eq!(backend.s3_location().as_deref(), Some(location));
    /// # Ok::<(), artifact_store::Error>(())
    /// ```
    #[must_use]
    pub fn s3_location(&self) -> Option<String> {
        if !matches!(self.source, Source::BuiltIn(_)) || *self.name != *NAME {
            return None;
        }
        let get = |name| self.variable(name);
        let region = get(REGION_VARIABLE).unwrap_or(REGION);
        let amazon = format!("https://s3.{region}.amazonaws.com");
        let endpoint = get("AWS_ENDPOINT_URL_S3").or_else(|| get("AWS_ENDPOINT_URL"));
        let endpoint = endpoint.unwrap_or(&amazon);
        let mut text = format!("bucket `{}`", foreign_name(get("S3_BUCKET")?));
        if let Some(prefix) = get(PREFIX) {
            text.push_str(&format!(" below `{}`", foreign_name(prefix)));
        }
        let (region, endpoint) = (foreign_name(region), foreign_name(endpoint));
        Some(format!("{text} in the region `{region}` at {endpoint}"))
    }

    /// The same store, but below a prefix of this name in its own.
    #[cfg(feature = "conformance")]
    pub(crate) fn s3_below(&self, name: &str) -> Self {
        let prefix = match self.variable(PREFIX) {
            Some(prefix) => format!("{}/{name}", prefix.trim_end_matches('/')),
            None => name.to_owned(),
        };
        self.clone().map_grants(|mut grants| {
            for signing in &mut grants.signing {
                signing.bucket = signing.bucket.clone().prefix(prefix_of_names(Some(&prefix)));
            }
            grants.replace_env(PREFIX, prefix)
        })
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let variable = self.grants.env.iter().rev().find(|(found, _)| found == name)?;
        Some(variable.1.as_str())
    }

    /// The built-in S3 backend as a component file, for the wasmtime CLI or another host.
    #[must_use]
    pub fn s3_component() -> &'static [u8] {
        S3.bytes
    }
}

fn grants(
    variables: BTreeMap<String, String>,
    signed: Signed,
) -> std::result::Result<Grants, LoadError> {
    let mut problems: Vec<_> =
        variables.keys().filter_map(|name| Backend::check_s3_variable(name).err()).collect();
    // Values from a file or a command end with a newline, and many tools unset a variable by making
    // it empty.
    let trimmed = |(name, value): (String, String)| (name, value.trim().to_owned());
    let mut variables: BTreeMap<_, _> =
        variables.into_iter().map(trimmed).filter(|(_, value)| !value.is_empty()).collect();
    if let Signed::With(S3Credentials(Kind::Aws { profile })) = &signed
        && !variables.contains_key(REGION_VARIABLE)
        && let Some(region) = network::region(profile.as_deref())
    {
        variables.insert(REGION_VARIABLE.into(), region);
    }
    let get = |name: &str| variables.get(name).cloned();
    let place = place(&get).map_err(|problem| problems.push(problem));
    let credentials = match &signed {
        Signed::Variables(_) => credentials(&get).map_err(|problem| problems.push(problem)),
        Signed::With(credentials) => {
            let twice = CREDENTIALS.into_iter().filter(|name| variables.contains_key(*name));
            problems.extend(twice.map(|name| setting(name, "the credentials come from elsewhere")));
            Ok(Some(credentials.clone()))
        }
    };
    let (Ok((bucket, endpoint)), Ok(credentials), true) = (place, credentials, problems.is_empty())
    else {
        return Err(LoadError::Settings(problems));
    };
    let mut grants = Grants::none();
    match credentials.filter(|_| signed != Signed::Variables(Sign::Backend)) {
        Some(credentials) => {
            variables.retain(|name, _| !CREDENTIALS.contains(&name.as_str()));
            grants = grants.sign_s3(bucket, credentials);
        }
        None => grants = grants.connect(endpoint),
    }
    Ok(variables.into_iter().fold(grants, |grants, (name, value)| grants.env(name, value)))
}

/// The more specific one takes precedence, as in Amazon's own tools.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

/// The part of the bucket that belongs to this store, and the endpoint of the requests.
fn place(
    get: &impl Fn(&str) -> Option<String>,
) -> std::result::Result<(S3Bucket, String), SettingProblem> {
    let bucket = bucket(get)?;
    let named = ENDPOINTS.into_iter().find(|name| get(name).is_some());
    let endpoint = bucket.origin().map_err(|problem| match (&problem, named) {
        (BucketProblem::Endpoint, Some(name)) => setting(name, &problem.to_string()),
        // The endpoint was made from the region.
        (BucketProblem::Endpoint, None) => {
            setting(REGION_VARIABLE, "it cannot be a part of a host name")
        }
        (BucketProblem::Style, _) => setting("S3_STYLE", &problem.to_string()),
        (BucketProblem::Name, _) => setting("S3_BUCKET", &problem.to_string()),
    })?;
    Ok((bucket, endpoint))
}

fn bucket(get: &impl Fn(&str) -> Option<String>) -> std::result::Result<S3Bucket, SettingProblem> {
    let name = get("S3_BUCKET").ok_or_else(|| not_set("S3_BUCKET"))?;
    let region = get(REGION_VARIABLE).unwrap_or_else(|| REGION.into());
    let endpoint = ENDPOINTS.into_iter().find_map(get);
    let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let prefix = prefix_of_names(get(PREFIX).as_deref());
    let bucket = S3Bucket::new(endpoint, name).region(region).prefix(prefix);
    Ok(match get("S3_STYLE").as_deref() {
        Some("virtual") => bucket.virtual_hosted(),
        _ => bucket,
    })
}

/// The prefix of all object names, as `docs/s3.md` describes it.
fn prefix_of_names(prefix: Option<&str>) -> String {
    prefix.map_or("_".into(), |prefix| format!("{}/_", prefix.strip_suffix('/').unwrap_or(prefix)))
}

/// `None` if requests are not signed: for a public bucket.
fn credentials(
    get: &impl Fn(&str) -> Option<String>,
) -> std::result::Result<Option<S3Credentials>, SettingProblem> {
    let [key, secret, token] = CREDENTIALS.map(get);
    let mut keys = match (key, secret) {
        (Some(key), Some(secret)) => Keys::new(key, secret),
        (Some(_), None) => return Err(not_set("AWS_SECRET_ACCESS_KEY")),
        (None, Some(_)) => return Err(not_set("AWS_ACCESS_KEY_ID")),
        (None, None) => return Ok(None),
    };
    keys.set_token(token.unwrap_or_default());
    match keys.problem() {
        Some((name, why)) => Err(setting(name, why)),
        None => Ok(Some(S3Credentials(Kind::Keys(keys)))),
    }
}

fn setting(name: &str, why: &str) -> SettingProblem {
    SettingProblem::new(name, why)
}

fn not_set(name: &str) -> SettingProblem {
    setting(name, "it is not set")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [(&str, &str); 3] =
        [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "hush"), ("S3_BUCKET", "bucket")];

    fn of(variables: &[(&str, &str)], sign: Sign) -> std::result::Result<Grants, LoadError> {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        grants(variables.collect(), Signed::Variables(sign))
    }

    #[test]
    fn the_secret_goes_to_the_one_who_signs() {
        let host = of(&SECRET, Sign::Host).unwrap();
        assert_eq!(host.env, [("S3_BUCKET".into(), "bucket".into())]);
        assert_eq!(host.signing[0].bucket.origin().unwrap(), "https://s3.us-east-1.amazonaws.com");
        let backend = of(&SECRET, Sign::Backend).unwrap();
        assert_eq!((backend.env.len(), backend.signing.len()), (3, 0));
        assert_eq!(backend.endpoints, ["https://s3.us-east-1.amazonaws.com"]);
        for grants in [host, backend] {
            assert!(!format!("{grants:?}").contains("hush"));
        }
    }

    #[test]
    fn a_variable_that_is_no_setting_is_refused_with_the_one_that_was_meant() {
        for (name, meant) in [
            ("S3_BUCKT", Some("S3_BUCKET")),
            ("S3_PREFX", Some("S3_PREFIX")),
            ("AWS_REGIONS", Some("AWS_REGION")),
            ("AWS_PROFILE", None),
            ("", None),
        ] {
            let error = of(&[SECRET[2], (name, "hush")], Sign::Host).unwrap_err().to_string();
            assert!(!error.contains("hush") && error.contains(name), "{error}");
            let text = meant.map(|meant| format!("did you mean `{meant}`?"));
            assert_eq!(text.is_some(), error.contains("did you mean"), "{error}");
            assert!(error.contains(&text.unwrap_or_default()), "{error}");
        }
    }

    #[test]
    fn one_endpoint_is_granted() {
        for (url, style, endpoint) in [
            ("http://127.0.0.1:8333", "path", "http://127.0.0.1:8333"),
            ("https://S3.example.org/s3/", "", "https://s3.example.org"),
            ("https://s3.example.org", "virtual", "https://bucket.s3.example.org"),
        ] {
            let variables =
                [("S3_BUCKET", "bucket"), ("AWS_ENDPOINT_URL", url), ("S3_STYLE", style)];
            assert_eq!(of(&variables, Sign::Host).unwrap().endpoints, [endpoint]);
        }
    }

    #[test]
    fn a_wrong_variable_is_named_and_no_secret_is_shown() {
        for (name, variables) in [
            ("S3_BUCKET", &SECRET[..2]),
            ("AWS_ACCESS_KEY_ID", &SECRET[1..]),
            ("AWS_SECRET_ACCESS_KEY", &[SECRET[0], SECRET[2]][..]),
            ("AWS_ENDPOINT_URL", &[SECRET[2], ("AWS_ENDPOINT_URL", "hush")][..]),
            ("AWS_ENDPOINT_URL", &[SECRET[2], ("AWS_ENDPOINT_URL", "http://u:hush@h")][..]),
            ("AWS_ENDPOINT_URL", &[SECRET[2], ("AWS_ENDPOINT_URL", "ftp://hush")][..]),
            ("S3_STYLE", &[("S3_BUCKET", "hush hush"), ("S3_STYLE", "virtual")][..]),
            ("S3_STYLE", &[("S3_BUCKET", "hush/"), ("S3_STYLE", "virtual")][..]),
            (
                "S3_STYLE",
                &[SECRET[2], ("S3_STYLE", "virtual"), ("AWS_ENDPOINT_URL", "http://127.0.0.1")][..],
            ),
        ] {
            let error = of(variables, Sign::Host).unwrap_err();
            assert!(matches!(&error, LoadError::Settings(found) if found[0].name == name));
            assert!(!format!("{error} {error:?}").contains("hush"));
        }
    }
}

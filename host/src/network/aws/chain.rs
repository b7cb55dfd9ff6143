//! The places where credentials are looked for, in the order of Amazon's tools. The first place that
//! is set up decides: what fails there is an error, since another place would be another identity.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use jiff::Timestamp;
use reqsign_aws_core::{
    AssumeRoleWithWebIdentityCredentialProvider as WebIdentity, Credential,
    ECSCredentialProvider as Container, IMDSv2CredentialProvider as Instance,
};
use reqsign_core::{Context, Error, ErrorKind, ProvideCredential};

use super::outside::{Files, Last, Requests, Variables, on_a_thread, variable};
use super::profile::{Profile, Way, region};
use super::source::{Find, Found, Until};
use super::{Lack, program};
use crate::grants::{CREDENTIALS, Keys};
use crate::text::foreign;

/// How long one request may take. Where there is a metadata service it is near; elsewhere nobody
/// answers.
const NEAR: Duration = Duration::from_secs(1);
const IN_CONTAINER: Duration = Duration::from_secs(5);
const FAR: Duration = Duration::from_secs(15);

const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

/// The hosts that serve credentials of containers without TLS; all others need it.
const PLAIN: [&str; 6] =
    ["localhost", "127.0.0.1", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::network) struct Chain {
    pub(super) profile: Option<String>,
    pub(super) authorities: Vec<PathBuf>,
    /// For what is not near.
    pub(super) proxy: Option<String>,
}

type Answer = Result<Option<Found>, Lack>;

impl Find for Chain {
    async fn find(&self) -> Result<Found, Lack> {
        if self.profile.is_none()
            && let Some(keys) = of_variables()?
        {
            return found(keys, Until::Ever);
        }
        let named = self.profile.clone();
        let profile = on_a_thread(move || Profile::read(named.as_deref())).await;
        let profile = profile.map_err(|error| Lack::passing(error.to_string()))??;
        if let Some(found) = self.of_profile(&profile).await? {
            return Ok(found);
        }
        if self.profile.is_some() {
            let text = format!("found no credentials of AWS: the {} has none", profile.shown());
            return Err(Lack::lasting(text));
        }
        if let Some(found) = self.of_web_identity().await? {
            return Ok(found);
        }
        if let Some(found) = self.of_container().await? {
            return Ok(found);
        }
        self.of_instance(&profile).await
    }
}

impl Chain {
    async fn of_profile(&self, profile: &Profile) -> Answer {
        match profile.way()? {
            None => Ok(None),
            Some(Way::Keys(keys)) => found(keys, Until::Replaced).map(Some),
            Some(Way::Program(line)) => {
                let place = format!("`credential_process` of the {}", profile.shown());
                let (keys, until) = program::ask(&line).await.map_err(|lack| lack.of(&place))?;
                found_at(&place, keys, until)
            }
            Some(Way::WebIdentity { role, token_file, session }) => {
                let place = format!("`web_identity_token_file` of the {}", profile.shown());
                let identity = WebIdentity::with_config(role, token_file);
                self.ask_sts(&place, identity, session).await
            }
        }
    }

    async fn of_web_identity(&self) -> Answer {
        if variable(TOKEN_FILE).is_none() {
            return Ok(None);
        }
        if variable("AWS_ROLE_ARN").is_none() {
            return Err(Lack::lasting(format!("{TOKEN_FILE} is set, and AWS_ROLE_ARN is not")));
        }
        let session = variable("AWS_ROLE_SESSION_NAME");
        self.ask_sts(&format!("the web identity of {TOKEN_FILE}"), WebIdentity::new(), session)
            .await
    }

    async fn ask_sts(&self, place: &str, identity: WebIdentity, session: Option<String>) -> Answer {
        let session = session.unwrap_or_else(|| "artifact-store".into());
        let mut identity = identity.with_role_session_name(session);
        let profile = self.profile.clone();
        let region = on_a_thread(move || region(profile.as_deref())).await.ok().flatten();
        if let Some(region) = region {
            identity = identity.with_region(region).with_regional_sts_endpoint();
        }
        let endpoint = variable("AWS_ENDPOINT_URL_STS").or_else(|| variable("AWS_ENDPOINT_URL"));
        let requests = Requests::new(FAR, &self.authorities);
        let requests = requests.by_proxy(self.proxy.as_deref()).to(endpoint);
        ask(place, identity, &Arc::new(requests)).await
    }

    async fn of_container(&self) -> Answer {
        let container = Container::new();
        let (name, container) = match (variable(RELATIVE), variable(FULL)) {
            (Some(path), _) => (RELATIVE, container.with_relative_uri(path)),
            (None, Some(uri)) if is_safe(&uri) => (FULL, container.with_endpoint(uri)),
            (None, Some(_)) => {
                let text = "needs `https`, unless it leads to this machine or to the container's own \
                            service";
                return Err(Lack::lasting(format!("{FULL} {text}")));
            }
            (None, None) => return Ok(None),
        };
        let requests = Arc::new(Requests::new(IN_CONTAINER, &self.authorities));
        ask(&format!("the endpoint of {name}"), container, &requests).await
    }

    async fn of_instance(&self, profile: &Profile) -> Result<Found, Lack> {
        let nothing = |instance: &str| {
            Lack::nothing(format!(
                "found no credentials of AWS: neither {} and {}, nor the {}, nor {TOKEN_FILE}, nor \
                 {RELATIVE} or {FULL} has any, and {instance}",
                CREDENTIALS[0],
                CREDENTIALS[1],
                profile.shown()
            ))
        };
        let disabled = "AWS_EC2_METADATA_DISABLED";
        if variable(disabled).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(nothing(&format!("{disabled} is set")));
        }
        let endpoint = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| {
            let mode = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").unwrap_or_default();
            match mode.eq_ignore_ascii_case("ipv6") {
                true => "http://[fd00:ec2::254]".into(),
                false => "http://169.254.169.254".into(),
            }
        });
        let place = format!("the metadata service at {}", foreign(&endpoint));
        let instance = Instance::new().with_endpoint(endpoint.trim_end_matches('/'));
        let requests = Arc::new(Requests::new(NEAR, &self.authorities));
        match ask(&place, instance, &requests).await {
            Ok(Some(found)) => Ok(found),
            Err(lack) if requests.is_answered() => Err(lack),
            _ => Err(nothing(&format!("{place} does not answer"))),
        }
    }
}

/// Asks one place, which is set up.
async fn ask(
    place: &str,
    provider: impl ProvideCredential<Credential = Credential>,
    requests: &Arc<Requests>,
) -> Answer {
    let context = Context::new().with_env(Variables).with_file_read(Files);
    let context = context.with_http_send(Arc::clone(requests));
    let credential = provider.provide_credential(&context).await.map_err(|error| {
        let (text, is_passing) = match requests.last() {
            // The causes repeat what was read: it may be a secret.
            Last::Accepted => (error.to_string(), false),
            Last::Busy => (words(&error), true),
            Last::Long => (words(&error), false),
            Last::Refused | Last::Unanswered => {
                (words(&error), error.is_retryable() || error.kind() == ErrorKind::RateLimited)
            }
        };
        let text = foreign(&text);
        let lack = if is_passing { Lack::passing(text) } else { Lack::lasting(text) };
        lack.of(place)
    })?;
    let Some(credential) = credential else { return Ok(None) };
    let until = match credential.expires_in {
        Some(end) => Until::Expires(end_of(end.as_second())),
        None => Until::Ever,
    };
    let mut keys = Keys::new(credential.access_key_id, credential.secret_access_key);
    if let Some(token) = credential.session_token {
        keys.set_token(token);
    }
    found_at(place, keys, until)
}

/// An error and its causes; the library says some of them twice.
fn words(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn StdError), |&error| error.source());
    let mut words: Vec<_> = causes.map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}

/// The library has its own type for a point in time.
fn end_of(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

fn found_at(place: &str, keys: Keys, until: Until) -> Answer {
    found(keys, until).map(Some).map_err(|lack| Lack::lasting(format!("{place}: {}", lack.text)))
}

fn found(keys: Keys, until: Until) -> Result<Found, Lack> {
    match keys.problem() {
        Some((name, why)) => {
            Err(Lack::lasting(format!("cannot use the credentials: {name}: {why}")))
        }
        None => Ok(Found { keys: Arc::new(keys), until }),
    }
}

fn of_variables() -> Result<Option<Keys>, Lack> {
    let lacks = |name, other| Err(Lack::lasting(format!("{other} is set, and {name} is not")));
    match CREDENTIALS.map(variable) {
        [Some(id), Some(secret), token] => {
            let mut keys = Keys::new(id, secret);
            keys.set_token(token.unwrap_or_default());
            Ok(Some(keys))
        }
        [Some(_), None, _] => lacks(CREDENTIALS[1], CREDENTIALS[0]),
        [None, Some(_), _] => lacks(CREDENTIALS[0], CREDENTIALS[1]),
        [None, None, _] => Ok(None),
    }
}

/// Whether the credentials may come from there: not in plain text over a network.
fn is_safe(uri: &str) -> bool {
    let Ok(uri) = uri.parse::<Uri>() else { return false };
    let is_plain = |host| PLAIN.contains(&host);
    uri.scheme() == Some(&Scheme::HTTPS)
        || (uri.scheme() == Some(&Scheme::HTTP) && uri.host().is_some_and(is_plain))
}

//! Credentials that the host finds where Amazon's own tools do, and renews.
//!
//! [`chain`] has the order of the places; [`profile`] reads the shared files, [`program`] runs what
//! they name, and [`outside`] is how the library that asks the other places reaches them. [`source`]
//! keeps what was found.

mod chain;
mod outside;
mod profile;
mod program;
mod source;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use crate::error::{ErrorKind, LoadError};
use crate::grants::{Grants, Keys, Kind, S3Credentials};
use crate::text::span;
use chain::Chain;
use source::Source;

pub(crate) use profile::region;

/// Why there are no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lack {
    text: String,
    /// Whether there may be some later without a repair.
    is_passing: bool,
    /// Whether it only is that no place has any.
    is_nothing: bool,
}

impl Lack {
    fn lasting(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_passing: false, is_nothing: false }
    }

    fn passing(text: impl Into<String>) -> Self {
        Self { is_passing: true, ..Self::lasting(text) }
    }

    /// The place that lacks them.
    fn of(self, place: &str) -> Self {
        Self { text: format!("no credentials of AWS from {place}: {}", self.text), ..self }
    }

    fn nothing(text: impl Into<String>) -> Self {
        Self { is_nothing: true, ..Self::lasting(text) }
    }
}

impl From<Lack> for ErrorKind {
    fn from(lack: Lack) -> Self {
        match lack.is_passing {
            true => Self::Unavailable(lack.text),
            false => LoadError::Credentials(lack.text).into(),
        }
    }
}

/// What signs the requests to one bucket.
#[derive(Clone, Debug)]
pub(super) enum Keyring {
    Fixed(Arc<Keys>),
    Aws(Arc<Source<Chain>>),
}

impl Keyring {
    /// # Errors
    ///
    /// [`LoadError::Network`] if the credentials cannot be sent.
    pub(super) fn new(credentials: &S3Credentials, grants: &Grants) -> Result<Self, LoadError> {
        match &credentials.0 {
            Kind::Keys(keys) => match keys.problem() {
                Some((_, why)) => {
                    Err(LoadError::Network { what: "the credentials".into(), source: why.into() })
                }
                None => Ok(Self::Fixed(Arc::new(keys.clone()))),
            },
            Kind::Aws { profile } => Ok(Self::Aws(shared(Chain {
                profile: profile.clone(),
                authorities: grants.authorities.clone(),
                proxy: grants.proxy.clone(),
            }))),
        }
    }

    /// The keys of this moment. Whoever has to wait for them does so for at most `limit`.
    pub(super) async fn keys(&self, limit: Duration) -> Result<Arc<Keys>, Lack> {
        match self {
            Self::Fixed(keys) => Ok(Arc::clone(keys)),
            Self::Aws(source) => timeout(limit, source.keys()).await.unwrap_or_else(|_| {
                let limit = span(limit);
                Err(Lack::passing(format!("finding credentials of AWS takes longer than {limit}")))
            }),
        }
    }
}

/// All stores of this process with the same places have one source, so that each is asked once.
fn shared(chain: Chain) -> Arc<Source<Chain>> {
    static SOURCES: Mutex<Option<HashMap<Chain, Arc<Source<Chain>>>>> = Mutex::new(None);
    let mut sources = SOURCES.lock().unwrap_or_else(PoisonError::into_inner);
    let source = sources.get_or_insert_default().entry(chain.clone());
    Arc::clone(source.or_insert_with(|| Arc::new(Source::new(chain))))
}

//! Whether a store answers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use artifact_store::{ArtifactStore, ErrorKind, Interface, ReadOptions};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long whoever asks waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// The key of no artifact, most likely.
const ABSENT: &str = ".artifact-store healthz";

/// How the store answered, or the case of its error.
type Answer = Result<(), &'static str>;

/// Asks one store, once at a time: whoever comes meanwhile gets the same answer.
pub(super) struct Probe {
    store: ArtifactStore,
    asked: Mutex<Option<watch::Receiver<Option<Answer>>>>,
}

impl Probe {
    pub(super) fn new(store: ArtifactStore) -> Self {
        Self { store, asked: Mutex::new(None) }
    }

    pub(super) async fn ask(&self) -> Result<(), String> {
        let mut answer = self.begin();
        match timeout(PATIENCE, answer.wait_for(Option::is_some)).await {
            Ok(Ok(answer)) => answer.unwrap_or(Ok(())).map_err(str::to_owned),
            Ok(Err(_)) => Err("it could not be asked".into()),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    /// The answer to the question that is in flight, or to a new one.
    fn begin(&self) -> watch::Receiver<Option<Answer>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        // Without its sender it will never have an answer.
        let in_flight = |it: &watch::Receiver<Option<Answer>>| {
            it.borrow().is_none() && it.has_changed().is_ok()
        };
        if let Some(asked) = asked.as_ref().filter(|it| in_flight(it)) {
            return asked.clone();
        }
        let (tell, answer) = watch::channel(None);
        let store = self.store.clone();
        // It goes on when nobody waits any more, so that there is but one.
        tokio::spawn(async move { tell.send(Some(ask(&store).await)) });
        asked.insert(answer).clone()
    }
}

async fn ask(store: &ArtifactStore) -> Answer {
    let asked = match store.offers(Interface::Inventory) {
        true => store.stat(ABSENT).await.map(drop),
        false => store.read(ABSENT, ReadOptions::default()).await.map(drop),
    };
    match asked {
        Ok(()) => is_there(store).await,
        Err(error) => match error.kind() {
            ErrorKind::NotFound => is_there(store).await,
            // A store that is busy answers others.
            ErrorKind::Busy { .. } => Ok(()),
            kind => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a store does not answer"
                );
                Err(kind.name())
            }
        },
    }
}

/// What is not there has no artifacts, either: only its directory can tell.
async fn is_there(store: &ArtifactStore) -> Answer {
    let backend = store.backend();
    let removed = tokio::task::spawn_blocking(move || backend.removed_directory()).await;
    match removed {
        Ok(Some(_)) => Err("its directory was removed"),
        // Without an answer nothing is known.
        Ok(None) | Err(_) => Ok(()),
    }
}

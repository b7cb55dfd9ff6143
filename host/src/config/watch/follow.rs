//! Swapping in the backend that the files name, after it has passed its trial.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::Shared;
use super::changes::RECHECK;
use super::look::Looks;
use super::origin::{Found, Origin, Seen};
use crate::budget::in_background;
use crate::error::{Error, ErrorKind, LoadError};
use crate::serving::Serving;
use crate::telemetry;
use crate::text::chain;
use crate::{Backend, LoadedBackend, SwapOptions};

/// The longest pause before a refused backend is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// The same if a trial uses all the resources that loading may use.
const COSTLY: Duration = Duration::from_secs(10 * 60);

pub(super) struct Watching {
    place: Origin,
    looks: Looks<Seen>,
    options: SwapOptions,
    serving: Arc<Serving>,
    /// What the watch last opened or swapped in.
    served: Found,
    refused: Option<Refused>,
    /// Shared with a running check of the directories.
    looking: Arc<()>,
    shared: Arc<Shared>,
}

/// What could not be opened.
struct Refused {
    found: Found,
    /// The pause until it is tried again; `None` if trying again cannot help.
    pause: Option<Duration>,
    since: Instant,
}

impl Watching {
    pub(super) fn new(
        place: Origin,
        looks: Looks<Seen>,
        options: SwapOptions,
        serving: Arc<Serving>,
        served: Found,
        shared: Arc<Shared>,
    ) -> Self {
        let (refused, looking) = (None, Arc::default());
        Self { place, looks, options, serving, served, refused, looking, shared }
    }

    pub(super) async fn run(mut self) {
        let changes = Arc::clone(&self.looks.changes);
        loop {
            match self.place.look(&mut self.looks).await {
                Ok((found, backend)) => self.consider(found, backend).await,
                Err(error) => self.refuse(error),
            }
            self.look_at_directories();
            self.shared.state().status.checks += 1;
            changes.wait().await;
        }
    }

    /// Checks in the background whether the paths of the directories still name the open ones. If a
    /// check hangs, no second one is started.
    fn look_at_directories(&self) {
        if Arc::strong_count(&self.looking) > 1 {
            return;
        }
        let (backend, looking) = (self.serving.backend(), Arc::clone(&self.looking));
        in_background(move || {
            backend.pool.preopens().look();
            drop(looking);
        });
    }

    async fn consider(&mut self, found: Found, backend: Backend) {
        if found == self.served {
            self.refused = None;
            if self.shared.state().status.last_error.take().is_some() {
                let store = &self.place.store;
                telemetry::in_step(store, true);
                info!(store = &**store, "the configuration names the backend that serves, again");
            }
            return;
        }
        let refused = self.refused.take_if(|refused| {
            refused.found != found || !refused.found.is_beside(&found) || refused.is_due()
        });
        if self.refused.is_some() {
            return;
        }
        match backend.load_successor().await {
            Ok(backend) => {
                // A file that was being written while it was tried is tried again when it is
                // complete.
                match self.place.look(&mut self.looks).await {
                    Ok((still, _)) if still == found => self.serve(found, backend),
                    _ => self.looks.changes.told.notify_one(),
                }
            }
            Err(error) => {
                let before = refused.filter(|refused| refused.found == found);
                let pause = pause(error.kind(), before.and_then(|refused| refused.pause));
                self.refuse(error);
                self.refused = Some(Refused { found, pause, since: Instant::now() });
            }
        }
    }

    fn serve(&mut self, found: Found, backend: LoadedBackend) {
        let mut state = self.shared.state();
        if state.is_over {
            return;
        }
        self.serving.swap(backend, self.options);
        state.status.swaps += 1;
        state.status.last_error = None;
        drop(state);
        self.served = found;
        telemetry::reloaded(&self.place.store, true);
        let (store, file) = (&*self.place.store, self.place.file.display());
        info!(store, file = %file, "the store follows its configuration");
    }

    /// The old backend goes on serving.
    fn refuse(&self, error: Error) {
        telemetry::reloaded(&self.place.store, false);
        let last = self.shared.state().status.last_error.replace(Arc::new(error));
        let state = self.shared.state();
        let Some(error) = &state.status.last_error else { return };
        let cause = chain(error);
        // Each reason is reported once, however often the files are checked.
        if last.is_none_or(|last| chain(&*last) != cause) {
            let store = &*self.place.store;
            warn!(store, cause, "the old backend goes on to serve: the new one was refused");
        }
    }
}

impl Refused {
    fn is_due(&self) -> bool {
        self.pause.is_some_and(|pause| self.since.elapsed() >= pause)
    }
}

/// How long a backend that was refused for this reason is left alone, after a pause of `before`.
fn pause(why: &ErrorKind, before: Option<Duration>) -> Option<Duration> {
    match why {
        // The machine may have been busy, or short of memory.
        ErrorKind::Load(LoadError::Limit { name: "time", .. } | LoadError::Compiler(_)) => {
            Some(COSTLY)
        }
        // The same component would be refused again.
        ErrorKind::Load(
            LoadError::NotAComponent(_)
            | LoadError::MissingExport { .. }
            | LoadError::WrongInterface { .. }
            | LoadError::UnexpectedImports(_)
            | LoadError::Invalid(_)
            | LoadError::Limit { .. }
            | LoadError::WrongDigest { .. },
        ) => None,
        kind if kind.is_fault() => Some(COSTLY),
        // A directory may exist by then.
        _ => Some(before.map_or(RECHECK, |before| (before * 2).min(RETRY))),
    }
}

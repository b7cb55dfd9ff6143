//! What a backend reads from its environment, asked of the backend itself.

use std::sync::Arc;

use super::Backend;
use super::load::Purpose;
use crate::bindings::settings as contract;
use crate::budget::Deadline;
use crate::error::{Error, ErrorKind, Operation, Result, SettingProblem};
use crate::grants::Grants;
use crate::instance::{Pool, Worker};
use crate::text::{foreign, foreign_name};

/// How many settings or problems of a backend are looked at.
const MOST: usize = 256;

/// How many bytes the texts of problems have together before further ones are left out: all problems
/// are one message.
const ROOM: usize = 16 << 10;

/// One environment variable that a backend reads, as the backend describes it.
///
/// The texts come from the component. They are shortened, and have no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The name of the variable.
    pub name: String,
    /// What the variable is for and which values it takes.
    pub description: String,
    /// Whether the backend can do nothing without it.
    pub is_required: bool,
    /// Whether its value is a secret.
    pub is_secret: bool,
    /// What holds if the variable is not set; `None` if no single value means the same.
    pub default: Option<String>,
}

impl Backend {
    /// What the component reads from its environment; `None` if it does not export the interface
    /// `settings`.
    ///
    /// The component is loaded and asked within the limits of this backend, and granted nothing:
    /// neither its directories nor its variables.
    ///
    /// # Errors
    ///
    /// Those of opening a store, but for what is wrong with grants.
    ///
    /// ```
    /// use artifact_store::Backend;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let settings = Backend::fs("artifacts").settings().await?.unwrap_or_default();
    /// assert_eq!(settings[0].name, "ARTIFACT_STORE_SYNC");
    /// assert_eq!(settings[0].default.as_deref(), Some("on"));
    /// # Ok::<(), artifact_store::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn settings(&self) -> Result<Option<Vec<Setting>>> {
        let mut bare = self.clone().grants(Grants::none()).sweep_older_than(None);
        // Each layer has settings of its own.
        bare.layers.clear();
        let loaded = bare.load_for(Purpose::Description).await?.0;
        let clock = loaded.pool.clock();
        let asked = Arc::clone(&clock);
        // It may compute all its time, for which the caller's task must not be blocked.
        let asking = Worker::spawn(clock, async move || described(&loaded.pool, &asked).await);
        asking.await.flatten().map_err(|kind| Error::new(kind, Operation::Open, None, &self.name))
    }
}

async fn described(
    pool: &Pool,
    deadline: &Arc<Deadline>,
) -> Result<Option<Vec<Setting>>, ErrorKind> {
    let answer = pool.call(deadline, None, async |accessor, exports| {
        let Some(settings) = &exports.settings else { return Ok(Ok(None)) };
        Ok(Ok(Some(settings.call_describe_settings(accessor).await?)))
    });
    let settings = answer.await?;
    Ok(settings.map(|settings| settings.into_iter().take(MOST).map(Setting::from).collect()))
}

/// Asks a backend that has settings whether those that it was granted make sense.
///
/// # Errors
///
/// What the backend says is wrong; its own fault, such as a trap.
pub(super) async fn check(
    pool: &Pool,
    deadline: &Arc<Deadline>,
) -> Result<Vec<SettingProblem>, ErrorKind> {
    let answer = pool.call(deadline, None, async |accessor, exports| {
        let Some(settings) = &exports.settings else { return Ok(Ok(Ok(()))) };
        Ok(Ok(settings.call_check_settings(accessor).await?))
    });
    let Err(problems) = answer.await? else { return Ok(Vec::new()) };
    if problems.is_empty() {
        let text = "its settings are wrong, and it does not say which";
        return Err(ErrorKind::Protocol(text.into()));
    }
    let mut told = 0;
    let problems = problems.into_iter().take(MOST).map(SettingProblem::from);
    let has_room = |problem: &SettingProblem| {
        let before = told;
        told += problem.name.len() + problem.reason.len();
        before < ROOM
    };
    Ok(problems.take_while(has_room).collect())
}

impl From<contract::Setting> for Setting {
    fn from(setting: contract::Setting) -> Self {
        let contract::Setting { name, description, required, secret, default } = setting;
        Self {
            name: foreign_name(&name),
            description: foreign(&description),
            is_required: required,
            is_secret: secret,
            default: default.as_deref().map(foreign),
        }
    }
}

impl From<contract::Problem> for SettingProblem {
    fn from(problem: contract::Problem) -> Self {
        Self::new(&foreign_name(&problem.name), foreign(&problem.reason))
    }
}

//! A backend in other environments than its own, asked for its settings.

use std::collections::BTreeMap;

use super::outcome::Stop;
use super::subject::{Answer, Subject, Verdict};
use crate::backend::Purpose;
use crate::bindings::settings::{Guest, Problem, Setting};
use crate::budget::on_this_thread;
use crate::instance::Failed;
use crate::wasi::HostState;
use crate::{ErrorKind, Grants};

/// Variables and their values.
pub(super) type Environment = BTreeMap<String, String>;

impl Subject {
    /// The variables that the backend was granted.
    pub(super) fn environment(&self) -> Environment {
        self.origin.outermost().grants.env.iter().cloned().collect()
    }

    /// What the backend describes in an environment, without any other grant.
    pub(super) fn describe_settings(&self, environment: &Environment) -> Verdict<Vec<Setting>> {
        let described = self.ask(environment, async |accessor, settings| {
            settings.call_describe_settings(accessor).await
        });
        self.note(&format!("describe-settings(){}", shown(environment)));
        described.map_err(|kind| self.no_answer(&kind))
    }

    /// What the backend finds wrong with an environment, without any other grant.
    pub(super) fn check_settings(
        &self,
        environment: &Environment,
    ) -> Verdict<Result<(), Vec<Problem>>> {
        let checked = self.ask(environment, async |accessor, settings| {
            settings.call_check_settings(accessor).await
        });
        self.note(&format!("check-settings(){}", shown(environment)));
        checked.map_err(|kind| self.no_answer(&kind))
    }

    fn ask<R>(
        &self,
        environment: &Environment,
        call: impl AsyncFnOnce(&wasmtime::component::Accessor<HostState>, &Guest) -> wasmtime::Result<R>,
    ) -> Answer<R> {
        let grants =
            environment.iter().fold(Grants::none(), |all, (name, value)| all.env(name, value));
        let backend = self.origin.outermost().grants(grants);
        let loaded = on_this_thread(backend.load_for(Purpose::Description));
        let pool = &loaded.map_err(crate::Error::into_kind)?.0.pool;
        on_this_thread(pool.call(&pool.clock(), None, async |accessor, exports| {
            let missing = || Failed::Protocol("the interface is not there".into());
            let settings = exports.settings.as_ref().ok_or_else(missing)?;
            Ok(Ok(call(accessor, settings).await?))
        }))
    }

    fn no_answer(&self, kind: &ErrorKind) -> Stop {
        self.fail("an answer", kind.to_string())
    }
}

fn shown(environment: &Environment) -> String {
    match environment.is_empty() {
        true => " without any variable".into(),
        false => format!(" with {environment:?}"),
    }
}

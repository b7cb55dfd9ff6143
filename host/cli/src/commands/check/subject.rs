//! What is checked, and where each check has its store.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use artifact_store::Backend;
use artifact_store::conformance::Target;

use super::FreshEnv;
use crate::failure::Usage;
use crate::store::StoreArguments;

/// What is checked.
pub struct Subject {
    pub backend: Backend,
    pub target: Target,
}

impl Subject {
    /// The component in `file` with the grants of the command line or of the named store, or that
    /// store's own component.
    pub async fn new(
        store: &StoreArguments,
        file: Option<&Path>,
        fresh: Option<&FreshEnv>,
    ) -> Result<Self> {
        let of_file = |file: &Path| {
            let (dir, backend) = (Some(PathBuf::from(".")), file.to_owned());
            let described = StoreArguments { dir, backend, config: None, ..store.clone() };
            described.backend(true)
        };
        let backend = match (store.configured().await?, file) {
            (Some(configured), None) => configured,
            (Some(configured), Some(file)) => configured.with_component(&of_file(file)?),
            (None, Some(file)) => of_file(file)?,
            // Below a layer, the backend of --backend; by default the built-in one.
            (None, None) if store.has_component_layer() => of_file(&store.backend)?,
            (None, None) => {
                let text = "`check` needs a component file, a layer (--layer FILE), or a store of --config FILE";
                return Err(Usage(text.into()).into());
            }
        };
        if fresh.is_none() && backend.s3_location().is_none() && is_bucket(&backend) {
            let text = "each check needs an empty store, and a bucket is only one: give each a \
                        prefix of its own with --fresh-env S3_PREFIX, or check the built-in `s3`";
            return Err(Usage(text.into()).into());
        }
        let target = target(store, &backend, fresh)?;
        Ok(Self { backend, target })
    }

    /// Whether it keeps its artifacts in a directory that it is given. A layer has none.
    pub fn is_on_disk(&self, fresh: Option<&FreshEnv>) -> bool {
        fresh.is_none() && self.backend.s3_location().is_none() && !self.target.is_layer()
    }
}

/// Whether this is a copy of the built-in component for buckets.
fn is_bucket(backend: &Backend) -> bool {
    let digest = |backend: &Backend| backend.inspect().map(|inspection| inspection.digest);
    let s3 = Backend::from_bytes("s3", Backend::s3_component());
    digest(backend).is_ok_and(|seen| digest(&s3).is_ok_and(|s3| s3 == seen))
}

/// What the report calls it. A variable of a layer may be a secret, and is left out.
pub fn name(store: &StoreArguments, file: Option<&Path>) -> String {
    if store.config.is_some() {
        let named = file.map(|file| file.display().to_string());
        return named.or_else(|| store.store.clone()).unwrap_or_else(|| "the store".into());
    }
    let backend = file.unwrap_or(&store.backend).display().to_string();
    let layers = store.component_layers().map(|file| file.display().to_string());
    layers.chain([backend]).collect::<Vec<_>>().join(" over ")
}

/// Where the directories of the checks are made, if the user says that. What the environment says
/// gives way to a file of stores.
pub fn below(store: &StoreArguments) -> Option<&Path> {
    store.dir.as_deref().filter(|_| store.config.is_none())
}

/// A directory of its own for each check, in the place of all that the backend may write to.
fn target(store: &StoreArguments, backend: &Backend, fresh: Option<&FreshEnv>) -> Result<Target> {
    let mut target = Target::of(backend);
    if let Some(FreshEnv { name, form }) = fresh {
        target = target.fresh_env(name, form);
    }
    let Some(dir) = below(store) else { return Ok(target) };
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot create the directory `{}`", dir.display()))?;
    Ok(target.below(dir))
}

//! A store that is named by where it is, without a configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use artifact_store::{ArtifactStore, Backend, S3Credentials, Sign};

use super::opening::{Absent, FS, Made, S3};
use super::{PREFIX_VARIABLE, Signer, StoreArguments};
use crate::failure::{self, Usage};
use crate::shown;

/// A directory or a part of a bucket.
#[derive(Debug, PartialEq)]
pub enum Place {
    Dir(PathBuf),
    Bucket { bucket: String, prefix: String },
}

impl Place {
    /// What a name says that begins with `dir:` or `s3:`. Every other one is a store's in the
    /// configuration, so a store that is called like a place has no name here.
    pub fn of(name: &str) -> Result<Option<Self>, Usage> {
        if let Some(path) = name.strip_prefix("dir:") {
            let wrong = "a place in a directory is `dir:PATH`, such as `dir:/srv/artifacts`";
            return match path {
                "" => Err(Usage(wrong.into())),
                path => Ok(Some(Self::Dir(at_home(path)))),
            };
        }
        let Some(place) = name.strip_prefix("s3:") else { return Ok(None) };
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            let text = "a place in a bucket is `s3:BUCKET` or `s3:BUCKET/PREFIX`, without `//`";
            return Err(Usage(text.into()));
        }
        let prefix = prefix.trim_end_matches('/');
        Ok(Some(Self::Bucket { bucket: bucket.into(), prefix: prefix.into() }))
    }
}

/// A shell leaves a `~` behind a colon alone. `./~` is a directory of that name.
fn at_home(path: &str) -> PathBuf {
    let Some(rest) = path.strip_prefix('~') else { return path.into() };
    let rest = match rest.strip_prefix('/') {
        Some(rest) => rest,
        None if rest.is_empty() => "",
        None => return path.into(),
    };
    std::env::home_dir().map_or_else(|| path.into(), |home| home.join(rest))
}

/// What a store is opened for.
#[derive(Clone, Copy, PartialEq)]
pub enum Purpose {
    /// Nothing is changed, not even what a crashed writer left.
    Read,
    /// A directory that is absent is made.
    Write,
    /// A dry run of a write. An absent directory is an empty store then.
    Rehearse,
}

/// A store, and what goes with it.
pub struct Opened {
    pub store: ArtifactStore,
    pub made: Made,
}

impl StoreArguments {
    /// Opens the store that these arguments mean.
    pub async fn open_for(&self, purpose: Purpose) -> Result<Opened> {
        let opened = |store| Opened { store, made: Made::default() };
        match purpose {
            Purpose::Read => self.open_unswept().await.map(opened),
            Purpose::Write => {
                let (store, made) = self.create().await?;
                Ok(Opened { store, made })
            }
            Purpose::Rehearse => match self.open_unswept().await {
                Err(error) if failure::find::<Absent>(&error).is_some() => {
                    let dir = tempfile::tempdir()?;
                    let empty = self.at("", Place::Dir(dir.path().to_owned()));
                    let store = empty.open_unswept().await?;
                    Ok(Opened { store, made: Made::stand_in(dir) })
                }
                outcome => outcome.map(opened),
            },
        }
    }

    /// What a message calls the store.
    pub fn shown(&self) -> String {
        match (&self.store, self.local_dir()) {
            (Some(name), _) => name.clone(),
            (None, Some(dir)) => format!("dir:{}", dir.display()),
            (None, None) => self.backend.display().to_string(),
        }
    }

    /// The directory that the command line names for the store, or does by default.
    pub fn local_dir(&self) -> Option<&Path> {
        let is_configured = self.config.is_some() && !self.is_place;
        (!is_configured && !self.is(S3)).then(|| self.dir())
    }

    /// The directories in which the backend keeps artifacts, or may.
    pub async fn own_dirs(&self) -> Result<Vec<PathBuf>> {
        if self.config.is_none() || self.is_place {
            return Ok(self.local_dir().map(Path::to_owned).into_iter().collect());
        }
        let configuration = self.configuration().await?;
        let store = configuration.store(self.name_in(&configuration)?)?;
        Ok(store.writable_directories().map(Path::to_owned).collect())
    }

    /// The arguments of the store of this name: a place, or one of the configuration.
    pub fn of(&self, name: &str) -> Result<Self> {
        if let Some(place) = Place::of(name)? {
            return Ok(self.at(name, place));
        }
        if self.config.is_none() {
            let shown = shown::name(name);
            let text = format!(
                "`{shown}` is no place (`dir:PATH`, `s3:BUCKET/PREFIX`), and there is no --config FILE \
                 that names stores"
            );
            return Err(Usage(text).into());
        }
        Ok(Self { store: Some(name.into()), is_place: false, ..self.clone() })
    }

    /// The same options for the store at a place. What the name of a bucket leaves out comes from
    /// the variables, as for `--backend s3`.
    pub fn at(&self, name: &str, place: Place) -> Self {
        let mut there = Self { store: Some(name.into()), is_place: true, ..self.clone() };
        match place {
            Place::Dir(dir) => {
                there.backend = FS.into();
                there.dir = Some(dir);
            }
            Place::Bucket { bucket, prefix } => {
                there.backend = S3.into();
                there.dir = None;
                // The last one counts; an empty prefix hides that of the environment.
                there.env.push(format!("S3_BUCKET={bucket}"));
                there.env.push(format!("{PREFIX_VARIABLE}={prefix}"));
            }
        }
        there
    }

    /// The backend `s3` with these variables.
    pub(super) fn bucket(
        &self,
        mut variables: BTreeMap<&str, String>,
    ) -> artifact_store::Result<Backend> {
        let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
        let has = |name: &str| variables.get(name).is_some_and(|value| !value.trim().is_empty());
        match self.sign {
            Signer::Backend => Backend::s3(variables, Sign::Backend),
            // One without the others is a mistake.
            Signer::Host if keys.into_iter().any(has) => Backend::s3(variables, Sign::Host),
            Signer::Host => Backend::s3_with(variables, S3Credentials::aws()),
            Signer::None => {
                keys.iter().for_each(|name| drop(variables.remove(name)));
                Backend::s3(variables, Sign::Host)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_begins_with_its_kind() {
        let bucket = |bucket: &str, prefix: &str| {
            Some(Place::Bucket { bucket: bucket.into(), prefix: prefix.into() })
        };
        for (name, place) in [
            ("releases", None),
            ("./dir:x", None),
            ("dir", None),
            ("dir:a/b", Some(Place::Dir("a/b".into()))),
            ("dir:s3:b", Some(Place::Dir("s3:b".into()))),
            ("dir:~x", Some(Place::Dir("~x".into()))),
            ("s3:b", bucket("b", "")),
            ("s3:b/", bucket("b", "")),
            ("s3:b/team/builds/", bucket("b", "team/builds")),
        ] {
            assert_eq!(Place::of(name).unwrap(), place, "{name}");
        }
        for name in ["dir:", "s3:", "s3://b/p", "s3:/p"] {
            assert!(Place::of(name).is_err(), "{name}");
        }
    }
}

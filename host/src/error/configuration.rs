use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::text::{alike, foreign, foreign_name};

/// Why a configuration names no store that can be opened. The messages contain no value of the
/// configuration.
///
/// ```
/// use artifact_store::{ConfigurationError, Configuration, ErrorKind};
///
/// # let dir = tempfile::tempdir()?;
/// let file = dir.path().join("stores.toml");
/// std::fs::write(&file, "[stores.main]\nbackend = \"fs\"\nlimits.memori = \"64MiB\"\n")?;
/// let error = Configuration::from_file(&file).unwrap_err();
/// match error.kind() {
///     ErrorKind::Configuration(ConfigurationError::Invalid { problems, .. }) => {
///         assert_eq!(problems[1].line, 3);
///         let text = "unknown key `stores.main.limits.memori`; did you mean `memory`?";
///         assert_eq!(problems[1].text, text);
///     }
///     kind => panic!("{kind:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`", file.display())]
    Read {
        /// The configuration file.
        file: PathBuf,
        /// Why it cannot be read.
        #[source]
        source: io::Error,
    },
    /// The content of the file is wrong.
    #[error("{}", Lines(file, problems))]
    Invalid {
        /// The configuration file.
        file: PathBuf,
        /// All problems, in the order of the file.
        problems: Vec<Problem>,
    },
    /// The file has no store of this name.
    #[error("there is no store `{}` in `{}`{}", foreign_name(name), file.display(), instead(name, stores))]
    NoStore {
        /// The configuration file.
        file: PathBuf,
        /// The name that was asked for.
        name: String,
        /// The names of its stores.
        stores: Vec<String>,
    },
    /// Secrets that the store passes to its backend are missing.
    #[error("{}", Handed(store, missing))]
    Variables {
        /// The store.
        store: String,
        /// All that are missing, in the order of their names in the file.
        missing: Vec<MissingVariable>,
    },
    /// The identities with which a store is decrypted are missing.
    #[error(
        "store `{}` is decrypted with the variable `{variable}` of this process, which is {state}",
        foreign_name(store)
    )]
    IdentityVariable {
        /// The store.
        store: String,
        /// The variable of this process that should hold them.
        variable: String,
        /// What is wrong with the variable.
        state: &'static str,
    },
    /// The secret of a key of access is missing.
    #[error(
        "the secret of the key `{}` is the variable `{variable}` of this process, which is {state}",
        foreign_name(key)
    )]
    KeyVariable {
        /// The name of the key.
        key: String,
        /// The variable of this process that should hold it.
        variable: String,
        /// What is wrong with the variable.
        state: &'static str,
    },
}

/// A variable of this process that a store hands on to its backend, and that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingVariable {
    /// Its name in this process.
    pub name: String,
    /// What is wrong with the variable.
    pub state: &'static str,
    /// The configuration file and the line that names the variable, from 1.
    pub location: Option<(PathBuf, usize)>,
}

impl fmt::Display for MissingVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the variable `{}` of this process, which is {}", self.name, self.state)
    }
}

/// A store and the variables that it lacks.
struct Handed<'a>(&'a str, &'a [MissingVariable]);

impl fmt::Display for Handed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(store, missing) = self;
        write!(f, "store `{}` hands on ", foreign_name(store))?;
        for (n, variable) in missing.iter().enumerate() {
            let and = if n == 0 { "" } else { ", and " };
            write!(f, "{and}{variable}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong with a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what is expected.
    pub text: String,
}

/// One line for each problem, in the format of compilers.
struct Lines<'a>(&'a Path, &'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(file, problems) = self;
        for (n, Problem { line, text }) in problems.iter().enumerate() {
            let end = if n == 0 { "" } else { "\n" };
            write!(f, "{end}{}:{line}: {text}", file.display())?;
        }
        Ok(())
    }
}

fn instead(name: &str, stores: &[String]) -> String {
    match alike(name, stores.iter().map(String::as_str)) {
        Some(store) => format!("; did you mean `{}`?", foreign_name(store)),
        None => format!("; there are `{}`", foreign(&stores.join("`, `"))),
    }
}

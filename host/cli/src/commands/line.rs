//! The lines of `--json` of the commands that say what came of each artifact.

use serde::Serialize;

/// One line, with the states and the summary of its command.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Line<'a, State, Summary> {
    Artifact {
        key: &'a str,
        size: Option<u64>,
        state: State,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A part of the source, or the whole store, could not be seen.
    Failure {
        error: String,
    },
    Summary(&'a Summary),
}

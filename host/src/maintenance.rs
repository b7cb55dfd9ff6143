//! What only a backend can know about its own storage, for operators.

use std::time::SystemTime;

use crate::bindings::maintenance;
use crate::info::{instant, time};
use crate::text::foreign;

/// One item of the store that is not a sound artifact.
///
/// ```
/// use artifact_store::FindingKind;
///
/// # let dir = tempfile::tempdir()?;
/// let store = artifact_store::blocking::ArtifactStore::open_dir(dir.path())?;
/// std::fs::write(dir.path().join("notes.txt"), "mine")?;
/// for finding in store.audit() {
///     let finding = finding?;
///     assert_eq!((finding.kind, finding.name.as_str()), (FindingKind::Foreign, "notes.txt"));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The kind of item.
    pub kind: FindingKind,
    /// Its name in the storage, such as a path below the granted directory; for people.
    pub name: String,
    /// The bytes that it takes up; `None` if unknown.
    pub size: Option<u64>,
    /// When it was last written to; `None` if unknown.
    pub modified: Option<SystemTime>,
    /// What is wrong with it; for people.
    pub detail: String,
}

/// The kinds of [`Finding`].
///
/// ```
/// # let finding = artifact_store::FindingKind::Temporary;
/// let can_be_swept = matches!(finding, artifact_store::FindingKind::Temporary);
/// # assert!(can_be_swept);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// Neither an artifact nor a temporary of this backend. Nothing removes it.
    Foreign,
    /// A write that has not finished; its writer may still be at work. A sweep removes it when it
    /// is old.
    Temporary,
    /// An artifact, or a part of the store that holds artifacts, that is not sound. If it is an
    /// artifact, putting or deleting its key repairs it. If it stands in the place of a part of the
    /// store, such as a link where a directory should be, it has to be removed by hand; until then
    /// listings fail there.
    Damaged,
}

/// What a sweep did.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let store = artifact_store::blocking::ArtifactStore::open_dir(dir.path())?;
/// let swept = store.sweep(std::time::Duration::from_secs(86_400))?;
/// assert_eq!((swept.removed, swept.kept), (0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// How many temporaries were removed.
    pub removed: u64,
    /// The bytes that they took up, as far as the storage told.
    pub bytes: u64,
    /// How many were left, being too young or of unknown age.
    pub kept: u64,
}

impl From<maintenance::Finding> for Finding {
    fn from(finding: maintenance::Finding) -> Self {
        let maintenance::Finding { kind, name, size, modified, detail } = finding;
        let kind = match kind {
            maintenance::FindingKind::Foreign => FindingKind::Foreign,
            maintenance::FindingKind::Temporary => FindingKind::Temporary,
            maintenance::FindingKind::Damaged => FindingKind::Damaged,
        };
        let (name, detail) = (foreign(&name), foreign(&detail));
        Self { kind, name, size, modified: modified.and_then(time), detail }
    }
}

impl From<maintenance::SweepReport> for Swept {
    fn from(report: maintenance::SweepReport) -> Self {
        let maintenance::SweepReport { removed, bytes, kept } = report;
        Self { removed, bytes, kept }
    }
}

impl From<Finding> for maintenance::Finding {
    fn from(finding: Finding) -> Self {
        let Finding { kind, name, size, modified, detail } = finding;
        let kind = match kind {
            FindingKind::Foreign => maintenance::FindingKind::Foreign,
            FindingKind::Temporary => maintenance::FindingKind::Temporary,
            FindingKind::Damaged => maintenance::FindingKind::Damaged,
        };
        Self { kind, name, size, modified: modified.and_then(instant), detail }
    }
}

impl From<Swept> for maintenance::SweepReport {
    fn from(swept: Swept) -> Self {
        let Swept { removed, bytes, kept } = swept;
        Self { removed, bytes, kept }
    }
}

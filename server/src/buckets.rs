//! The stores that are served, by the names of their buckets.

use std::collections::BTreeMap;

use artifact_store::ArtifactStore;

/// Stores by the names under which clients know them.
///
/// ```
/// use artifact_store::ArtifactStore;
/// use artifact_store_server::Buckets;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// let store = ArtifactStore::open_dir(dir.path()).await?;
/// let buckets = Buckets::new().with("releases", store.clone())?;
/// assert_eq!(buckets.names().collect::<Vec<_>>(), ["releases"]);
/// assert!(Buckets::new().with("No", store).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Buckets(BTreeMap<String, ArtifactStore>);

/// The name is none that a bucket of S3 can have, and so clients would refuse it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no name of a bucket: one has 3 to 63 lower-case letters, digits, `-` and `.`, and \
     begins and ends with a letter or digit"
)]
pub struct InvalidBucketName(pub String);

impl Buckets {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more bucket, in place of one of that name.
    ///
    /// # Errors
    ///
    /// [`InvalidBucketName`].
    pub fn with(
        mut self,
        name: impl Into<String>,
        store: ArtifactStore,
    ) -> Result<Self, InvalidBucketName> {
        let name = name.into();
        if !s3s::path::check_bucket_name(&name) {
            return Err(InvalidBucketName(name));
        }
        self.0.insert(name, store);
        Ok(self)
    }

    /// The names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ArtifactStore> {
        self.0.get(name)
    }

    pub(crate) fn named(&self) -> impl Iterator<Item = (&str, &ArtifactStore)> {
        self.0.iter().map(|(name, store)| (&**name, store))
    }
}

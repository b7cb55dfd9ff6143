//! What all operations work on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use artifact_store::ArtifactStore;
use s3s::{S3Result, s3_error};

use crate::buckets::Buckets;
use crate::hidden;

/// The buckets as a service of S3.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) buckets: Buckets,
    pub(crate) started: SystemTime,
    /// When the answer to a request begins, although it is not known yet.
    pub(crate) answer_after: Duration,
    pub(crate) completing: Completing,
}

impl Service {
    pub(crate) fn new(buckets: Buckets, answer_after: Duration, completing: Completing) -> Self {
        Self { buckets, started: SystemTime::now(), answer_after, completing }
    }

    pub(crate) fn store(&self, bucket: &str) -> S3Result<&ArtifactStore> {
        let store = self.buckets.get(bucket);
        store.ok_or_else(|| s3_error!(NoSuchBucket, "there is no such bucket"))
    }

    /// The store of an object that clients may name.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> S3Result<&ArtifactStore> {
        hidden::check_key(key)?;
        self.store(bucket)
    }
}

/// The uploads that are being completed: whoever completes one again meanwhile waits for the outcome,
/// so that an object which was stored in between is not replaced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Completing(Arc<Mutex<HashMap<String, Weak<Turn>>>>);

pub(crate) type Turn = tokio::sync::Mutex<()>;

impl Completing {
    pub(crate) fn turn(&self, id: &str) -> Arc<Turn> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, turn| turn.strong_count() > 0);
        let known = all.get(id).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let turn = Arc::default();
            all.insert(id.to_owned(), Arc::downgrade(&turn));
            turn
        })
    }
}

/// Fails where a request names a version of an object: there is but the one.
pub(crate) fn check_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(NotImplemented, "objects have no versions")),
    }
}

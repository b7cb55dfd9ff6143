//! Uploads that nobody goes on with.

use std::time::{Duration, SystemTime};

use artifact_store::{ArtifactStore, Entry, Interface, ListOptions};
use futures::stream::{self, StreamExt, TryStreamExt};
use s3s::{S3Error, S3Result};

use super::{AT_ONCE, Upload, list, root_of_done};
use crate::error::failed;

/// Removes the uploads to which nothing was added for `age`, and forgets those that were completed
/// so long ago. How many of the former there were, and the first failure: the others are removed
/// all the same.
pub(crate) async fn sweep(store: &ArtifactStore, age: Duration) -> (u64, Option<S3Error>) {
    // Without a listing there are no uploads.
    if !store.offers(Interface::Inventory) {
        return (0, None);
    }
    let (mut removed, mut failure) = (0, None);
    let ids = list::ids(store).await.unwrap_or_else(|error| {
        failure = Some(error);
        Vec::new()
    });
    for id in ids {
        let Some(upload) = Upload::named(store, &id) else { continue };
        match one(&upload, age).await {
            Ok(is_removed) => removed += u64::from(is_removed),
            Err(error) => drop(failure.get_or_insert(error)),
        }
    }
    if let Err(error) = forget(store, age).await {
        failure.get_or_insert(error);
    }
    (removed, failure)
}

/// Whether the upload was old, and is removed.
async fn one(upload: &Upload<'_>, age: Duration) -> S3Result<bool> {
    let is_old = is_old(upload, age).await?;
    if is_old {
        upload.remove().await?;
    }
    Ok(is_old)
}

/// Removes the notes of uploads that were completed so long ago.
async fn forget(store: &ArtifactStore, age: Duration) -> S3Result<()> {
    let mut options = ListOptions::default();
    loop {
        let page = store.list_page(&root_of_done(), options.clone()).await.map_err(failed)?;
        let old = page.entries.iter().filter(|note| has_passed(age, note.modified));
        let delete = |note: &Entry| {
            let key = note.key.clone();
            async move { store.delete(&key).await.map_err(failed) }
        };
        stream::iter(old.map(delete)).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let Some(next) = page.next else { return Ok(()) };
        options = options.start_after(next);
    }
}

fn has_passed(age: Duration, since: Option<SystemTime>) -> bool {
    since.is_some_and(|since| SystemTime::now().duration_since(since).is_ok_and(|it| it >= age))
}

/// Whether the last of its parts, and its beginning, lie so far back. An upload of whose time
/// nothing is known stays.
async fn is_old(upload: &Upload<'_>, age: Duration) -> S3Result<bool> {
    let begun = match upload.meta().await {
        Ok(meta) => meta.map(|meta| meta.begun()),
        // It may be damaged, and is removed in its time all the same.
        Err(_) => None,
    };
    let last = upload.all().await?.iter().filter_map(|part| part.modified).chain(begun).max();
    Ok(has_passed(age, last))
}

//! What `object_store`'s own functions do not ask.

use artifact_store::{ArtifactStore, ReadOptions};
use artifact_store_object_store::ArtifactObjectStore;
use artifact_store_tests::guest_on;
use futures::{StreamExt, TryStreamExt};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    RenameOptions, RenameTargetMode, Result, UpdateVersion,
};

/// Runs `test` on a store in a directory of its own.
fn on_fs<F: Future<Output = ()>>(test: impl FnOnce(ArtifactObjectStore) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        test(ArtifactStore::open_dir(dir.path()).await.unwrap().into()).await;
    });
}

async fn paths(objects: &ArtifactObjectStore) -> Vec<String> {
    let all: Vec<_> = objects.list(None).try_collect().await.unwrap();
    all.into_iter().map(|object| object.location.to_string()).collect()
}

#[test]
fn keys_that_are_no_paths_are_not_listed_and_stay() {
    on_fs(async |objects| {
        let strange = ["/x", "a/", "a//b", "../x", "b/./c"];
        for key in strange.into_iter().chain(["a/b", "ok"]) {
            objects.store().put(key, "bytes").await.unwrap();
        }
        assert_eq!(paths(&objects).await, ["a/b", "ok"]);
        let found = objects.list_with_delimiter(None).await.unwrap();
        assert_eq!(found.common_prefixes, [Path::from("a"), Path::from("b")]);
        assert_eq!(found.objects.len(), 1);
        let below = objects.list_with_delimiter(Some(&Path::from("a"))).await.unwrap();
        assert_eq!((below.common_prefixes.len(), below.objects.len()), (0, 1));
        let all = objects.list(None).map_ok(|object| object.location).boxed();
        objects.delete_stream(all).try_collect::<Vec<_>>().await.unwrap();
        assert_eq!(paths(&objects).await, [""; 0]);
        for key in strange {
            assert_eq!(objects.store().get(key).await.unwrap(), "bytes");
        }
    });
}

#[test]
fn a_path_that_is_no_key_is_an_error() {
    on_fs(async |objects| {
        let long = "x".repeat(1025);
        for text in ["", "a\u{85}b", &long] {
            let path = Path::parse(text).unwrap();
            for refused in [
                objects.put(&path, "x".into()).await.map(drop),
                objects.get(&path).await.map(drop),
                objects.head(&path).await.map(drop),
                objects.delete(&path).await,
            ] {
                let error = refused.unwrap_err();
                assert!(matches!(error, Error::Generic { .. }), "{error}");
                assert!(error.to_string().contains("invalid key"), "{error}");
            }
        }
    });
}

#[test]
fn an_object_renamed_to_itself_stays() {
    on_fs(async |objects| {
        let path = Path::from("a");
        let absent = objects.rename(&path, &path).await.unwrap_err();
        assert!(matches!(absent, Error::NotFound { .. }), "{absent}");
        objects.put(&path, "bytes".into()).await.unwrap();
        objects.rename(&path, &path).await.unwrap();
        let create = RenameOptions::new().with_target_mode(RenameTargetMode::Create);
        let taken = objects.rename_opts(&path, &path, create).await.unwrap_err();
        assert!(matches!(taken, Error::AlreadyExists { .. }), "{taken}");
        assert_eq!(objects.get(&path).await.unwrap().bytes().await.unwrap(), "bytes");
    });
}

#[test]
fn a_copy_has_the_attributes_and_what_no_artifact_has_is_refused() {
    on_fs(async |objects| {
        let (from, to) = (Path::from("from"), Path::from("to"));
        let attributes = Attributes::from_iter([
            (Attribute::ContentType, "text/plain"),
            (Attribute::Metadata("Upper_Case".into()), "yes"),
        ]);
        objects.put_opts(&from, "x".into(), attributes.clone().into()).await.unwrap();
        objects.copy(&from, &to).await.unwrap();
        assert_eq!(objects.get(&to).await.unwrap().attributes, attributes);
        let class = Attributes::from_iter([(Attribute::StorageClass, "cold")]);
        let refused = objects.put_opts(&to, "y".into(), class.into()).await.unwrap_err();
        assert!(matches!(refused, Error::NotSupported { .. }), "{refused}");
        let control = Attributes::from_iter([(Attribute::ContentType, "a\nb")]);
        let refused = objects.put_opts(&to, "y".into(), control.into()).await.unwrap_err();
        assert!(refused.to_string().contains("control character"), "{refused}");
        assert_eq!(objects.get(&to).await.unwrap().bytes().await.unwrap(), "x");
    });
}

#[test]
fn a_backend_without_streams_and_listings_says_what_it_lacks() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let store = ArtifactStore::open(guest_on("plain", dir.path())).await.unwrap();
        let objects = ArtifactObjectStore::new(store);
        let path = Path::from("a");
        objects.put(&path, "0123456789".into()).await.unwrap();
        assert_eq!(objects.head(&path).await.unwrap().size, 10);
        assert_eq!(objects.get_range(&path, 2..4).await.unwrap(), "23");
        let mut upload = objects.put_multipart(&path).await.unwrap();
        upload.put_part("parts".into()).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(objects.get(&path).await.unwrap().bytes().await.unwrap(), "parts");

        fn lacks<T>(what: Result<T>) {
            let error = what.map(drop).unwrap_err();
            assert!(matches!(error, Error::NotImplemented { .. }), "{error}");
        }
        let of = |mode: PutMode| PutOptions { mode, ..Default::default() };
        lacks(objects.put_opts(&path, "x".into(), of(PutMode::Create)).await);
        let update = UpdateVersion { e_tag: Some("1".into()), version: None };
        lacks(objects.put_opts(&path, "x".into(), of(PutMode::Update(update))).await);
        lacks(objects.list(None).next().await.unwrap());
        lacks(objects.list_with_delimiter(None).await);
        lacks(objects.get_opts(&path, GetOptions::new().with_version(Some("1"))).await);
        // It does not know when an artifact was stored.
        let since = GetOptions { if_modified_since: Some(Default::default()), ..GetOptions::new() };
        let error = objects.get_opts(&path, since).await.unwrap_err();
        assert!(matches!(error, Error::NotSupported { .. }), "{error}");
    });
}

#[test]
fn an_update_without_the_present_version_changes_nothing() {
    on_fs(async |objects| {
        let path = Path::from("a");
        objects.put(&path, "before".into()).await.unwrap();
        for e_tag in [None, Some("%ff".to_owned())] {
            let mode = PutMode::Update(UpdateVersion { e_tag, version: None });
            objects.put_opts(&path, "after".into(), mode.into()).await.unwrap_err();
        }
        assert_eq!(objects.get(&path).await.unwrap().bytes().await.unwrap(), "before");
    });
}

#[test]
fn pages_go_on_behind_what_was_listed_before() {
    on_fs(async |objects| {
        for n in 0..25 {
            objects.put(&Path::from(format!("d{}/{n:02}", n % 5)), "x".into()).await.unwrap();
            objects.put(&Path::from(format!("f{n:02}")), "x".into()).await.unwrap();
        }
        let mut options = PaginatedListOptions {
            max_keys: Some(7),
            delimiter: Some("/".into()),
            ..Default::default()
        };
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let page = objects.list_paginated(None, options.clone()).await.unwrap();
            let result = page.result;
            assert!(result.objects.len() + result.common_prefixes.len() <= 7);
            found.extend(result.common_prefixes.into_iter().map(String::from));
            found.extend(result.objects.into_iter().map(|object| object.location.to_string()));
            pages += 1;
            options.page_token = page.page_token;
            if options.page_token.is_none() {
                break;
            }
        }
        let folders = (0..5).map(|n| format!("d{n}"));
        let expected: Vec<_> = folders.chain((0..25).map(|n| format!("f{n:02}"))).collect();
        assert_eq!((found, pages), (expected, 5));
        let offset = PaginatedListOptions { offset: Some("f22".into()), ..Default::default() };
        let last = objects.list_paginated(Some("f"), offset).await.unwrap();
        assert_eq!(last.result.objects.len(), 2);
        let none = PaginatedListOptions { max_keys: Some(0), ..Default::default() };
        objects.list_paginated(None, none).await.unwrap_err();
    });
}

#[test]
fn an_upload_keeps_its_parts_where_it_is_told_and_leaves_nothing() {
    on_fs(async |objects| {
        let spool = tempfile::tempdir().unwrap();
        let objects = objects.spool_dir(spool.path());
        let is_empty = || std::fs::read_dir(spool.path()).unwrap().next().is_none();
        let path = Path::from("a");
        let mut upload = objects.put_multipart(&path).await.unwrap();
        upload.put_part(vec![1; 100_000].into()).await.unwrap();
        assert!(is_empty(), "the file has no name");
        // A part that was given up is missing, and the others can still be completed without it.
        drop(upload.put_part("lost".into()));
        let error = upload.complete().await.unwrap_err();
        assert!(error.to_string().contains("part 1"), "{error}");
        upload.abort().await.unwrap();
        upload.put_part("late".into()).await.unwrap_err();
        upload.complete().await.unwrap_err();
        assert_eq!(paths(&objects).await, [""; 0]);

        let gone = objects.spool_dir(spool.path().join("absent"));
        let mut upload = gone.put_multipart(&path).await.unwrap();
        let error = upload.put_part("x".into()).await.unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
    });
}

#[test]
fn parts_are_in_the_order_of_the_completion_and_the_last_of_one_number_counts() {
    on_fs(async |objects| {
        let path = Path::from("a");
        let id = objects.create_multipart(&path).await.unwrap();
        let same = objects.clone();
        let mut parts = Vec::new();
        for (number, data) in [(1, "one "), (0, "wrong "), (2, "two"), (0, "zero ")] {
            parts.push(same.put_part(&path, &id, number, data.into()).await.unwrap());
        }
        let in_order = [3, 0, 2].map(|at: usize| parts[at].clone());
        let other = Path::from("b");
        for unknown in [
            objects.put_part(&other, &id, 0, "x".into()).await.map(drop),
            objects.put_part(&path, &"0".into(), 0, "x".into()).await.map(drop),
            objects.abort_multipart(&other, &id).await,
        ] {
            let error = unknown.unwrap_err();
            assert!(matches!(error, Error::NotFound { .. }), "{error}");
        }
        objects.complete_multipart(&path, &id, in_order.to_vec()).await.unwrap();
        assert_eq!(objects.get(&path).await.unwrap().bytes().await.unwrap(), "zero one two");
        let error = objects.complete_multipart(&path, &id, vec![]).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    });
}

/// More than the store runs at once.
const MANY: usize = 200;

#[test]
fn many_uploads_and_many_readers_of_large_objects_are_open_at_once() {
    const PART: usize = 1 << 20;
    let path = |kind: &str, n: usize| Path::from(format!("{kind}/{n}"));
    let part = |n: usize, part: usize| vec![(n + part) as u8; PART];
    on_fs(async |objects| {
        let (mut uploads, mut readers) = (Vec::new(), Vec::new());
        for n in 0..MANY {
            let both = [part(n, 0), part(n, 1)].concat();
            objects.put(&path("read", n), both.into()).await.unwrap();
            uploads.push(objects.put_multipart(&path("written", n)).await.unwrap());
        }
        for (n, upload) in uploads.iter_mut().enumerate() {
            upload.put_part(part(n, 0).into()).await.unwrap();
            readers.push(objects.get(&path("read", n)).await.unwrap().into_stream());
        }
        // In turns, as a merge of sorted files reads and a partitioned write writes.
        let mut read = vec![0; MANY];
        while read.iter().any(|read| *read < 2 * PART) {
            for (n, reader) in readers.iter_mut().enumerate() {
                if let Some(chunk) = reader.try_next().await.unwrap() {
                    assert_eq!(usize::from(chunk[0]), n + read[n] / PART);
                    read[n] += chunk.len();
                }
            }
        }
        for (n, upload) in uploads.iter_mut().enumerate() {
            upload.put_part(part(n, 1).into()).await.unwrap();
        }
        futures::future::try_join_all(uploads.iter_mut().map(|it| it.complete())).await.unwrap();
        for n in 0..MANY {
            let written = objects.get(&path("written", n)).await.unwrap().bytes().await.unwrap();
            assert!(written == [part(n, 0), part(n, 1)].concat(), "{n}");
        }
    });
}

#[test]
fn a_read_goes_on_with_its_generation() {
    on_fs(async |objects| {
        let path = Path::from("a");
        objects.put(&path, vec![1; 5 << 20].into()).await.unwrap();
        let old = objects.get(&path).await.unwrap();
        objects.put(&path, vec![2; 10].into()).await.unwrap();
        let bytes = old.bytes().await.unwrap();
        assert_eq!((bytes.len(), bytes.iter().max()), (5 << 20, Some(&1)));
        let whole = objects.store().get_with("a", ReadOptions::default()).await.unwrap();
        assert_eq!(whole.0.size, 10);
    });
}

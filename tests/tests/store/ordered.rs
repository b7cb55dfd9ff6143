//! Pages in the order of the keys: of a backend that has that order, and of one that is sorted.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, Interface, Limits, ListOptions, ListPage};
use artifact_store_tests::service::Differences;
use artifact_store_tests::{expect, guest, weed};

/// Keys around a slash, and some that the tree of the built-in backend does not spell out.
fn keys() -> BTreeSet<String> {
    let long = "x".repeat(150);
    let mut keys = BTreeSet::new();
    for a in ["a", "a-", "a.b", "A", "é", "", "b", &long] {
        for b in ["", "/", "//", "/b", "-/b", "//b", "/b/c", "/B/c", &"/s".repeat(20)] {
            keys.insert(format!("{a}{b}"));
        }
    }
    keys.remove("");
    keys
}

fn unsynced(dir: &Path) -> ArtifactStore {
    let grants = Grants::none().read_write(dir, "/").env("ARTIFACT_STORE_SYNC", "off");
    ArtifactStore::open(Backend::fs(dir).grants(grants)).unwrap()
}

fn filled(store: ArtifactStore) -> ArtifactStore {
    for key in keys() {
        store.put(&key, key.clone()).unwrap();
    }
    store
}

/// What a page has, in one order.
fn names(page: &ListPage) -> Vec<String> {
    let keys = page.entries.iter().map(|entry| entry.key.clone());
    let mut names: Vec<_> = keys.chain(page.prefixes.iter().cloned()).collect();
    names.sort();
    names
}

/// All pages, each of at most `limit` names.
fn listed(store: &ArtifactStore, prefix: &str, options: &ListOptions, limit: usize) -> Vec<String> {
    let (mut all, mut options) = (Vec::new(), options.clone().limit(limit));
    loop {
        let page = store.list_page(prefix, options.clone()).unwrap();
        let found = names(&page);
        assert!(found.len() <= limit && page.entries.is_sorted_by_key(|entry| &entry.key));
        assert!(page.entries.iter().all(|entry| entry.size == entry.key.len() as u64));
        all.extend(found);
        match page.next {
            Some(next) => options = options.start_after(next),
            None => return all,
        }
    }
}

fn expected(keys: &BTreeSet<String>, prefix: &str, options: &ListOptions) -> Vec<String> {
    let name = |key: &String| {
        let at = options.delimiter.as_ref().and_then(|delimiter| {
            Some(key[prefix.len()..].find(delimiter.as_str())? + delimiter.len())
        });
        at.map_or(key.clone(), |at| key[..prefix.len() + at].to_owned())
    };
    let names: BTreeSet<_> = keys.iter().filter(|key| key.starts_with(prefix)).map(name).collect();
    let is_after = |name: &String| options.start_after.as_ref().is_none_or(|after| name > after);
    names.into_iter().filter(is_after).collect()
}

fn is_right(store: &ArtifactStore, limits: &[usize]) {
    let keys = keys();
    for delimiter in [None, Some("/"), Some("b"), Some("//")] {
        for prefix in ["", "a", "a/", "a//", "é/b", "xxx", "/", "nothing"] {
            for after in [None, Some("a"), Some("a/"), Some("a/b"), Some("b"), Some("~")] {
                let options = ListOptions::default()
                    .delimiter(delimiter.map(str::to_owned))
                    .start_after(after.map(str::to_owned));
                for limit in limits {
                    let found = listed(store, prefix, &options, *limit);
                    assert_eq!(found, expected(&keys, prefix, &options), "{prefix:?} {options:?}");
                }
            }
        }
    }
}

#[test]
fn pages_of_a_directory_are_in_the_order_of_the_keys() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(unsynced(dir.path()));
    assert!(store.offers(Interface::Ordered));
    is_right(&store, &[1, 3, 1000]);
    assert_eq!(store.audit().count(), 0);
}

#[test]
fn pages_of_a_bucket_are_sorted_by_the_host() {
    let differences = Differences { page: 7, ..Differences::default() };
    let server = differences.clone().start();
    let backend = Backend::s3(differences.variables(&server, "p"), artifact_store::Sign::Host);
    let store = filled(ArtifactStore::open(backend.unwrap()).unwrap());
    assert!(!store.offers(Interface::Ordered));
    is_right(&store, &[1000]);
    let options = ListOptions::default().delimiter("/".to_owned());
    assert_eq!(listed(&store, "a", &options, 2), expected(&keys(), "a", &options));
}

#[test]
fn pages_of_a_real_service_are_sorted_by_the_host() {
    if weed::binary().is_none() {
        return;
    }
    let server = weed::Weed::start();
    let backend = server.backend("ordered", artifact_store::Sign::Host);
    let store = filled(ArtifactStore::open(backend).unwrap());
    for options in [ListOptions::default(), ListOptions::default().delimiter("/".to_owned())] {
        for prefix in ["", "a/"] {
            assert_eq!(listed(&store, prefix, &options, 20), expected(&keys(), prefix, &options));
        }
    }
}

/// A directory that stays behind is no prefix, however deep it is, and one that holds something only
/// far below is.
#[test]
fn an_empty_directory_is_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let store = unsynced(dir.path());
    for key in ["a/b/c/d", "gone/a/b", "gone/c", "z/y/x/w"] {
        store.put(key, key).unwrap();
    }
    for n in 0..300 {
        store.put(&format!("z/{n}/x"), "").unwrap();
        store.delete(&format!("z/{n}/x")).unwrap();
    }
    store.delete("gone/a/b").unwrap();
    store.delete("gone/c").unwrap();
    assert!(dir.path().join(",gone/,a").is_dir());
    let options = ListOptions::default().delimiter("/".to_owned());
    for limit in [1, 10] {
        assert_eq!(listed(&store, "", &options, limit), ["a/", "z/"]);
        assert_eq!(listed(&store, "gone/", &options, limit), [""; 0]);
        assert_eq!(listed(&store, "z/", &options, limit), ["z/y/"]);
        assert_eq!(listed(&store, "", &ListOptions::default(), limit), ["a/b/c/d", "z/y/x/w"]);
    }
    // What is no artifact makes no prefix either.
    std::fs::write(dir.path().join(",gone/_c"), "damaged").unwrap();
    std::fs::write(dir.path().join(",gone/foreign"), "foreign").unwrap();
    assert_eq!(listed(&store, "", &options, 10), ["a/", "z/"]);
}

/// More names than one page may look at, of which few are listed.
#[test]
fn a_page_is_empty_only_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = unsynced(dir.path());
    for key in ["a/1", "n/2", "z"] {
        store.put(key, key).unwrap();
    }
    for n in 0..3000 {
        std::fs::create_dir(dir.path().join(format!(",m{n}"))).unwrap();
        std::fs::create_dir(dir.path().join(format!(",n/,{n}"))).unwrap();
    }
    let options = ListOptions::default().delimiter("/".to_owned());
    assert_eq!(listed(&store, "", &options, 10), ["a/", "n/", "z"]);
    assert_eq!(listed(&store, "", &ListOptions::default(), 10), ["a/1", "n/2", "z"]);
    let page = store.list_page("m", options).unwrap();
    assert_eq!((names(&page).len(), page.next), (0, None));
}

/// The names of a large directory are kept for the next page, and must be as good as new.
#[test]
fn each_page_sees_what_was_stored_and_deleted_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = unsynced(dir.path());
    let key = |n: usize| format!("dir/{n:04}");
    for n in (0..2000).step_by(2) {
        store.put(&key(n), "x").unwrap();
    }
    // So that the directory counts as unchanged, and its names are kept.
    std::thread::sleep(Duration::from_millis(50));
    let page = |after: &str| {
        let options = ListOptions::default().start_after(after.to_owned()).limit(10);
        names(&store.list_page("dir/", options).unwrap())
    };
    for n in (0..1000).step_by(100) {
        let evens: Vec<_> = (n + 2..n + 22).step_by(2).map(key).collect();
        assert_eq!(page(&key(n)), evens);
        let after = key(n + 20);
        store.put(&key(n + 21), "x").unwrap();
        store.delete(&key(n + 22)).unwrap();
        assert_eq!(page(&after)[..2], [key(n + 21), key(n + 24)]);
        // What a page begins behind need not be there any more.
        store.delete(&after).unwrap();
        assert_eq!(page(&after)[..2], [key(n + 21), key(n + 24)]);
        if n % 200 == 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn wrong_answers_are_the_fault_of_the_backend() {
    let store = ArtifactStore::open(Backend::from_file(guest("hostile"))).unwrap();
    for prefix in [
        "unsorted",
        "twice",
        "elsewhere",
        "control",
        "before",
        "unfolded",
        "unasked",
        "too-deep",
        "crowd",
        "back",
        "still",
        "for-ever",
        "huge-next",
    ] {
        let options = ListOptions::default().delimiter("/".to_owned());
        let options = match prefix {
            "before" => options.start_after("before5".to_owned()),
            "still" => options.start_after("st".to_owned()),
            _ => options,
        };
        let error = store.list_page(prefix, options).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{prefix}: {error}");
        assert!(error.to_string().len() < 1000, "{prefix}");
        assert_eq!(store.get("fine").unwrap(), "123456789");
    }
    let error = store.list_page("a\0", ListOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidKey(_)), "{error}");
    let limits = Limits::default().call_timeout(Duration::from_millis(500));
    let impatient = Backend::from_file(guest("hostile")).limits(limits);
    let store = ArtifactStore::open(impatient).unwrap();
    let error = store.list_page("spin", ListOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
}

/// Whoever sorts has to see all of it, and must not wait for ever.
#[test]
fn an_endless_listing_is_not_sorted_for_ever() {
    let limits = Limits::default().call_timeout(Duration::from_millis(100));
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::from_file(guest("rogue"))
        .grants(Grants::none().read_only(dir.path(), "/"))
        .limits(limits);
    let store = ArtifactStore::open(backend).unwrap();
    let begun = Instant::now();
    let error = store.list_page("endless", ListOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    let page = store.list_page("unsorted", ListOptions::default()).unwrap();
    assert_eq!(names(&page), ["unsorted1", "unsorted2"]);
}

#[test]
fn a_backend_without_listings_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(artifact_store_tests::guest_on("plain", dir.path())).unwrap();
    let error = store.list_page("", ListOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
}

#[cfg(unix)]
#[test]
fn the_command_line_lists_like_ls() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for key in ["builds/1/log", "builds/1/out", "builds/2/out", "builds/latest", "builds.txt"] {
        expect(dir, &["put", key], b"123", 0);
    }
    let list = |arguments: &[&str]| expect(dir, &[&["list"], arguments].concat(), b"", 0);
    assert_eq!(list(&["--delimiter", "/"]), "builds.txt\nbuilds/\n");
    assert_eq!(list(&["--delimiter", "/", "builds/"]), "builds/1/\nbuilds/2/\nbuilds/latest\n");
    assert_eq!(list(&["--delimiter", "/", "builds/", "--limit", "2"]), "builds/1/\nbuilds/2/\n");
    assert_eq!(list(&["--start-after", "builds/1/log", "--limit", "1"]), "builds/1/out\n");
    assert_eq!(list(&["--limit", "0"]), "");
    assert_eq!(list(&["-0", "--start-after", "builds/2"]), "builds/2/out\0builds/latest\0");
    let json = list(&["--json", "--delimiter", "/", "builds/"]);
    let lines: Vec<_> = json.lines().collect();
    assert_eq!(lines[0], r#"{"type":"prefix","prefix":"builds/1/"}"#);
    let start = r#"{"type":"artifact","key":"builds/latest","size":3,"modified":"#;
    assert!(lines[2].starts_with(start), "{json}");
    let long = list(&["-l", "--delimiter", "/", "builds/"]);
    assert!(long.lines().next().unwrap().trim_start().starts_with("-  -"), "{long}");
}

//! The S3 backend on services that differ from SeaweedFS, with every signature verified: the whole
//! list of the contract, and what a service refuses.

use std::sync::Arc;

use artifact_store::blocking::ArtifactStore;
use artifact_store::conformance::Target;
use artifact_store::{
    Attributes, Backend, Error, ErrorKind, Mode, ReadOptions, Sign, WriteOptions,
};
use artifact_store_tests::scripted::{Request, Scripted};
use artifact_store_tests::service::Differences;
use artifact_store_tests::{cli, contract, weed};
use libtest_mimic::{Arguments, Trial};

mod s3_kept;

type Check = fn();
const CHECKS: &[(&str, Check)] = &[
    ("a_key_that_may_only_read_is_refused_to_write", read_only),
    ("a_token_that_has_expired_is_named", expired),
    ("a_bucket_of_another_region_is_named_with_its_region", region),
    ("clocks_that_differ_are_named", skew),
    ("a_clock_that_is_wrong_is_corrected_by_that_of_the_service", corrected),
    ("a_wrong_secret_a_wrong_key_and_an_unknown_bucket_are_named", wrong),
    ("a_checksum_that_the_service_does_not_know_comes_back", checksum),
    ("a_service_without_that_checksum_says_so", unknown_checksum),
    ("one_line_of_the_configuration_moves_a_store_to_the_bucket", one_line),
    ("other_programs_find_attributes_in_the_headers_of_http", headers),
    ("hard_keys_are_signed_and_listed_as_they_are", keys),
    ("the_service_moves_the_bytes_of_a_copy", moved_by_the_service),
    ("a_copy_that_the_service_damages_does_not_look_sound", spoilt),
];

fn main() {
    let mut trials: Vec<_> = CHECKS
        .iter()
        .map(|(name, check)| {
            Trial::test(*name, move || {
                check();
                Ok(())
            })
        })
        .collect();
    for (name, differences, sign) in [
        ("like_amazon", Differences::default(), Sign::Backend),
        ("unlike_amazon", unlike(), Sign::Host),
    ] {
        let server = Arc::new(differences.clone().start());
        for (check_name, check) in s3_kept::CHECKS {
            let (server, differences) = (Arc::clone(&server), differences.clone());
            let run = move || {
                let backend = backend(&differences, &server, check_name, sign, &[]);
                check(&ArtifactStore::open(backend).unwrap());
                Ok(())
            };
            trials.push(Trial::test(format!("{name}::{check_name}"), run));
        }
        let target = Target::by_name(move |store| backend(&differences, &server, store, sign, &[]));
        let lacking = &["a directory", "conditional", "copies in this mode", "ordered"];
        trials.extend(contract::trials(name, target, lacking));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// All that may be different at once.
fn unlike() -> Differences {
    Differences {
        is_virtual: true,
        knows_checksum: false,
        quotes_tags: false,
        page: 3,
        region: "mars-1",
        token: Some("to/k+en="),
        ..Differences::default()
    }
}

/// The backend on this service, with these variables in the place of the right ones.
fn backend(
    differences: &Differences,
    server: &Scripted,
    prefix: &str,
    sign: Sign,
    changed: &[(&'static str, &str)],
) -> Backend {
    let mut variables = differences.variables(server, prefix);
    variables.extend(changed.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let backend = Backend::s3(variables, sign).expect("the variables are right");
    match differences.is_virtual {
        // No name server knows the bucket's host: the service is its own proxy.
        true => backend.map_grants(|grants| grants.proxy(server.endpoint())),
        false => backend,
    }
}

/// Asks for everything, once for each who may sign, with these variables in the place of the right
/// ones.
fn refused(
    differences: &Differences,
    changed: &[(&'static str, &str)],
    is_right: fn(&Error) -> bool,
) {
    let server = differences.clone().start();
    for sign in [Sign::Host, Sign::Backend] {
        let backend = backend(differences, &server, "", sign, changed);
        let store = ArtifactStore::open(backend).unwrap();
        for error in [
            store.put("k", "x").unwrap_err(),
            store.put("k", vec![0; 9 << 20]).unwrap_err(),
            store.put_new("k", "x").unwrap_err(),
            store.get("k").unwrap_err(),
            store.stat("k").unwrap_err(),
            store.delete("k").unwrap_err(),
            store.list("").next().unwrap().unwrap_err(),
        ] {
            assert!(is_right(&error) && !error.is_retryable(), "{sign:?}: {error}");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
    }
    // No refusal is asked for twice by the same request: that would not help.
    assert!(server.requests().len() <= 2 * 9, "{}", server.requests().len());
}

fn is_denied(error: &Error, word: &str) -> bool {
    matches!(error.kind(), ErrorKind::AccessDenied(_)) && error.to_string().contains(word)
}

fn read_only() {
    let differences = Differences { is_read_only: true, ..Differences::default() };
    let server = differences.clone().start();
    let store = backend(&differences, &server, "", Sign::Host, &[]);
    let store = ArtifactStore::open(store).unwrap();
    for error in [
        store.put("k", "x").unwrap_err(),
        store.put("k", vec![0; 9 << 20]).unwrap_err(),
        store.delete("k").unwrap_err(),
    ] {
        assert!(is_denied(&error, "AccessDenied") && !error.is_retryable(), "{error}");
    }
    assert!(matches!(store.get("k").unwrap_err().kind(), ErrorKind::NotFound));
    assert_eq!(store.list("").count(), 0);
}

fn expired() {
    let differences = Differences { token: Some("new"), ..Differences::default() };
    let changed = [("AWS_SESSION_TOKEN", "hush")];
    refused(&differences, &changed, |error| is_denied(error, "AWS_SESSION_TOKEN"));
}

fn region() {
    let differences = Differences { region: "mars-1", ..Differences::default() };
    refused(&differences, &[("AWS_REGION", "us-east-1")], |error| {
        let is_named = error.to_string().contains("mars-1");
        matches!(error.kind(), ErrorKind::Other(_)) && is_named
    });
}

fn skew() {
    for ahead in [3600, -3600] {
        let differences = Differences { ahead, tells_time: false, ..Differences::default() };
        refused(&differences, &[], |error| is_denied(error, "clock"));
    }
}

fn corrected() {
    for ahead in [20 * 60, -20 * 60, 400 * 86_400] {
        for sign in [Sign::Host, Sign::Backend] {
            let differences = Differences { ahead, ..Differences::default() };
            let server = differences.clone().start();
            let open = || {
                let backend = backend(&differences, &server, "", sign, &[]);
                ArtifactStore::open(backend).unwrap()
            };
            let store = open();
            store.put("k", "x").unwrap();
            assert_eq!(server.requests().len(), 2, "the first one is refused");
            // From now on the time is known.
            assert_eq!(store.get("k").unwrap(), "x");
            assert_eq!(store.list("").count(), 1);
            store.delete("k").unwrap();
            assert_eq!(server.requests().len(), 5);
            // Whatever comes first: nothing says there is no artifact because of a wrong clock.
            assert!(matches!(open().stat("k").unwrap_err().kind(), ErrorKind::NotFound));
            assert!(matches!(open().get("k").unwrap_err().kind(), ErrorKind::NotFound));
            open().put("large", vec![7; 9 << 20]).unwrap();
            open().put_new("new", vec![7; 9 << 20]).unwrap();
            open().delete("large").unwrap();
        }
    }
}

fn wrong() {
    let differences = Differences::default();
    refused(&differences, &[("AWS_SECRET_ACCESS_KEY", "hush")], |error| {
        is_denied(error, "SignatureDoesNotMatch")
    });
    refused(&differences, &[("AWS_ACCESS_KEY_ID", "AKIAHUSH")], |error| {
        is_denied(error, "InvalidAccessKeyId")
    });
    refused(&differences, &[("S3_BUCKET", "no-such-bucket")], |error| {
        let is_named = error.to_string().contains("S3_BUCKET");
        matches!(error.kind(), ErrorKind::Other(_)) && is_named
    });
}

fn checksum() {
    let differences = unlike();
    let server = differences.clone().start();
    let store = backend(&differences, &server, "", Sign::Backend, &[]);
    let store = ArtifactStore::open(store).unwrap();
    assert_eq!(store.put("k", "123456789").unwrap().checksum, Some(0xAE8B_1486_0A79_9888));
    assert_eq!(store.stat("k").unwrap().checksum, Some(0xAE8B_1486_0A79_9888));
    assert_eq!(store.get("k").unwrap(), "123456789");
    // Of parts it is not known when their metadata is sent.
    let large = vec![7; 20 << 20];
    store.put("large", large.clone()).unwrap();
    assert_eq!(store.stat("large").unwrap().checksum, None);
    assert!(store.get("large").unwrap() == large);
}

fn unknown_checksum() {
    let differences = Differences { knows_checksum: false, ..Differences::default() };
    let server = differences.clone().start();
    let changed = [("S3_CHECKSUM", "crc64nvme")];
    let store = backend(&differences, &server, "", Sign::Host, &changed);
    let error = ArtifactStore::open(store).unwrap().put("k", "x").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
}

/// The configuration of `docs/s3.md`.
fn one_line() {
    let (dir, differences) = (tempfile::tempdir().unwrap(), Differences::default());
    let server = differences.clone().start();
    std::fs::create_dir(dir.path().join("releases")).unwrap();
    let text = format!(
        "[stores.releases]\n\
         backend = 'fs'\n\
         directories = [{{ host = 'releases' }}]\n\
         env = {{ AWS_ENDPOINT_URL = '{}', S3_BUCKET = '{}' }}\n\
         env-from = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']\n",
        server.endpoint(),
        weed::BUCKET
    );
    let run = |arguments: &[&str]| {
        let mut command = cli();
        command.env("AWS_ACCESS_KEY_ID", weed::KEY).env("AWS_SECRET_ACCESS_KEY", weed::SECRET);
        command.current_dir(dir.path()).args(["--config", "stores.toml"]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text_of = |backend| text.replace("backend = 'fs'", backend);
    for (backend, requests) in [("backend = 'fs'", 0), ("backend = 's3'", 3)] {
        std::fs::write(dir.path().join("stores.toml"), text_of(backend)).unwrap();
        run(&["put", "k", "stores.toml"]);
        assert_eq!(run(&["get", "k"]), text_of(backend));
        assert!(run(&["list"]).contains('k'));
        assert_eq!(server.requests().len(), requests);
    }
}

fn headers() {
    let differences = Differences::default();
    for sign in [Sign::Host, Sign::Backend] {
        let server = differences.clone().start();
        let store = ArtifactStore::open(backend(&differences, &server, "", sign, &[])).unwrap();
        let standard = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-encoding", "gzip"),
            ("content-disposition", "inline"),
            ("content-language", "de"),
            ("cache-control", "no-store"),
        ];
        let own = [("build", "17 of 20"), ("content-md5", "of the user"), ("x-amz-acl", "none")];
        let attributes: Attributes = standard.into_iter().chain(own).collect();
        for size in [1, 9 << 20] {
            let options = WriteOptions::default().attributes(attributes.clone());
            store.put_with("k", vec![7; size], options).unwrap();
        }
        let requests = server.requests();
        let is_first = |query: &str| matches!(query, "" | "uploads=");
        let stores: Vec<_> = requests
            .iter()
            .filter(|it| matches!(&*it.method, "PUT" | "POST") && is_first(&it.query))
            .collect();
        assert_eq!(stores.len(), 2);
        for request in stores {
            for (name, value) in standard {
                assert_eq!(request.header(name), Some(value));
            }
            for (name, value) in own {
                assert_eq!(request.header(name), None);
                assert_eq!(request.header(&format!("x-amz-meta-{name}")), Some(value));
            }
        }
    }
}

fn keys() {
    let mut hard = [
        "L%3ABC.parquet",
        "L:BC.parquet",
        "%",
        "%25",
        "[foo]",
        "中文",
        "a+b",
        "a b",
        "a/./b",
        "a//b",
        "a/b",
        ".",
        "..",
        "../..",
        "/",
        "//",
        "a/",
        "/a",
        "a?b#c",
        "a&b=c",
        "😀",
        "~",
        "CON",
        "a.",
        "_",
    ]
    .map(str::to_owned)
    .to_vec();
    hard.extend(["é/".repeat(341), "a".repeat(1024), "\u{10FFFF}".repeat(256)]);
    hard.sort();
    for differences in [Differences::default(), unlike()] {
        let server = differences.clone().start();
        for sign in [Sign::Host, Sign::Backend] {
            let prefix = format!("{sign:?}");
            let store = backend(&differences, &server, &prefix, sign, &[]);
            let store = ArtifactStore::open(store).unwrap();
            for key in &hard {
                store.put(key, key.clone()).unwrap();
            }
            for key in &hard {
                assert_eq!(store.get(key).unwrap(), key.as_bytes(), "{key}");
            }
            let mut listed: Vec<_> = store.list("").map(|entry| entry.unwrap().key).collect();
            listed.sort();
            assert_eq!(listed, hard);
            for key in &hard {
                store.delete(key).unwrap();
            }
            assert_eq!(store.list("").count(), 0);
        }
    }
}

/// None of them comes here, whatever the mode, and large copies are made of several parts.
fn moved_by_the_service() {
    let differences = Differences::default();
    let server = differences.clone().start();
    let store = ArtifactStore::open(backend(&differences, &server, "s", Sign::Host, &[])).unwrap();
    let size = (64 << 20) + 5;
    store.put("k", vec![7; size]).unwrap();
    let before = server.requests().len();
    store.copy("k", "t").unwrap();
    store.copy_with("k", "u", Mode::Create).unwrap();
    let requests = server.requests().split_off(before);
    let is_read = |it: &Request| it.method == "GET" && it.path.ends_with("/k_");
    assert!(requests.iter().all(|it| !is_read(it) && it.body.len() < 1000));
    let ranges = requests.iter().filter_map(|it| it.header("x-amz-copy-source-range"));
    let ranges: std::collections::BTreeSet<_> = ranges.collect();
    assert_eq!(ranges, ["bytes=0-67108863", "bytes=67108864-67108868"].into());
    assert_eq!(store.stat("u").unwrap().checksum, store.stat("k").unwrap().checksum);
    for target in ["t", "u"] {
        // Compared with the checksum at its end.
        let mut reader = store.read(target, ReadOptions::default()).unwrap();
        assert_eq!(std::io::copy(&mut reader, &mut std::io::sink()).unwrap(), size as u64);
    }
}

fn spoilt() {
    let corrupt = |outcome: Result<(), Error>| {
        assert!(matches!(outcome.unwrap_err().kind(), ErrorKind::Corrupt(_)));
    };
    for knows_checksum in [true, false] {
        let spoils_copies = true;
        let differences = Differences { knows_checksum, spoils_copies, ..Differences::default() };
        let server = differences.clone().start();
        let store =
            ArtifactStore::open(backend(&differences, &server, "s", Sign::Host, &[])).unwrap();
        store.put("k", "the bytes").unwrap();
        store.copy("k", "t").unwrap();
        corrupt(store.get("t").map(drop));
        if knows_checksum {
            // The service compares the whole of an upload before it stores it.
            store.put("large", vec![7; 9 << 20]).unwrap();
            corrupt(store.copy_with("large", "u", Mode::Create).map(drop));
            assert!(matches!(store.get("u").unwrap_err().kind(), ErrorKind::NotFound));
            assert_eq!(store.audit().count(), 0);
        }
    }
}

//! Credentials that the host finds where Amazon's own tools do, and renews.

mod outage;
mod program;
mod scene;

use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, LoadError, S3Bucket, S3Credentials};
use artifact_store_tests::guest;
use artifact_store_tests::scripted::{Answer, Scripted, answer};
use scene::{DELETE, Home, SECRET, TOKEN, bucket, givers, json, later, said, served, signed_by};

#[test]
fn the_first_place_that_is_set_up_counts() {
    let (s3, givers) = (bucket(), givers());
    let keys = |key: &str| format!("aws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n");
    let home = Home::new("", "");
    home.write("identity", "hush-identity\n");
    home.write("token", "hush-container\n");
    let process = "credential_process = sh \"./a program\" 'x y'\nregion = eu-north-9\n";
    let program = format!(
        "#!/bin/sh\n[ \"$1\" = 'x y' ] && cat <<END\n{}\nEND\n",
        json("AKIAPROGRAM", later(3600))
    );
    home.write("a program", &program);
    // Each place is there for as long as the ones above it.
    let variables = [("AWS_ACCESS_KEY_ID", "AKIAVARIABLE"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let identity = home.path().join("identity").display().to_string();
    let web = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", identity.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
    ];
    let uri = format!("{}/container", givers.endpoint());
    let token = home.path().join("token").display().to_string();
    let container = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.as_str()),
    ];
    for (place, key, region) in [
        // Without a look at any file.
        (0, "AKIAVARIABLE", "us-east-1"),
        (1, "AKIACREDENTIALS", "eu-north-9"),
        (2, "AKIACONFIG", "eu-north-9"),
        (3, "AKIAPROGRAM", "eu-north-9"),
        (4, "AKIAIDENTITY", "us-east-1"),
        (5, "AKIACONTAINER", "us-east-1"),
        (6, "AKIAINSTANCE", "us-east-1"),
    ] {
        let keys_of = |at, key| if place <= at { keys(key) } else { String::new() };
        home.write("credentials", &format!("[default]\n{}", keys_of(1, "AKIACREDENTIALS")));
        let process = if place <= 3 { process } else { "" };
        home.write("config", &format!("[default]\n{}{process}", keys_of(2, "AKIACONFIG")));
        let mut delete = home.command(&s3, &DELETE);
        delete.arg("k").env("AWS_ENDPOINT_URL_STS", givers.endpoint());
        delete.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", givers.endpoint());
        delete.env_remove("AWS_EC2_METADATA_DISABLED");
        delete.envs(variables.into_iter().filter(|_| place == 0));
        delete.envs(web.into_iter().filter(|_| place <= 4));
        delete.envs(container.into_iter().filter(|_| place <= 5));
        let (code, error) = said(&delete.output().unwrap());
        assert_eq!(code, Some(0), "{key}: {error}");
        let request = s3.requests().pop().unwrap();
        assert_eq!(signed_by(&request), (key.into(), region.into()));
        let token = request.header("x-amz-security-token");
        assert_eq!(token, (place >= 3).then_some(TOKEN), "{key}");
    }
}

#[test]
fn a_profile_is_the_one_that_is_named() {
    let s3 = bucket();
    let keys = |key: &str| format!("aws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n");
    let home = Home::new(
        "[profile ci]\nregion = eu-west-7\n\n[default]\nregion = eu-west-8\n",
        &format!("[default]\n{}[ci]\n{}", keys("AKIADEFAULT"), keys("AKIACI")),
    );
    let text = "[stores.named]\nbackend = 's3'\naws-profile = 'ci'\nenv = { S3_BUCKET = 'bucket', \
                AWS_ENDPOINT_URL = 'ENDPOINT' }\n";
    let all = format!(
        "{text}{}",
        text.replace("named", "first").replace("aws-profile = 'ci'", "credentials = 'aws'")
    );
    home.write("stores.toml", &all.replace("'ENDPOINT'", &format!("'{}'", s3.endpoint())));
    let variable = [("AWS_ACCESS_KEY_ID", "AKIAVARIABLE"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    for (line, named, variables, key, region) in [
        (&DELETE[..], "ci", &[][..], "AKIACI", "eu-west-7"),
        (&DELETE, "", &[], "AKIADEFAULT", "eu-west-8"),
        (&DELETE, "", &[("AWS_REGION", "eu-west-1")], "AKIADEFAULT", "eu-west-1"),
        // What a store names counts more than variables of the process.
        (
            &["--config", "stores.toml", "--store", "named", "delete"],
            "",
            &variable,
            "AKIACI",
            "eu-west-7",
        ),
        (
            &["--config", "stores.toml", "--store", "first", "delete"],
            "ci",
            &[],
            "AKIACI",
            "eu-west-7",
        ),
        (
            &["--config", "stores.toml", "--store", "first", "delete"],
            "",
            &variable,
            "AKIAVARIABLE",
            "eu-west-8",
        ),
    ] {
        let mut delete = home.command(&s3, line);
        delete.arg("k").env("AWS_PROFILE", named).envs(variables.iter().copied());
        let (code, error) = said(&delete.output().unwrap());
        assert_eq!(code, Some(0), "{key}: {error}");
        let request = s3.requests().pop().unwrap();
        assert_eq!(signed_by(&request), (key.into(), region.into()));
    }
    // Names as Amazon's tools read them, in a file with the mark of an editor.
    for (section, name) in [
        ("[profile \"my dev\"]", "my dev"),
        ("[profile 'my dev']", "my dev"),
        ("[profile  two]", "two"),
        ("[profile\ttwo ]", "two"),
        ("\u{feff}[default]", ""),
    ] {
        let (home, s3) = (Home::new(&format!("{section}\n{}", keys("AKIANAMED")), ""), bucket());
        let mut delete = home.command(&s3, &[&DELETE[..], &["k"]].concat());
        let (code, error) = said(&delete.env("AWS_PROFILE", name).output().unwrap());
        assert_eq!(code, Some(0), "{section}: {error}");
        assert_eq!(signed_by(&s3.requests().pop().unwrap()).0, "AKIANAMED");
    }
    let check = ["--config", "stores.toml", "config", "check"];
    let shown = home.command(&s3, &check).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("credentials = \"aws\"\naws-profile = \"ci\"\n"), "{shown}");
}

#[test]
fn temporary_credentials_are_renewed_while_the_old_ones_are_in_use() {
    let container = Scripted::start(|_, before| {
        let (key, end) = if before == 0 { ("AKIAONE", later(6)) } else { ("AKIATWO", later(3600)) };
        Answer::Send(answer(200, "", &json(key, end)))
    });
    // Slow until it has seen the second one.
    let s3 = Scripted::start(|request, _| {
        if request.header("authorization").is_some_and(|value| value.contains("AKIAONE")) {
            std::thread::sleep(Duration::from_millis(30));
        }
        Answer::Send(served(request))
    });
    let home = Home::new("", "");
    let mut delete = home.command(&s3, &DELETE);
    delete.args((0..1000).map(|n| n.to_string()));
    delete.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.endpoint());
    let (code, error) = said(&delete.output().unwrap());
    assert_eq!(code, Some(0), "{error}");
    let keys: Vec<_> = s3.requests().iter().map(|request| signed_by(request).0).collect();
    assert_eq!(
        (keys.first().unwrap().as_str(), keys.last().unwrap().as_str()),
        ("AKIAONE", "AKIATWO")
    );
    assert_eq!(container.requests().len(), 2);
}

#[test]
fn credentials_that_cannot_be_renewed_are_an_error_when_the_old_ones_have_expired() {
    let container = Scripted::start(|_, before| {
        Answer::Send(match before {
            0 => answer(200, "", &json("AKIAONE", later(4))),
            _ => answer(503, "", "later"),
        })
    });
    let s3 = Scripted::start(|request, _| {
        std::thread::sleep(Duration::from_millis(30));
        Answer::Send(served(request))
    });
    let home = Home::new("", "");
    let mut delete = home.command(&s3, &DELETE[1..]);
    delete.args((0..1000).map(|n| n.to_string()));
    delete.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.endpoint());
    let (code, error) = said(&delete.output().unwrap());
    assert_eq!(code, Some(6), "{error}");
    assert!(error.contains("the endpoint of AWS_CONTAINER_CREDENTIALS_FULL_URI"), "{error}");
    assert!(!s3.requests().is_empty());
}

#[test]
fn a_place_that_fails_is_named_and_no_other_is_asked() {
    let s3 = bucket();
    let metadata = givers();
    let refuses = |status, body: &'static str| {
        Scripted::start(move |_, _| Answer::Send(answer(status, "", body)))
    };
    let (broken, refusing) = (refuses(503, "later"), refuses(403, "hush-container"));
    let expired = "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>too late</Message></Error></ErrorResponse>";
    let sts = refuses(400, expired);
    let stale = Scripted::start(|_, _| Answer::Send(answer(200, "", &json("AKIA", later(-60)))));
    let config = "[profile fails]\ncredential_process = echo log in first >&2; exit 3\n\
                  [profile silent]\ncredential_process = true\n\
                  [profile other]\nrole_arn = r\nsource_profile = fails\n\
                  [profile half]\naws_access_key_id = AKIA\n";
    let home = Home::new(config, "");
    home.write("identity", "hush-identity");
    let full = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    let (broken, refusing, stale) = (broken.endpoint(), refusing.endpoint(), stale.endpoint());
    let sts = sts.endpoint();
    let identity = [("AWS_WEB_IDENTITY_TOKEN_FILE", "identity"), ("AWS_ENDPOINT_URL_STS", &sts)];
    let with_role = [&identity[..], &[("AWS_ROLE_ARN", "r")]].concat();
    let missing = [("AWS_WEB_IDENTITY_TOKEN_FILE", "nowhere"), ("AWS_ROLE_ARN", "r")];
    for (variables, code, parts) in [
        (
            &[("AWS_PROFILE", "fails")][..],
            1,
            &["`credential_process` of the profile `fails`", "log in first"][..],
        ),
        (&[("AWS_PROFILE", "silent")], 1, &["`credential_process` of the profile `silent`"]),
        (
            &[("AWS_PROFILE", "other")],
            1,
            &["profile `other`", "`source_profile`", "export-credentials"],
        ),
        (&[("AWS_PROFILE", "half")], 1, &["profile `half`", "`aws_secret_access_key`"]),
        (&[("AWS_PROFILE", "none")], 1, &["there is no profile `none`", "config"]),
        (&[("AWS_ACCESS_KEY_ID", "AKIA")], 1, &["AWS_SECRET_ACCESS_KEY"]),
        (&identity, 1, &["AWS_ROLE_ARN is not"]),
        (&with_role, 1, &["AWS_WEB_IDENTITY_TOKEN_FILE", "ExpiredToken: too late"]),
        (&missing, 1, &["AWS_WEB_IDENTITY_TOKEN_FILE", "No such file"]),
        (&[(full, &broken)], 6, &[full, "later"]),
        (
            &[(full, &refusing), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush-container")],
            1,
            &[full, "***"],
        ),
        (&[(full, "http://127.0.0.1:9/")], 6, &[full]),
        (&[(full, "http://example.org/")], 1, &[full, "needs `https`"]),
        (&[(full, &stale)], 1, &["have expired at"]),
    ] {
        let mut delete = home.command(&s3, &DELETE[1..]);
        delete.arg("k").envs(variables.iter().copied());
        delete.env_remove("AWS_EC2_METADATA_DISABLED");
        delete.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.endpoint());
        let (found, error) = said(&delete.output().unwrap());
        assert_eq!(found, Some(code), "{variables:?}: {error}");
        parts.iter().for_each(|part| assert!(error.contains(part), "{part}: {error}"));
    }
    assert!(metadata.requests().is_empty() && s3.requests().is_empty());
}

#[test]
fn where_no_place_has_credentials_all_are_named_and_soon() {
    let s3 = bucket();
    let home = Home::new("[default]\nregion = eu-west-8\n", "");
    let silent = Scripted::start(|_, _| Answer::Hang);
    let broken = Scripted::start(|_, _| Answer::Send(answer(503, "", "")));
    let roleless = Scripted::start(|request, _| {
        let is_token = request.path == "/latest/api/token";
        Answer::Send(if is_token { answer(200, "", "t") } else { answer(404, "", "") })
    });
    for (metadata, code, why) in [
        (silent.endpoint(), 1, "does not answer"),
        ("http://127.0.0.1:9".into(), 1, "does not answer"),
        (roleless.endpoint(), 1, "instance metadata not found"),
        (broken.endpoint(), 6, "IMDS server error"),
    ] {
        let mut delete = home.command(&s3, &DELETE);
        delete.arg("k").env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata);
        delete.env_remove("AWS_EC2_METADATA_DISABLED");
        let begun = Instant::now();
        let (found, error) = said(&delete.output().unwrap());
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert_eq!(found, Some(code), "{error}");
        assert!(error.contains(&metadata) && error.contains(why), "{error}");
    }
    let (code, error) = said(&home.command(&s3, &[&DELETE[..], &["k"]].concat()).output().unwrap());
    assert_eq!(code, Some(1));
    for place in [
        "AWS_ACCESS_KEY_ID",
        "profile `default` of `",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_EC2_METADATA_DISABLED is set",
        "docs/s3.md",
    ] {
        assert!(error.contains(place), "{place}: {error}");
    }
    assert!(s3.requests().is_empty());
}

#[test]
fn a_store_that_did_not_ask_for_credentials_asks_no_place_for_them() {
    let (s3, givers) = (bucket(), givers());
    let home = Home::new("", "");
    let text = format!(
        "[stores.open]\nbackend = 's3'\nenv = {{ S3_BUCKET = 'bucket', AWS_ENDPOINT_URL = '{}' }}\n",
        s3.endpoint()
    );
    home.write("stores.toml", &text);
    for line in [
        &["--config", "stores.toml", "delete", "k"][..],
        &["--backend", "s3", "--sign", "none", "delete", "k"],
        &["--backend", "s3", "--sign", "backend", "delete", "k"],
    ] {
        let mut delete = home.command(&s3, line);
        delete.env_remove("AWS_EC2_METADATA_DISABLED");
        delete.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", givers.endpoint());
        let (code, error) = said(&delete.output().unwrap());
        assert_eq!(code, Some(0), "{error}");
        assert_eq!(s3.requests().pop().unwrap().header("authorization"), None);
    }
    assert!(givers.requests().is_empty());
    // Nor does a component that reaches the same service.
    let store = ArtifactStore::open(
        Backend::from_file(guest("fetches")).grants(Grants::none().connect(s3.endpoint())),
    );
    store.unwrap().get(&format!("{}/bucket/k", s3.endpoint())).unwrap();
    assert_eq!(s3.requests().pop().unwrap().header("authorization"), None);
}

#[test]
fn settings_that_exclude_each_other_are_named() {
    let home = Home::new("", "");
    let s3 = bucket();
    for (store, parts) in [
        (
            "backend = 's3'\nsign = 'backend'\ncredentials = 'aws'",
            &["stores.toml:4", "needs `sign = \"host\"`"][..],
        ),
        (
            "backend = 'fs'\ndirectories = [{ host = '.' }]\naws-profile = 'p'",
            &["stores.toml:4", "`s3` alone"],
        ),
        ("backend = 's3'\ncredentials = 'hush'", &["stores.toml:3", "must be \"aws\""]),
        (
            "backend = 's3'\ncredentials = 'aws'\nenv = { S3_BUCKET = 'b', AWS_ACCESS_KEY_ID = 'hush' }",
            &["stores.toml:4", "AWS_ACCESS_KEY_ID: the credentials come from elsewhere"],
        ),
    ] {
        home.write("stores.toml", &format!("[stores.a]\n{store}\n"));
        let list = home.command(&s3, &["--config", "stores.toml", "list"]).output().unwrap();
        let (code, error) = said(&list);
        assert_eq!(code, Some(1), "{error}");
        parts.iter().for_each(|part| assert!(error.contains(part), "{part}: {error}"));
    }
}

#[test]
fn a_program_learns_that_there_are_none() {
    let s3 = bucket();
    let credentials = S3Credentials::aws_profile("a-profile-that-nobody-has");
    assert!(format!("{credentials:?}").contains("a-profile-that-nobody-has"));
    let bucket = S3Bucket::new(s3.endpoint(), "bucket");
    let foreign = Backend::from_file(guest("fetches"));
    let variables = [("S3_BUCKET", "bucket".to_owned()), ("AWS_ENDPOINT_URL", s3.endpoint())];
    for backend in [
        foreign.grants(Grants::none().sign_s3(bucket, credentials.clone())),
        Backend::s3_with(variables, credentials).unwrap(),
    ] {
        let error = ArtifactStore::open(backend).expect_err("it has no credentials");
        assert!(matches!(error.kind(), ErrorKind::Load(LoadError::Credentials(_))), "{error:?}");
        assert!(error.to_string().contains("a-profile-that-nobody-has"), "{error}");
        assert!(!error.is_retryable());
    }
    assert!(s3.requests().is_empty());
}

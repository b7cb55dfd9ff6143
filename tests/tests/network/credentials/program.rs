//! Programs that state credentials, and answers that do not have them.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use artifact_store_tests::scripted::{Answer, Scripted, answer};

use super::scene::{DELETE, Home, bucket, json, later, said, signed_by};

/// A home whose default profile has this program, which may name files of the home.
fn with_program(line: &str) -> Home {
    let home = Home::new("", "");
    let line = line.replace("HOME", &home.path().display().to_string());
    home.write("config", &format!("[default]\ncredential_process = {line}\n"));
    home
}

/// The exit code of a deletion, and what it says.
fn outcome(home: &Home) -> (Option<i32>, String) {
    let s3 = bucket();
    said(&home.command(&s3, &[&DELETE[..], &["k"]].concat()).output().unwrap())
}

#[test]
fn what_was_read_is_in_no_message() {
    let output = |text: &str| {
        let home = with_program("cat 'HOME/output'");
        home.write("output", text);
        home
    };
    let keys = |secret: &str, version: &str| {
        format!(
            "{{\"Version\": {version}, \"AccessKeyId\": \"AKIA\", \"SecretAccessKey\": {secret}}}"
        )
    };
    for (home, what) in [
        (output("\"hush\""), "not a JSON object"),
        (output("hush"), "not a JSON object"),
        (output("[\"hush\"]"), "not a JSON object"),
        (output(&keys("{\"hush\": 1}", "1")), "`SecretAccessKey` in its output is not a string"),
        (output(&keys("null", "1")), "has no `SecretAccessKey`"),
        (output(&keys("\"hush\"", "\"hush\"")), "`Version` in its output is not 1"),
        (output(&keys("\"hush\"", "2")), "`Version` in its output is not 1"),
        (with_program("echo >&2; echo log in >&2; echo hush >&2; echo hush; exit 3"), "log in"),
    ] {
        let (code, error) = outcome(&home);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains("`credential_process` of the profile `default`"), "{error}");
        assert!(error.contains(what), "{what}: {error}");
    }
    let home = Home::new("", "");
    let s3 = bucket();
    let secret = json("AKIA", later(60));
    for (status, body) in [
        (200, "\"hush\"".to_owned()),
        (200, secret.replace("hush/secret+of=all", "hush").replace("\"hush\"", "[\"hush\"]")),
        (200, secret.replace("\"Expiration\": \"", "\"Expiration\": \"hush")),
        (203, secret),
    ] {
        let container = Scripted::start(move |_, _| Answer::Send(answer(status, "", &body)));
        let mut delete = home.command(&s3, &DELETE);
        delete.arg("k").env("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.endpoint());
        let (code, error) = said(&delete.output().unwrap());
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains("the endpoint of AWS_CONTAINER_CREDENTIALS_FULL_URI"), "{error}");
    }
}

#[test]
fn an_end_that_is_no_time_is_an_error() {
    let good = json("AKIA", later(3600));
    let (before, _) = good.split_once("\"Expiration\"").unwrap();
    for (end, is_good) in [
        ("\"tomorrow\"", false),
        ("\"\"", false),
        ("\"253402300800\"", false),
        ("253402300800", false),
        ("\"2020-01-01 00:00:00 UTC\"", false),
        ("\"2126-01-01T00:00:00+02:00\"", true),
        ("null", true),
    ] {
        let home = with_program("cat 'HOME/output'");
        home.write("output", &format!("{before}\"Expiration\": {end}}}"));
        let (code, error) = outcome(&home);
        assert_eq!(code, Some(i32::from(!is_good)), "{end}: {error}");
        assert!(is_good || error.contains("`Expiration` in its output is not a"), "{end}: {error}");
    }
}

#[test]
fn a_shell_gets_the_line_as_it_is() {
    let home = with_program("cat 'HOME/two  blanks'");
    home.write("two  blanks", &json("AKIAPROGRAM", later(3600)));
    let s3 = bucket();
    let output = home.command(&s3, &[&DELETE[..], &["k"]].concat()).output().unwrap();
    let (code, error) = said(&output);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(signed_by(&s3.requests().pop().unwrap()).0, "AKIAPROGRAM");
}

#[test]
fn an_answer_without_an_end_is_refused() {
    let (code, error) = outcome(&with_program("cat /dev/zero"));
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("its output is longer than 64 KiB"), "{error}");
    // What goes to the other output is not kept, and delays nobody.
    let much = "head -c 1000000 /dev/zero >&2; cat 'HOME/output'";
    let home = with_program(much);
    home.write("output", &json("AKIA", later(3600)));
    let (code, error) = outcome(&home);
    assert_eq!(code, Some(0), "{error}");
    // Of a service, too.
    let container = Scripted::start(|_, _| Answer::Send(answer(200, "", &" ".repeat(300_000))));
    let (home, s3) = (Home::new("", ""), bucket());
    let mut delete = home.command(&s3, &DELETE);
    delete.arg("k").env("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.endpoint());
    let (code, error) = said(&delete.output().unwrap());
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("its answer is longer than 256 KiB"), "{error}");
}

#[test]
fn a_service_that_is_busy_may_answer_later() {
    let (home, s3) = (Home::new("", ""), bucket());
    for status in [429, 503] {
        let container = Scripted::start(move |_, _| Answer::Send(answer(status, "", "not now")));
        let mut delete = home.command(&s3, &DELETE);
        delete.arg("k").env("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.endpoint());
        let (code, error) = said(&delete.output().unwrap());
        assert_eq!(code, Some(6), "{error}");
        assert!(error.contains("not now"), "{error}");
    }
}

#[test]
fn what_a_program_leaves_in_the_background_delays_nobody() {
    let home = with_program("cat 'HOME/output'; sleep 300 & echo $! > 'HOME/pid'");
    home.write("output", &json("AKIA", later(3600)));
    let begun = Instant::now();
    let (code, error) = outcome(&home);
    assert_eq!(code, Some(0), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    // It is there on purpose.
    let left = pid(&home.path().join("pid")).expect("it has begun");
    rustix::process::kill_process(left, rustix::process::Signal::KILL).expect("it is still there");
}

#[test]
fn a_program_ends_with_the_process_that_waits_for_it() {
    let home = with_program("sleep 300 & echo $! > 'HOME/pid.new'; mv HOME/pid.new HOME/pid; wait");
    let s3 = bucket();
    let mut delete = home.command(&s3, &[&DELETE[..], &["k"]].concat());
    let mut child = delete.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let file = home.path().join("pid");
    let begun = Instant::now();
    let started = loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not start");
        std::thread::sleep(Duration::from_millis(20));
        if let Some(pid) = pid(&file) {
            break pid;
        }
    };
    let waiting = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(waiting, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    while is_running(started) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Nobody may have waited for its end.
fn is_running(pid: rustix::process::Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn pid(file: &Path) -> Option<rustix::process::Pid> {
    let text = std::fs::read_to_string(file).ok()?;
    rustix::process::Pid::from_raw(text.trim().parse().ok()?)
}

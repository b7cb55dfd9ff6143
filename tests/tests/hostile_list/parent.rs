//! Starts the processes that are to be harmed, and counts.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use artifact_store_tests::scripted::{Answer, Scripted, answer};
use libtest_mimic::{Failed, Trial};

use crate::{list, process, sabotage};

/// What comes of one behaviour is said within this time, or the process hangs.
const SILENCE: Duration = Duration::from_secs(90);

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("no_behaviour_of_the_list_harms_the_host", harmless),
        Trial::test("the_list_is_long_and_names_each_behaviour_once", is_a_list),
        Trial::test("each_kind_of_harm_is_noticed", harm_is_noticed),
        Trial::test("a_process_that_ends_is_harmed", || is_harmed("abort", "ended")),
        Trial::test("a_process_that_hangs_is_harmed", || is_harmed("hang", "said nothing")),
    ]
}

fn is_a_list() -> Result<(), Failed> {
    let all = list::all();
    let names: BTreeSet<_> = all.iter().map(|behaviour| behaviour.name()).collect();
    if names.len() != all.len() || all.len() < 100 {
        return Err(format!("{} behaviours, {} of them distinct", all.len(), names.len()).into());
    }
    Ok(())
}

fn harmless() -> Result<(), Failed> {
    let (granted, other) = (service(), service());
    let endpoints = [granted.endpoint(), other.endpoint()];
    let verdict = watch("list", &endpoints, list::all().len(), SILENCE);
    for line in &verdict.lines {
        println!("{line}");
    }
    let mut harmed = verdict.harmed;
    if !other.requests().is_empty() {
        harmed.push(format!("an endpoint that was not granted was asked: {:?}", other.requests()));
    }
    for request in granted.requests() {
        if format!("{request:?}").to_lowercase().contains("smuggled") {
            harmed.push(format!("a request was smuggled: {request:.300?}"));
        }
    }
    println!("{} behaviours, harmed the host: {}", verdict.lines.len(), harmed.len());
    if harmed.is_empty() { Ok(()) } else { Err(harmed.join("\n").into()) }
}

/// Each harm that is done on purpose is called by its name.
fn harm_is_noticed() -> Result<(), Failed> {
    let harms = sabotage::all();
    let verdict = watch("harms", &[String::new(), String::new()], harms.len(), SILENCE);
    for (name, said) in harms.iter().map(|harm| (harm.name, harm.noticed)) {
        let mut of_it = verdict.harmed.iter().filter(|harm| harm.contains(name));
        if !of_it.any(|harm| harm.contains(said)) {
            let all = verdict.lines.join("\n");
            return Err(format!("`{name}` was not noticed as `{said}`:\n{all}").into());
        }
    }
    Ok(())
}

fn is_harmed(which: &str, said: &str) -> Result<(), Failed> {
    let verdict = watch(which, &[String::new(), String::new()], 1, Duration::from_secs(20));
    match &verdict.harmed[..] {
        [harm] if harm.contains(said) => Ok(()),
        harmed => Err(format!("not noticed: {harmed:?}").into()),
    }
}

/// A service that answers as the path says.
fn service() -> Scripted {
    Scripted::start(|request, _| match request.path.as_str() {
        "/hang" => Answer::Hang,
        "/header-without-end" => Answer::Close(answer(200, &"x: y\r\n".repeat(100_000), "")),
        "/large-header" => {
            Answer::Close(answer(200, &format!("x: {}\r\n", "y".repeat(8 << 20)), ""))
        }
        "/cut" => Answer::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\ncut".to_vec()),
        "/reset" => Answer::Reset(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_vec()),
        "/nonsense" => Answer::Close(b"\0\x1b[2J\r\n\r\n".repeat(1000)),
        "/informed" => Answer::Close(b"HTTP/1.1 103 Early\r\n\r\n".repeat(10_000)),
        "/chunks" => Answer::Close(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nx".to_vec(),
        ),
        "/redirect" => Answer::Send(answer(307, "location: http://127.0.0.1:9/\r\n", "")),
        _ => Answer::Send(answer(200, "", "hello")),
    })
}

/// What a process said, and what came of it.
struct Verdict {
    lines: Vec<String>,
    harmed: Vec<String>,
}

/// Runs a process until it has said a line for each of so many behaviours.
fn watch(which: &str, endpoints: &[String; 2], expected: usize, silence: Duration) -> Verdict {
    let [granted, other] = endpoints;
    let mut child = Command::new(std::env::current_exe().expect("a test knows its own file"))
        .env(process::WHICH, which)
        .env(process::GRANTED, granted)
        .env(process::OTHER, other)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|l| tell.send(l)));
    let (mut lines, mut harmed, mut begun) = (Vec::new(), Vec::new(), String::new());
    let since = Instant::now();
    loop {
        match told.recv_timeout(silence) {
            Ok(line) => match line.strip_prefix(process::BEGINS) {
                Some(name) => begun = name.to_owned(),
                None => {
                    if line.starts_with(process::HARMED) {
                        harmed.push(line.clone());
                    }
                    lines.push(line);
                }
            },
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                harmed.push(format!("the process said nothing for {silence:?} after {begun}"));
                let _ = child.kill();
                break;
            }
        }
    }
    let status = child.wait().expect("it is this process's child");
    if harmed.is_empty() && (!status.success() || lines.len() != expected) {
        let said = lines.len();
        harmed.push(format!("the process ended ({status}) after {begun}, {said} of {expected}"));
    }
    eprintln!("{which}: {:?}", since.elapsed());
    Verdict { lines, harmed }
}

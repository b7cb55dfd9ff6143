//! Credentials that have expired, at a server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::scene::{Home, TOKEN, bucket, json, later};

struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn credentials_that_are_not_renewed_are_few_lines_and_few_searches() {
    let s3 = bucket();
    let home = Home::new("", "");
    let program = "echo >> 'HOME/searches'; cat 'HOME/output' || exit 3";
    let program = program.replace("HOME", &home.path().display().to_string());
    home.write("config", &format!("[default]\ncredential_process = {program}\n"));
    home.write("output", &json("AKIA", later(4)));
    let mut serve = home.command(&s3, &["--backend", "s3", "serve", "--http", "127.0.0.1:0"]);
    serve.env("ARTIFACT_STORE_S3_KEY_ID", "it").env("ARTIFACT_STORE_S3_SECRET", "let-me-in");
    serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut serving = Serving(serve.spawn().unwrap());
    let mut lines = BufReader::new(serving.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| Some(line.split_once(" on http://")?.1.to_owned()));
    let address = address.expect("it serves");
    std::fs::remove_file(home.path().join("output")).unwrap();
    let status = || {
        let mut stream = TcpStream::connect(address.trim_end_matches('/')).unwrap();
        let head = "Host: it\r\nAuthorization: Bearer let-me-in\r\nConnection: close";
        write!(stream, "GET /artifacts/k HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let begun = Instant::now();
    while status() == "404" {
        assert!(begun.elapsed() < Duration::from_secs(60), "they do not expire");
        std::thread::sleep(Duration::from_millis(50));
    }
    let searches = || std::fs::read_to_string(home.path().join("searches")).unwrap().len();
    let (before, begun) = (searches(), Instant::now());
    for _ in 0..200 {
        let status = status();
        assert!(status == "500" || status == "503", "{status}");
    }
    let found = searches();
    let most = before + 1 + usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!(found <= most, "{before} {found} {most}");
    serving.0.kill().unwrap();
    let log: Vec<_> = lines.collect();
    let shown = log.join("\n");
    let told = log.iter().filter(|line| line.contains("are not renewed")).count();
    let minutes = usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
    assert!((1..=2 + minutes).contains(&told), "{told}: {shown}");
    assert!(!shown.contains("is not signed") && !shown.contains(TOKEN), "{shown}");
    assert!(log.len() <= 6 + 3 * minutes, "{}: {shown}", log.len());
}

//! A server that is a process of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::served::Client;

/// Killed where it is dropped.
pub struct Serving {
    pub child: Child,
    pub client: Client,
    /// Where it answers for its health.
    pub admin: Option<SocketAddr>,
    /// What it said before it served.
    pub said: Vec<String>,
    /// What it has said since.
    pub later: Arc<Mutex<Vec<String>>>,
}

impl Serving {
    /// How many lines with this text it has said since it serves.
    pub fn lines(&self, text: &str) -> usize {
        self.later.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub const KEY: [(&str, &str); 2] =
    [("ARTIFACT_STORE_S3_KEY_ID", "id"), ("ARTIFACT_STORE_S3_SECRET", "hush")];

pub const ANY: [&str; 3] = ["serve", "--s3", "127.0.0.1:0"];

pub fn command(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = artifact_store_tests::cli();
    command.args(arguments).current_dir(dir).stdin(Stdio::null()).stderr(Stdio::piped());
    command.env_remove(KEY[0].0).env_remove(KEY[1].0).envs(variables.iter().copied());
    command
}

pub fn serve(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Serving {
    start(&mut command(dir, arguments, variables))
}

/// Waits until it serves.
pub fn start(command: &mut Command) -> Serving {
    let mut child = command.spawn().unwrap();
    let (mut said, mut value, mut admin) = (Vec::new(), BTreeMap::new(), None);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().unwrap_or_else(|| panic!("it does not serve: {said:?}")).unwrap();
        let on = line.split_once(" on http://").or_else(|| line.split_once(" on https://"));
        // What it serves to build caches it says first.
        let is_last = !line.contains("build caches") || !command.get_args().any(|it| it == "--s3");
        if let Some((_, address)) = on.filter(|_| is_last) {
            break address.parse().unwrap();
        }
        if let Some((_, address)) = line.split_once("/metrics are at http://") {
            admin = Some(address.parse().unwrap());
        }
        if let Some((name, text)) = line.split_once('=') {
            value.insert(name.to_owned(), text.to_owned());
        }
        said.push(line);
    };
    let later = Arc::<Mutex<Vec<_>>>::default();
    let to = Arc::clone(&later);
    std::thread::spawn(move || {
        lines.map_while(Result::ok).for_each(|line| to.lock().unwrap().push(line));
    });
    let find = |name: &str, other: &str| value.get(name).cloned().unwrap_or(other.to_owned());
    let (id, secret) = (find("AWS_ACCESS_KEY_ID", "id"), find("AWS_SECRET_ACCESS_KEY", "hush"));
    Serving { child, client: Client::new(address, &id, &secret), admin, said, later }
}

/// Tells it to end.
pub fn tell_to_end(serving: &Serving) {
    let pid = rustix::process::Pid::from_child(&serving.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

pub fn terminate(serving: &mut Serving) -> ExitStatus {
    tell_to_end(serving);
    serving.child.wait().unwrap()
}

pub fn refused(
    dir: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(dir, arguments, variables).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    artifact_store_tests::within(Duration::from_secs(60), what, is_so);
}

//! A real S3 service for tests: SeaweedFS, from the file that the variable `WEED` names.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use artifact_store::{Backend, Sign};

use super::ports;

pub const KEY: &str = "AKIATEST";
pub const SECRET: &str = "secretsecretsecret";

/// The bucket that is there from the start.
pub const BUCKET: &str = "artifacts";

/// Which SeaweedFS to use; none where the tests have to do without.
pub fn binary() -> Option<OsString> {
    let named = std::env::var_os("WEED").filter(|file| !file.is_empty());
    assert!(
        named.is_some() || std::env::var_os("CI").is_none(),
        "CI needs a SeaweedFS, named by WEED"
    );
    named
}

/// The options that say at which port it listens.
const PORTS: [&str; 14] = [
    "s3.port",
    "s3.port.grpc",
    "s3.port.iceberg",
    "s3.port.lance",
    "master.port",
    "master.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "admin.port",
    "admin.port.grpc",
    "webdav.port",
    "debug.port",
];

/// A server of its own, with a directory of its own; both end with this value.
pub struct Weed {
    process: Mutex<Child>,
    port: u16,
    filer: u16,
    _dir: tempfile::TempDir,
}

impl Weed {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory for the server");
        let ports = ports::free(PORTS.len());
        let process = spawn(&ports, &dir);
        let weed =
            Self { process: Mutex::new(process), port: ports[0], filer: ports[6], _dir: dir };
        weed.wait();
        weed
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The variables of a store of its own on this server.
    pub fn variables(&self, prefix: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.into()),
            ("S3_BUCKET", BUCKET.into()),
            ("S3_PREFIX", prefix.into()),
        ]
    }

    pub fn backend(&self, prefix: &str, sign: Sign) -> Backend {
        Backend::s3(self.variables(prefix), sign).expect("the variables are right")
    }

    /// Ends the server at once, as a power cut would.
    pub fn end(&self) {
        let mut process = self.process.lock().unwrap_or_else(|e| e.into_inner());
        let _ = process.kill();
        let _ = process.wait();
    }

    /// Puts an object into the bucket that no store made.
    pub fn put_foreign(&self, name: &str) {
        self.put_file(&format!("/buckets/{BUCKET}/{name}"), "x");
    }

    /// From a moment later on, what it has acknowledged outlives a crash of the machine, which is not
    /// so by default.
    pub fn sync(&self) {
        let rules = r#"{"locations":[{"locationPrefix":"/buckets/","fsync":true}]}"#;
        self.put_file("/etc/seaweedfs/filer.conf", rules);
    }

    fn put_file(&self, path: &str, bytes: &str) {
        let mut connection = TcpStream::connect(("127.0.0.1", self.filer)).expect("it listens");
        let length = bytes.len();
        let head = format!("Host: filer\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        write!(connection, "PUT {path} HTTP/1.1\r\n{head}{bytes}").expect("it reads");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    }

    fn wait(&self) {
        let begin = Instant::now();
        // The bucket is made last.
        let probe = self.backend("probe", Sign::Host);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(60), "SeaweedFS does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        let store = artifact_store::blocking::ArtifactStore::open(probe).expect("it is built in");
        // Not empty: only what has bytes needs a volume.
        while let Err(error) = store.put("ready", "yes") {
            assert!(
                begin.elapsed() < Duration::from_secs(120),
                "SeaweedFS is not ready (it stores nothing where less than 1 % of the disk is \
                 free): {error}"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Weed {
    fn drop(&mut self) {
        self.end();
    }
}

fn spawn(ports: &[u16], dir: &tempfile::TempDir) -> Child {
    let mut weed = Command::new(binary().expect("looked at before"));
    weed.arg("mini")
        .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-webdav=false"])
        .args(["-admin.ui=false", "-s3.autoCreateBucket=false"])
        .arg(format!("-bucket={BUCKET}"))
        .arg(format!("-dir={}", dir.path().display()));
    for (name, port) in PORTS.iter().zip(ports) {
        weed.arg(format!("-{name}={port}"));
    }
    weed.env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("WEED names a program")
}

//! A server on a directory of its own, and a client that signs by its own arithmetic and sees every
//! byte of the answer.
#![allow(dead_code, reason = "each test program uses another part of it")]

pub mod client;
mod plain;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use artifact_store::{ArtifactStore, Backend};
use artifact_store_server::{Access, Buckets, Key, Keys, Server, ServerLimits, Tls};
use futures::FutureExt;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

pub use client::Client;
pub use plain::Plain;

/// The key that may do everything.
pub const ID: &str = "admin";
pub const SECRET: &str = "secret of admin";

/// A server in this process. It has the buckets `artifacts` and `others`, and keys besides the one
/// above: `reader`, `appender` and `narrow`, each with `secret of` before its id as its secret.
pub struct Served {
    pub address: SocketAddr,
    /// Where it serves plain HTTP.
    pub http: SocketAddr,
    pub server: Server,
    pub dir: TempDir,
    pub store: ArtifactStore,
    pub runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub fn start() -> Self {
        Self::with(ServerLimits::default())
    }

    pub fn with(limits: ServerLimits) -> Self {
        Self::over(|dir| Backend::fs(dir), limits)
    }

    /// The same with another backend of the bucket `artifacts`, on its directory.
    pub fn over(backend: impl FnOnce(&Path) -> Backend, limits: ServerLimits) -> Self {
        let open = |dir: &Path, runtime: &Runtime| {
            runtime.block_on(ArtifactStore::open(backend(dir))).unwrap()
        };
        Self::configured(open, |server| server.limits(limits))
    }

    /// The same by TLS.
    pub fn by(tls: Tls, limits: ServerLimits) -> Self {
        let open =
            |dir: &Path, runtime: &Runtime| runtime.block_on(ArtifactStore::open_dir(dir)).unwrap();
        Self::configured(open, |server| server.limits(limits).tls(tls))
    }

    /// The same with other settings of the server. What opens the store of `artifacts` learns its
    /// directory.
    pub fn configured(
        open: impl FnOnce(&Path, &Runtime) -> ArtifactStore,
        configure: impl FnOnce(Server) -> Server,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let folders = ["artifacts", "others"].map(|name| dir.path().join(name));
        folders.iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        let store = open(&folders[0], &runtime);
        let others = runtime.block_on(ArtifactStore::open_dir(&folders[1])).unwrap();
        let buckets = Buckets::new().with("artifacts", store.clone()).unwrap();
        let buckets = buckets.with("others", others).unwrap();
        let key = |id: &str| Key::new(id, format!("secret of {id}"));
        let keys = Keys::new()
            .with(key(ID))
            .with(key("reader").access(Access::Read))
            .with(key("appender").access(Access::Append))
            .with(key("narrow").buckets(["others"]));
        let server = configure(Server::new(buckets, keys));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let serving = server.clone();
        let thread = std::thread::spawn(move || {
            Runtime::new().unwrap().block_on(async {
                let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
                let (s3, http) = (bind().await, bind().await);
                tell.send((s3.local_addr().unwrap(), http.local_addr().unwrap())).unwrap();
                let stop = async { drop(stopped.await) }.shared();
                let s3 = serving.serve(s3, stop.clone());
                tokio::try_join!(s3, serving.serve_http(http, stop)).unwrap();
            });
        });
        let (address, http) = told.recv().unwrap();
        Self { address, http, server, dir, store, runtime, stop: Some(stop), thread: Some(thread) }
    }

    pub fn client(&self) -> Client {
        self.client_of(ID)
    }

    pub fn client_of(&self, id: &str) -> Client {
        Client::new(self.address, id, &format!("secret of {id}"))
    }

    pub fn plain(&self) -> Plain {
        self.plain_of(ID)
    }

    pub fn plain_of(&self, id: &str) -> Plain {
        Plain::basic(self.http, id, &format!("secret of {id}"))
    }

    /// The directory of the bucket `artifacts`.
    pub fn folder(&self) -> std::path::PathBuf {
        self.dir.path().join("artifacts")
    }

    /// Stops it, and waits for its end.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Changes one byte near the end of the only artifact in a directory of the built-in backend.
pub fn damage(dir: &Path) {
    let [file] = &*artifact_store_tests::artifact_files(dir) else { panic!("one artifact") };
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.iter().rposition(|byte| *byte == b'x').expect("a byte of the payload");
    bytes[at] = b'y';
    std::fs::write(file, bytes).unwrap();
}

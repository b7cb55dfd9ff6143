//! Many calls at once.

use std::sync::Barrier;

use artifact_store::{ArtifactStore, Engine};
use artifact_store_tests::scripted::{Answer, Scripted, answer};
use futures::future::join_all;

const CALLS: usize = 32;

/// The server answers once all of them have come, so that each has to run while the others wait.
#[test]
fn calls_that_wait_for_sockets_alone_hold_no_threads() {
    let all = Barrier::new(CALLS);
    let server = Scripted::start(move |request, _| {
        if request.method == "GET" {
            all.wait();
        }
        Answer::Send(answer(200, "etag: \"1\"\r\n", "hello"))
    });
    let engine = Engine::builder().threads(1).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = ArtifactStore::open(server.backend().engine(&engine)).await.unwrap();
        for read in join_all((0..CALLS).map(|_| store.get("k"))).await {
            assert_eq!(read.unwrap(), "hello");
        }
        store.put("k", "new").await.unwrap();
    });
}

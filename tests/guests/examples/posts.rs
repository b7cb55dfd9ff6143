//! A backend that is busy with an endpoint, and with nothing else. A key is the endpoint, a space, and
//! the pause in milliseconds between two bytes; without a pause there are as many as will go.
#![cfg(target_family = "wasm")]

use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme};
use wit_bindgen::StreamResult;

wit_bindgen::generate!({ path: "../../wit", world: "backend", generate_all });

use exports::artifact::storage::artifact_store::{Error, Guest};

struct Posts;

export!(Posts);

impl Guest for Posts {
    /// Sends a byte for each pause, for ever, whatever it was given.
    async fn put(key: String, _: Vec<u8>) -> Result<(), Error> {
        let (endpoint, pause) = parse(&key);
        let (mut writer, body) = wasip3::wit_stream::new();
        wit_bindgen::spawn_local(async move {
            loop {
                let bytes = if pause == 0 { vec![7; 1 << 16] } else { vec![7] };
                if !writer.write_all(bytes).await.is_empty() {
                    break;
                }
                wait_for(pause * 1_000_000).await;
            }
        });
        let (_, no_trailers) = wasip3::wit_future::new(|| Ok(None));
        let (request, _) = Request::new(Fields::new(), Some(body), no_trailers, None);
        send(request, &Method::Post, endpoint).await.map(drop)
    }

    /// Asks again and again.
    async fn delete(key: String) -> Result<(), Error> {
        let (endpoint, pause) = parse(&key);
        loop {
            let (_, no_trailers) = wasip3::wit_future::new(|| Ok(None));
            let (request, _) = Request::new(Fields::new(), None, no_trailers, None);
            let _ = send(request, &Method::Get, endpoint).await;
            wait_for(pause * 1_000_000).await;
        }
    }

    /// Takes what comes, for ever.
    async fn get(key: String) -> Result<Vec<u8>, Error> {
        let (endpoint, _) = parse(&key);
        let (_, no_trailers) = wasip3::wit_future::new(|| Ok(None));
        let (request, _) = Request::new(Fields::new(), None, no_trailers, None);
        let response = send(request, &Method::Get, endpoint).await?;
        let (_done, is_done) = wasip3::wit_future::new(|| Ok(()));
        let (mut stream, _ended) = Response::consume_body(response, is_done);
        loop {
            if let (StreamResult::Dropped, _) = stream.read(Vec::with_capacity(1 << 16)).await {
                return Ok(Vec::new());
            }
        }
    }
}

fn parse(key: &str) -> (&str, u64) {
    let (endpoint, pause) = key.split_once(' ').unwrap_or((key, "0"));
    (endpoint, pause.parse().unwrap())
}

async fn send(request: Request, method: &Method, endpoint: &str) -> Result<Response, Error> {
    let refused = |()| Error::Other("no such URL".into());
    let (_, authority) = endpoint.split_once("://").unwrap_or(("", endpoint));
    request.set_method(method).map_err(refused)?;
    request.set_scheme(Some(&Scheme::Http)).map_err(refused)?;
    request.set_authority(Some(authority)).map_err(refused)?;
    request.set_path_with_query(Some("/")).map_err(refused)?;
    client::send(request).await.map_err(|code: ErrorCode| Error::Other(format!("{code:?}")))
}

//! A backend that asks for whatever URL it is given as a key, and says what came of it. A put
//! asks with every timeout at zero.
#![cfg(target_family = "wasm")]

use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme};
use wit_bindgen::StreamResult;

wit_bindgen::generate!({ path: "../../wit", world: "backend", generate_all });

use exports::artifact::storage::artifact_store::{Error, Guest};

struct Fetches;

export!(Fetches);

impl Guest for Fetches {
    async fn put(key: String, data: Vec<u8>) -> Result<(), Error> {
        let options = RequestOptions::new();
        options.set_connect_timeout(Some(0)).unwrap();
        options.set_first_byte_timeout(Some(0)).unwrap();
        options.set_between_bytes_timeout(Some(0)).unwrap();
        let _ = data;
        fetch(&key, Some(options)).await.map(|_| ())
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        fetch(&key, None).await
    }

    async fn delete(_: String) -> Result<(), Error> {
        Err(Error::Unsupported("nothing is stored here".into()))
    }
}

async fn fetch(url: &str, options: Option<RequestOptions>) -> Result<Vec<u8>, Error> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let headers = Fields::new();
    headers.append("x-amz-meta-a", b"b").unwrap();
    let (_, no_trailers) = wasip3::wit_future::new(|| Ok(None));
    let (request, _) = Request::new(headers, None, no_trailers, options);
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let refused = |()| Error::Other("no such URL".into());
    request.set_method(&Method::Get).map_err(refused)?;
    request.set_scheme(Some(&scheme)).map_err(refused)?;
    request.set_authority(Some(authority)).map_err(refused)?;
    request.set_path_with_query(Some(&format!("/{path}"))).map_err(refused)?;
    let failed = |code: ErrorCode| Error::Other(format!("{code:?}"));
    let response = client::send(request).await.map_err(failed)?;
    let status = response.get_status_code();
    let (done, is_done) = wasip3::wit_future::new(|| Ok(()));
    let (mut stream, ended) = Response::consume_body(response, is_done);
    let mut bytes = format!("{status} ").into_bytes();
    loop {
        let how;
        bytes.reserve(4096);
        (how, bytes) = stream.read(bytes).await;
        if let StreamResult::Dropped | StreamResult::Cancelled = how {
            break;
        }
    }
    ended.await.map_err(failed)?;
    drop(done);
    Ok(bytes)
}

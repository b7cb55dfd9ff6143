//! A backend that asks for whatever URL it is given as a key, and says what came of it. A put
//! asks with every timeout at zero.
//!
//! A key of the form `METHOD URL | name: value | …` asks by this method and with these headers, and
//! is answered with all that came: the status, the headers and the body. `times: 3` among the
//! headers asks three times.
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
        fetch(&Asked::plain(&key), Some(options)).await.map(|_| ())
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        let Some(asked) = Asked::parse(&key) else {
            let (status, _, body) = fetch(&Asked::plain(&key), None).await?;
            return Ok([format!("{status} ").into_bytes(), body].concat());
        };
        for _ in 1..asked.times {
            let _ = fetch(&asked, None).await;
        }
        let (status, headers, body) = fetch(&asked, None).await?;
        let mut bytes = format!("{status}\n").into_bytes();
        for (name, value) in headers {
            bytes.extend([name.as_bytes(), b": ", &value, b"\n"].concat());
        }
        Ok([bytes, b"\n".to_vec(), body].concat())
    }

    async fn delete(_: String) -> Result<(), Error> {
        Err(Error::Unsupported("nothing is stored here".into()))
    }
}

struct Asked<'a> {
    method: &'a str,
    url: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    times: u32,
}

impl<'a> Asked<'a> {
    fn plain(url: &'a str) -> Self {
        Self { method: "GET", url, headers: vec![("x-amz-meta-a", "b")], times: 1 }
    }

    fn parse(key: &'a str) -> Option<Self> {
        let (method, rest) = key.split_once(' ')?;
        let mut parts = rest.split(" | ");
        let url = parts.next()?;
        let mut asked = Self { method, url, headers: Vec::new(), times: 1 };
        for (name, value) in parts.filter_map(|header| header.split_once(": ")) {
            match name {
                "times" => asked.times = value.parse().ok()?,
                _ => asked.headers.push((name, value)),
            }
        }
        Some(asked)
    }
}

type Fetched = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);

async fn fetch(asked: &Asked<'_>, options: Option<RequestOptions>) -> Result<Fetched, Error> {
    let Asked { method, url, .. } = *asked;
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let headers = Fields::new();
    for (name, value) in &asked.headers {
        let refused = |error| Error::Other(format!("the header `{name}`: {error:?}"));
        headers.append(name, value.as_bytes()).map_err(refused)?;
    }
    let (_, no_trailers) = wasip3::wit_future::new(|| Ok(None));
    let (request, _) = Request::new(headers, None, no_trailers, options);
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let refused = |()| Error::Other("no such URL".into());
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        other => Method::Other(other.into()),
    };
    request.set_method(&method).map_err(refused)?;
    request.set_scheme(Some(&scheme)).map_err(refused)?;
    request.set_authority(Some(authority)).map_err(refused)?;
    request.set_path_with_query(Some(&format!("/{path}"))).map_err(refused)?;
    let failed = |code: ErrorCode| Error::Other(format!("{code:?}"));
    let response = client::send(request).await.map_err(failed)?;
    let status = response.get_status_code();
    let headers = response.get_headers().copy_all();
    let (done, is_done) = wasip3::wit_future::new(|| Ok(()));
    let (mut stream, ended) = Response::consume_body(response, is_done);
    let mut bytes = Vec::new();
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
    Ok((status, headers, bytes))
}

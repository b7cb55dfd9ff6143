//! HTTP.

use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme};

use crate::{Done, done};

fn text<E: std::fmt::Debug>(error: E) -> String {
    format!("{error:?}")
}

/// A request for a path at an endpoint, as it should be, and with `headers`.
fn request(endpoint: &str, path: &str, headers: Fields) -> Result<Request, String> {
    let (_, no_trailers) = wasip3::wit_future::new(|| Ok(None));
    let (request, _) = Request::new(headers, None, no_trailers, None);
    address(&request, endpoint, path)?;
    Ok(request)
}

fn address(request: &Request, endpoint: &str, path: &str) -> Result<(), String> {
    let (scheme, authority) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| "no such scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "no such authority")?;
    request.set_path_with_query(Some(path)).map_err(|()| "no such path")?;
    Ok(())
}

async fn sent(request: Request) -> Done {
    let response = client::send(request).await.map_err(text)?;
    let status = response.get_status_code();
    let (_done, is_done) = wasip3::wit_future::new(|| Ok(()));
    let (stream, ended) = Response::consume_body(response, is_done);
    let body = stream.collect().await.len();
    ended.await.map_err(text)?;
    Ok(format!("{status} {body}"))
}

async fn with_header(endpoint: &str, name: &str, value: &[u8]) -> Done {
    let headers = Fields::new();
    headers.append(name, value).map_err(text)?;
    sent(request(endpoint, "/", headers)?).await
}

pub async fn raid(word: &str, endpoint: &str) -> Done {
    match word {
        // What stands behind the endpoint is the service's doing, which is an adversary as well.
        "ask" => {
            let (endpoint, path) = endpoint.rsplit_once('/').unwrap_or((endpoint, ""));
            sent(request(endpoint, &format!("/{path}"), Fields::new())?).await
        }
        "many-headers" => {
            let headers = Fields::new();
            for n in 0..100_000 {
                headers.append(&format!("x-{n}"), b"y").map_err(text)?;
            }
            sent(request(endpoint, "/", headers)?).await
        }
        "large-header" => with_header(endpoint, "x-large", &vec![b'y'; 8 << 20]).await,
        "header-with-line-end" => {
            with_header(endpoint, "x-a", b"b\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n").await
        }
        "header-name-with-line-end" => with_header(endpoint, "x\r\nx-smuggled", b"b").await,
        "host" => with_header(endpoint, "host", b"other.invalid").await,
        "two-lengths" => {
            let headers = Fields::new();
            for length in [b"0", b"9"] {
                headers.append("content-length", length).map_err(text)?;
            }
            sent(request(endpoint, "/", headers)?).await
        }
        "transfer-encoding" => with_header(endpoint, "transfer-encoding", b"chunked").await,
        "upgrade" => {
            let headers = Fields::new();
            headers.append("connection", b"upgrade").map_err(text)?;
            headers.append("upgrade", b"websocket").map_err(text)?;
            sent(request(endpoint, "/", headers)?).await
        }
        "long-url" => sent(request(endpoint, &"/x".repeat(4 << 20), Fields::new())?).await,
        "url-with-line-end" => {
            let path = "/ HTTP/1.1\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n";
            sent(request(endpoint, path, Fields::new())?).await
        }
        "absolute-url" => sent(request(endpoint, "http://other.invalid/", Fields::new())?).await,
        "user-in-authority" => {
            let (_, authority) = endpoint.split_once("://").unwrap_or(("", endpoint));
            sent(request(&format!("http://u:p@{authority}"), "/", Fields::new())?).await
        }
        "endpoint-as-user" => {
            let (_, authority) = endpoint.split_once("://").unwrap_or(("", endpoint));
            sent(request(&format!("http://{authority}@127.0.0.1:9"), "/", Fields::new())?).await
        }
        "other-scheme" => {
            let request = request(endpoint, "/", Fields::new())?;
            let scheme = Scheme::Other("file".into());
            request.set_scheme(Some(&scheme)).map_err(|()| "no such scheme")?;
            sent(request).await
        }
        "no-authority" => {
            let request = request(endpoint, "/", Fields::new())?;
            request.set_authority(None).map_err(|()| "no such authority")?;
            sent(request).await
        }
        "connect" => {
            let request = request(endpoint, "/", Fields::new())?;
            request.set_method(&Method::Connect).map_err(|()| "no such method")?;
            sent(request).await
        }
        "method-with-line-end" => {
            let request = request(endpoint, "/", Fields::new())?;
            let method = Method::Other("GET /smuggled HTTP/1.1\r\n\r\n".into());
            request.set_method(&method).map_err(|()| "no such method")?;
            sent(request).await
        }
        "longest-timeouts" => {
            let options = RequestOptions::new();
            options.set_connect_timeout(Some(u64::MAX)).map_err(text)?;
            options.set_first_byte_timeout(Some(u64::MAX)).map_err(text)?;
            options.set_between_bytes_timeout(Some(u64::MAX)).map_err(text)?;
            let (_, no_trailers) = wasip3::wit_future::new(|| Ok(None));
            let (request, _) = Request::new(Fields::new(), None, no_trailers, Some(options));
            address(&request, endpoint, "/")?;
            sent(request).await
        }
        "body-never-sent" => {
            let (_writer, body) = wasip3::wit_stream::new();
            posted(endpoint, body, Fields::new()).await
        }
        "body-without-end" => {
            let (mut writer, body) = wasip3::wit_stream::new();
            wit_bindgen::spawn_local(async move {
                while writer.write_all(vec![7; 1 << 16]).await.is_empty() {}
            });
            posted(endpoint, body, Fields::new()).await
        }
        "body-longer-than-its-length" => {
            let headers = Fields::new();
            headers.append("content-length", b"1").map_err(text)?;
            let (mut writer, body) = wasip3::wit_stream::new();
            wit_bindgen::spawn_local(async move {
                writer.write_all(b"xGET /smuggled HTTP/1.1\r\n\r\n".to_vec()).await;
            });
            posted(endpoint, body, headers).await
        }
        "body-shorter-than-its-length" => {
            let headers = Fields::new();
            headers.append("content-length", b"1000000").map_err(text)?;
            let (mut writer, body) = wasip3::wit_stream::new();
            wit_bindgen::spawn_local(async move {
                writer.write_all(b"x".to_vec()).await;
            });
            posted(endpoint, body, headers).await
        }
        "trailers-never-sent" => {
            let (_writer, trailers) =
                wasip3::wit_future::new::<Result<Option<Fields>, ErrorCode>>(|| Ok(None));
            let (_body_writer, body) = wasip3::wit_stream::new();
            drop(_body_writer);
            let (request, _) = Request::new(Fields::new(), Some(body), trailers, None);
            request.set_method(&Method::Post).map_err(|()| "no such method")?;
            address(&request, endpoint, "/")?;
            sent(request).await
        }
        "responses-not-read" => {
            let mut responses = Vec::new();
            for _ in 0..50 {
                let request = request(endpoint, "/", Fields::new())?;
                responses.push(client::send(request).await.map_err(text)?);
            }
            Ok(responses.len().to_string())
        }
        "many-at-once" => {
            for _ in 0..200 {
                let request = request(endpoint, "/hang", Fields::new())?;
                wit_bindgen::spawn_local(async move { drop(sent(request).await) });
            }
            wait_for(50_000_000).await;
            Ok("begun".into())
        }
        "requests-not-sent" => {
            let made = (0..100_000).map(|_| request(endpoint, "/", Fields::new()));
            done(made.collect::<Result<Vec<_>, _>>())
        }
        _ => Err("no such raid".into()),
    }
}

async fn posted(endpoint: &str, body: wit_bindgen::StreamReader<u8>, headers: Fields) -> Done {
    let (_, no_trailers) = wasip3::wit_future::new(|| Ok(None));
    let (request, _) = Request::new(headers, Some(body), no_trailers, None);
    request.set_method(&Method::Post).map_err(|()| "no such method")?;
    address(&request, endpoint, "/")?;
    sent(request).await
}

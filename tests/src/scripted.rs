//! A server that answers as a script says: for what real ones do only on their worst days.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use artifact_store::{Backend, Sign};

use crate::weed;

/// A request, with its whole body unless the script cut it, or it came in chunks: those are read and
/// dropped after the answer.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What the server does about a request.
pub enum Answer {
    /// Sends these bytes, and goes on with the connection.
    Send(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Close(Vec<u8>),
    /// Sends these bytes and resets the connection.
    Reset(Vec<u8>),
    /// Says nothing, for ever.
    Hang,
}

/// An answer with this status, these header lines and a body of the right length.
pub fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Because\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into()
}

/// An error of S3.
pub fn error(status: u16, code: &str) -> Vec<u8> {
    let body = format!("<Error><Code>{code}</Code><Message>as scripted</Message></Error>");
    answer(status, "", &body)
}

type Script = dyn Fn(&Request, usize) -> Answer + Send + Sync;

/// The server. Its threads end with the process.
pub struct Scripted {
    scheme: &'static str,
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

impl Scripted {
    /// The script is told the request and how many came before it.
    pub fn start(script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_cutting(usize::MAX, script)
    }

    /// A server that reads no more than so many bytes of a body before it answers.
    pub fn start_cutting(
        most: usize,
        script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen(most, None, script)
    }

    /// A server that speaks TLS, as `tls` says.
    pub fn start_tls(
        tls: Arc<rustls::ServerConfig>,
        script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen(usize::MAX, Some(tls), script)
    }

    fn listen(
        most: usize,
        tls: Option<Arc<rustls::ServerConfig>>,
        script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (script, seen): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&requests));
        let connections: Arc<AtomicUsize> = Arc::default();
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                let tls = tls.clone();
                thread::spawn(move || match tls {
                    None => serve(&connection, &connection, most, &*script, &seen),
                    Some(tls) => {
                        let session = rustls::ServerConnection::new(tls).expect("it is configured");
                        let session = rustls::StreamOwned::new(session, &connection);
                        serve(session, &connection, most, &*script, &seen);
                    }
                });
            }
        });
        Self { scheme, port, requests, connections }
    }

    pub fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// The S3 backend on this server.
    pub fn backend(&self) -> Backend {
        let variables = [
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", weed::KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", weed::SECRET.into()),
            ("S3_BUCKET", weed::BUCKET.into()),
        ];
        Backend::s3(variables, Sign::Host).expect("the variables are right")
    }
}

/// Serves what comes in the `stream` on this connection.
fn serve(
    stream: impl Read + Write,
    connection: &TcpStream,
    most: usize,
    script: &Script,
    seen: &Mutex<Vec<Request>>,
) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader, most) {
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        match script(&request, before) {
            // Where the client is gone, it does not matter.
            Answer::Send(bytes) => drop(send(reader.get_mut(), &bytes)),
            Answer::Close(bytes) => {
                let _ = send(reader.get_mut(), &bytes);
                return;
            }
            Answer::Reset(bytes) => {
                let _ = send(reader.get_mut(), &bytes);
                rustix::net::sockopt::set_socket_linger(
                    connection,
                    Some(std::time::Duration::ZERO),
                )
                .expect("a socket can be reset");
                return;
            }
            Answer::Hang => loop {
                thread::park();
            },
        }
        // What is left of this request is no part of the next one.
        let is_chunked = request.header("transfer-encoding") == Some("chunked");
        if is_chunked && skip_chunks(&mut reader).is_none() {
            return;
        }
    }
}

fn send(stream: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

/// Reads the chunks of a body until their end, with the trailers; none if the client ends before.
fn skip_chunks(reader: &mut impl BufRead) -> Option<()> {
    loop {
        let line = read_line(reader)?;
        let size = u64::from_str_radix(line.split(';').next()?, 16).ok()?;
        if size == 0 {
            while !read_line(reader)?.is_empty() {}
            return Some(());
        }
        let chunk_and_line_end = size.checked_add(2)?;
        std::io::copy(&mut reader.take(chunk_and_line_end), &mut std::io::sink()).ok()?;
    }
}

fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    Some(line.trim_end().to_owned())
}

fn read(reader: &mut impl BufRead, most: usize) -> Option<Request> {
    let line = read_line(reader)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().expect("a number"));
    let mut body = Vec::new();
    reader.take(length.min(most) as u64).read_to_end(&mut body).ok()?;
    Some(Request { method, path, query, headers, body })
}

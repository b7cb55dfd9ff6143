//! Requests of plain HTTP, byte by byte.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::client::{Reply, base64, read_reply};

/// A client without signatures. Each request has a connection of its own.
#[derive(Clone)]
pub struct Plain {
    pub address: SocketAddr,
    /// The value of the header, if it is sent.
    pub authorization: Option<String>,
}

impl Plain {
    pub fn basic(address: SocketAddr, id: &str, secret: &str) -> Self {
        let pair = base64(format!("{id}:{secret}").as_bytes());
        Self { address, authorization: Some(format!("Basic {pair}")) }
    }

    pub fn with(&self, authorization: Option<&str>) -> Self {
        Self { authorization: authorization.map(str::to_owned), ..self.clone() }
    }

    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut stream = self.begin(method, target, headers, body.len());
        // A server that refuses may close before it has all of it.
        let _ = stream.write_all(body);
        read_reply(&mut stream, method == "HEAD")
    }

    /// The head alone, of a request with a body of this length.
    pub fn begin(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        length: usize,
    ) -> TcpStream {
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {}\r\n", self.address);
        let length = length.to_string();
        let fixed = [("connection", "close"), ("content-length", &*length)];
        let is_chunked = headers.iter().any(|(name, _)| *name == "transfer-encoding");
        let fixed = &fixed[..if is_chunked { 1 } else { 2 }];
        let authorization = self.authorization.as_deref().map(|value| ("authorization", value));
        for (name, value) in fixed.iter().chain(headers).chain(&authorization) {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let _ = stream.write_all(format!("{head}\r\n").as_bytes());
        stream
    }

    pub fn put(&self, target: &str, body: &[u8]) -> Reply {
        self.send("PUT", target, &[], body)
    }

    pub fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &[], b"")
    }

    pub fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        self.send("GET", target, headers, b"")
    }

    pub fn head(&self, target: &str) -> Reply {
        self.send("HEAD", target, &[], b"")
    }

    pub fn delete(&self, target: &str) -> Reply {
        self.send("DELETE", target, &[], b"")
    }
}

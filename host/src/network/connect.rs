//! Connecting to an endpoint: name lookup, the operator's proxy, and the timeout for all of it.

use std::error::Error as StdError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{io, thread, vec};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tower_service::Service;

type BoxError = Box<dyn StdError + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// How many names this process looks up at once. Each takes a thread, which is held for as long as
/// the system waits if the name server does not answer.
const LOOKUPS: usize = 16;

/// How many bytes of a proxy's answer are read.
const PROXY_ANSWER: usize = 8 * 1024;

/// Metadata services of clouds whose addresses are not link-local: they give the machine's
/// credentials to every caller.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
];

/// Why an endpoint cannot be reached, if neither the system nor TLS says so.
#[derive(Debug, thiserror::Error)]
pub(super) enum RouteError {
    #[error("the name resolves to no address that a name may resolve to")]
    Prohibited,
    #[error("cannot start a thread to look up the name")]
    NoThread(#[source] io::Error),
    #[error("the name cannot be looked up")]
    UnknownName(#[source] io::Error),
    #[error("connecting took longer than {}", crate::text::span(*.0))]
    Late(Duration),
    #[error("the proxy refused the connection with status {0}")]
    Refused(u16),
    #[error("the proxy cannot reach the endpoint, or it is not a proxy")]
    Unreachable,
}

/// Looks names up on a thread of its own, and removes the addresses that a name must not lead to:
/// otherwise the owner of a granted name could make it mean this machine.
#[derive(Clone)]
pub(super) struct Resolver {
    /// Names that the operator configured may lead anywhere.
    pub(super) is_trusted: bool,
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let is_trusted = self.is_trusted;
        Box::pin(async move {
            let mut found = looked_up(name.as_str().to_owned()).await?;
            let is_local = is_localhost(name.as_str());
            let is_fine = |ip: IpAddr| !is_prohibited(ip) || (is_local && ip.is_loopback());
            found.retain(|address| is_trusted || is_fine(address.ip()));
            match found.is_empty() {
                true => Err(RouteError::Prohibited.into()),
                false => Ok(found.into_iter()),
            }
        })
    }
}

async fn looked_up(name: String) -> Result<Vec<SocketAddr>, BoxError> {
    static FREE: Semaphore = Semaphore::const_new(LOOKUPS);
    let permit = FREE.acquire().await?;
    let (tell, told) = oneshot::channel();
    let look_up = move || {
        let found = (name.as_str(), 0).to_socket_addrs().map(Iterator::collect);
        drop(permit);
        // The receiver may be gone.
        let _ = tell.send(found);
    };
    let thread = thread::Builder::new().name("artifact-store-dns".into()).spawn(look_up);
    thread.map_err(RouteError::NoThread)?;
    Ok(told.await?.map_err(RouteError::UnknownName)?)
}

fn is_localhost(name: &str) -> bool {
    name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case("localhost")
}

/// Addresses of this machine and its link, multicast addresses, and metadata services. Private
/// networks are not among them: many stores are there.
fn is_prohibited(ip: IpAddr) -> bool {
    if METADATA.contains(&ip) {
        return true;
    }
    match ip {
        IpAddr::V4(ip) => {
            let first = ip.octets()[0];
            // `0.x` is this machine, and addresses from 240 on are reserved.
            ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || matches!(first, 0 | 240..)
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unicast_link_local()
                || inner(ip).is_some_and(|ip| is_prohibited(ip.into()))
        }
    }
}

/// The IPv4 address to which an IPv6 address leads: mapped, compatible, by NAT64 or 6to4.
fn inner(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b] = ip.segments();
    match ip.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, ..] => Some(joined(a, b)),
        [0x2002, a, b, ..] => Some(joined(a, b)),
        _ => None,
    }
}

fn joined(a: u16, b: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (a.to_be_bytes(), b.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

/// Connects directly, or through the operator's proxy by `CONNECT`.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) tcp: HttpConnector<Resolver>,
    pub(super) proxy: Option<Uri>,
}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Some(proxy) = self.proxy.clone() else {
            let connecting = self.tcp.call(to);
            return Box::pin(async move { Ok(connecting.await?) });
        };
        let connecting = self.tcp.call(proxy);
        Box::pin(async move {
            let mut stream = connecting.await?.into_inner();
            tunnel(&mut stream, &to).await?;
            Ok(TokioIo::new(stream))
        })
    }
}

async fn tunnel(proxy: &mut TcpStream, to: &Uri) -> Result<(), BoxError> {
    let default = if to.scheme_str() == Some("https") { 443 } else { 80 };
    let (host, port) = (to.host().unwrap_or_default(), to.port_u16().unwrap_or(default));
    let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    proxy.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let end = b"\r\n\r\n";
    while !answer.ends_with(end) {
        // The endpoint sends nothing before we do, so the answer ends here.
        let is_over = answer.len() > PROXY_ANSWER || answer.windows(4).any(|four| four == end);
        if is_over || proxy.read_buf(&mut answer).await? == 0 {
            return Err(RouteError::Unreachable.into());
        }
    }
    let line = String::from_utf8_lossy(&answer);
    let status = line.strip_prefix("HTTP/1.").and_then(|line| line.get(2..5)?.parse().ok());
    match status {
        Some(200..=299) => Ok(()),
        Some(status @ 400..=499) => Err(RouteError::Refused(status).into()),
        _ => Err(RouteError::Unreachable.into()),
    }
}

/// Limits the time for making a connection: name lookup, proxy, TCP and TLS.
#[derive(Clone)]
pub(super) struct Timely<S> {
    pub(super) inner: S,
    pub(super) limit: Duration,
}

impl<S> Service<Uri> for Timely<S>
where
    S: Service<Uri>,
    S::Response: 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connecting, limit) = (self.inner.call(to), self.limit);
        Box::pin(async move {
            let timely = tokio::time::timeout(limit, connecting).await;
            timely.map_err(|_| RouteError::Late(limit))?.map_err(Into::into)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_no_address_of_this_machine_or_its_link() {
        for ip in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "64:ff9b::7f00:1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "ff0e::1",
            "fd00:ec2::254",
            "fd20:ce::254",
        ] {
            assert!(is_prohibited(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn a_name_may_lead_to_public_and_private_networks() {
        for ip in [
            "1.1.1.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "2606:4700:4700::1111",
            "fc00::1",
            "fd00::1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_prohibited(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn localhost_is_one_name_alone() {
        for (name, is) in [
            ("localhost", true),
            ("LocalHost.", true),
            ("a.localhost", false),
            ("localhosts", false),
        ] {
            assert_eq!(is_localhost(name), is, "{name}");
        }
    }
}

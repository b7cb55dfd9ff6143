//! Where the server listens: at addresses of its settings, or on sockets that systemd has opened.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, lookup_host};

use crate::failure::Usage;

/// Where to listen.
pub enum Place {
    /// A socket that listens already.
    Passed(TcpListener),
    /// An address as it was written, and what it means.
    Named(String, Vec<SocketAddr>),
}

impl Place {
    pub async fn named(address: &str) -> Result<Self> {
        let found = lookup_host(address).await.with_context(|| cannot(address))?;
        Ok(Self::Named(address.to_owned(), found.collect()))
    }

    /// An address that others reach; `None` if only this machine does.
    pub fn beyond_loopback(&self) -> Result<Option<String>> {
        Ok(match self {
            Self::Passed(socket) => {
                let address = socket.local_addr()?;
                (!address.ip().is_loopback()).then(|| address.to_string())
            }
            Self::Named(name, found) => {
                found.iter().any(|it| !it.ip().is_loopback()).then(|| name.clone())
            }
        })
    }

    pub async fn listen(self) -> Result<TcpListener> {
        match self {
            Self::Passed(socket) => Ok(socket),
            Self::Named(name, found) => {
                TcpListener::bind(&*found).await.with_context(|| cannot(&name))
            }
        }
    }
}

fn cannot(address: &str) -> String {
    format!("cannot listen on `{address}`")
}

/// The sockets of systemd that were not taken yet, by their names.
pub struct Passed(Vec<(String, TcpListener)>);

impl Passed {
    /// The socket of this name, in place of the address that the option names.
    pub async fn or(&mut self, name: &str, option: Option<&str>) -> Result<Option<Place>> {
        let at = self.0.iter().position(|(it, _)| it == name);
        match (at.map(|at| self.0.remove(at).1), option) {
            (Some(_), Some(address)) => Err(Usage(format!(
                "systemd passes a socket named `{name}`, so that there can be no address \
                 `{address}` for it"
            ))
            .into()),
            (Some(socket), None) => Ok(Some(Place::Passed(socket))),
            (None, Some(address)) => Place::named(address).await.map(Some),
            (None, None) => Ok(None),
        }
    }

    /// A single socket needs no name: systemd then gives it that of its unit.
    pub fn name_only(mut self, name: &str) -> Self {
        if let [(only, _)] = &mut *self.0
            && !["admin", "http"].contains(&&**only)
        {
            name.clone_into(only);
        }
        self
    }

    /// Fails if one is left that nobody would listen on.
    pub fn finish(self) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Usage(format!(
                "systemd passes a socket named `{name}`; `s3`, `http` and `admin` are known \
                 (`FileDescriptorName=`)"
            ))
            .into()),
        }
    }
}

#[cfg(unix)]
pub use of_systemd::{passed, tell};

#[cfg(not(unix))]
pub fn passed() -> Result<Passed> {
    Ok(Passed(Vec::new()))
}

#[cfg(not(unix))]
pub fn tell(_: &str) {}

#[cfg(unix)]
mod of_systemd {
    use std::env;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;

    use anyhow::{Context, Result, ensure};
    use rustix::net::{SocketType, sockopt};
    use tokio::net::TcpListener;

    use super::Passed;
    use crate::{message, startup};

    /// The first descriptor that systemd passes.
    const FIRST: u32 = 3;

    /// The sockets that systemd has opened for this process.
    pub fn passed() -> Result<Passed> {
        let variable = |name| env::var(name).unwrap_or_default();
        let mut sockets = Vec::new();
        // They may have been meant for a process that started this one.
        if variable("LISTEN_PID") == std::process::id().to_string() {
            let count = variable("LISTEN_FDS");
            let count: u32 = count.parse().context("the variable LISTEN_FDS is no number")?;
            let names = variable("LISTEN_FDNAMES");
            let mut names = names.split(':');
            for number in FIRST..FIRST.saturating_add(count) {
                let name = names.next().unwrap_or_default().to_owned();
                let why = || format!("cannot use the socket `{name}` of systemd");
                let socket = listener(number).with_context(why)?;
                sockets.push((name, socket));
            }
        }
        Ok(Passed(sockets))
    }

    fn listener(number: u32) -> Result<TcpListener> {
        let socket = OwnedFd::from(startup::inherited(number)?);
        let is_listening = sockopt::socket_type(&socket)? == SocketType::STREAM
            && sockopt::socket_acceptconn(&socket)?;
        ensure!(is_listening, "it does not listen for connections (`ListenStream=`)");
        let listener = std::net::TcpListener::from(socket);
        listener.local_addr().context("it is no socket of TCP")?;
        listener.set_nonblocking(true)?;
        Ok(TcpListener::from_std(listener)?)
    }

    /// Tells systemd, if it wants to know (`Type=notify`).
    pub fn tell(state: &str) {
        let Some(socket) = env::var_os("NOTIFY_SOCKET").filter(|it| !it.is_empty()) else { return };
        let told = UnixDatagram::unbound().and_then(|it| it.send_to(state.as_bytes(), socket));
        if let Err(error) = told {
            message::print(&format!("cannot tell systemd `{state}`: {error}"));
        }
    }
}

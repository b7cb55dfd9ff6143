//! A backend that tries to reach what it was not granted: `get` does what its key says, in words
//! separated by spaces, and returns what it found.
#![cfg(target_family = "wasm")]

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::SystemTime;

wit_bindgen::generate!({ path: "../../wit", world: "backend" });

use artifact::storage::types::Error;
use exports::artifact::storage::artifact_store::Guest;

struct Intruder;

export!(Intruder);

impl Guest for Intruder {
    async fn put(_: String, _: Vec<u8>) -> Result<(), Error> {
        Err(Error::Unsupported("it stores nothing".into()))
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        attempt(&key).map_err(|error| Error::AccessDenied(error.to_string()))
    }

    async fn delete(_: String) -> Result<(), Error> {
        Ok(())
    }
}

#[allow(deprecated, reason = "`soft_link` is the one that every target has")]
fn attempt(key: &str) -> io::Result<Vec<u8>> {
    let words: Vec<_> = key.split(' ').collect();
    match words[..] {
        ["read", path] => return fs::read(path),
        ["list", path] => {
            let names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name()));
            let names = names.collect::<io::Result<Vec<_>>>()?;
            return Ok(format!("{names:?}").into());
        }
        ["create", path] => File::create_new(path)?.write_all(b"intruded")?,
        ["overwrite", path] => OpenOptions::new().write(true).open(path)?.write_all(b"intruded")?,
        ["append", path] => OpenOptions::new().append(true).open(path)?.write_all(b"intruded")?,
        ["truncate", path] => drop(OpenOptions::new().write(true).truncate(true).open(path)?),
        ["cut-open", path] => File::open(path)?.set_len(0)?,
        ["write-open", path] => File::open(path)?.write_all(b"intruded")?,
        ["touch", path] => {
            let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
            File::open(path)?.set_times(times)?;
        }
        ["remove", path] => fs::remove_file(path)?,
        ["mkdir", path] => fs::create_dir(path)?,
        ["rmdir", path] => fs::remove_dir_all(path)?,
        ["rename", from, to] => fs::rename(from, to)?,
        ["link", from, to] => fs::hard_link(from, to)?,
        ["symlink", to, path] => fs::soft_link(to, path)?,
        ["environment"] => {
            let environment: Vec<_> = std::env::vars().chain(arguments()).collect();
            return Ok(format!("{environment:?}").into());
        }
        ["stdin"] => {
            let mut all = Vec::new();
            io::stdin().read_to_end(&mut all)?;
            return Ok(all);
        }
        ["connect", address] => drop(TcpStream::connect(address)?),
        ["listen", address] => drop(TcpListener::bind(address)?),
        ["send", address] => {
            UdpSocket::bind("127.0.0.1:0")?.send_to(b"intruded", address)?;
        }
        ["resolve", name] => {
            let found: Vec<_> = name.to_socket_addrs()?.collect();
            return Ok(format!("{found:?}").into());
        }
        ["exit"] => std::process::exit(0),
        ["abort"] => std::process::abort(),
        _ => return Err(io::Error::other("no such attempt")),
    }
    Ok(b"done".into())
}

fn arguments() -> impl Iterator<Item = (String, String)> {
    std::env::args().map(|argument| ("argument".into(), argument))
}

//! A filesystem that is one directory, with as many names in it as a test asks for and none of them
//! stored anywhere: a million, or no end of them.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The name at a place in the directory; none at its end.
pub type Name = fn(u64) -> Option<Vec<u8>>;

/// Mounts such a directory at `dir`, for as long as this process lives. That takes the right to
/// mount, as in a namespace that `unshare -rm` made.
pub fn mount(dir: &Path, name: Name) -> io::Result<()> {
    let device = File::options().read(true).write(true).open("/dev/fuse")?;
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    let (dir, options) = (CString::new(dir.as_os_str().as_bytes())?, CString::new(options)?);
    // SAFETY: all are strings that end with a zero, and outlive the call.
    let mounted = unsafe {
        libc::mount(
            c"fuse".as_ptr(),
            dir.as_ptr(),
            c"fuse".as_ptr(),
            libc::MS_NOSUID | libc::MS_NODEV,
            options.as_ptr().cast(),
        )
    };
    if mounted != 0 {
        return Err(io::Error::last_os_error());
    }
    std::thread::spawn(move || serve(device, name));
    Ok(())
}

const GETATTR: u32 = 3;
const STATFS: u32 = 17;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
/// What needs no answer.
const FORGET: [u32; 3] = [2, 36, 42];

fn serve(mut device: File, name: Name) {
    let mut request = vec![0; 1 << 17];
    while let Ok(read) = device.read(&mut request) {
        let request = &request[..read];
        let opcode = u32_at(request, 4);
        if FORGET.contains(&opcode) {
            continue;
        }
        let answer = match opcode {
            INIT => Ok(init()),
            GETATTR => Ok(attributes()),
            STATFS => Ok(vec![0; 80]),
            OPENDIR => Ok(vec![0; 16]),
            READDIR => Ok(entries(name, u64_at(request, 48), u32_at(request, 56) as usize)),
            RELEASEDIR => Ok(Vec::new()),
            // LOOKUP
            1 => Err(libc::ENOENT),
            _ => Err(libc::ENOSYS),
        };
        let (error, body) = match answer {
            Ok(body) => (0, body),
            Err(error) => (-error, Vec::new()),
        };
        let mut reply = Vec::with_capacity(16 + body.len());
        reply.extend((16 + body.len() as u32).to_ne_bytes());
        reply.extend(error.to_ne_bytes());
        reply.extend(&request[8..16]);
        reply.extend(body);
        // A request that was interrupted takes no answer.
        let _ = device.write_all(&reply);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn init() -> Vec<u8> {
    // Version 7.31, without any of its options.
    let mut body = Vec::new();
    for word in [7_u32, 31, 0, 0, 0, 1 << 16, 1] {
        body.extend(word.to_ne_bytes());
    }
    body.resize(64, 0);
    body
}

fn attributes() -> Vec<u8> {
    let mut body = vec![0; 16];
    // Number, size, blocks, and three times.
    for word in [1_u64, 0, 0, 0, 0, 0] {
        body.extend(word.to_ne_bytes());
    }
    for word in [0, 0, 0, libc::S_IFDIR | 0o755, 2, 0, 0, 0, 4096, 0] {
        body.extend(word.to_ne_bytes());
    }
    body
}

fn entries(name: Name, from: u64, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for at in from.. {
        let Some(name) = name(at) else { break };
        let length = (24 + name.len()).next_multiple_of(8);
        if body.len() + length > most {
            break;
        }
        body.extend((at + 2).to_ne_bytes());
        body.extend((at + 1).to_ne_bytes());
        body.extend((name.len() as u32).to_ne_bytes());
        body.extend(u32::from(libc::DT_REG).to_ne_bytes());
        body.extend(name);
        body.resize(body.len().next_multiple_of(8), 0);
    }
    body
}

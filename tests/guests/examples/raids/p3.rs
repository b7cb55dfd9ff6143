//! WASI 0.3.

use wasip3::cli::{environment, exit, stdin, stdout};
use wasip3::clocks::monotonic_clock;
use wasip3::clocks::system_clock::Instant;
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};
use wasip3::random::{insecure, random};
use wasip3::sockets::ip_name_lookup;
use wasip3::sockets::types::{
    IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket, UdpSocket,
};

use crate::{Done, done};

fn root() -> Result<Descriptor, String> {
    let granted = get_directories().into_iter().next();
    granted.map(|(root, _)| root).ok_or_else(|| "no directory".into())
}

async fn file(flags: DescriptorFlags) -> Result<Descriptor, String> {
    open("file", OpenFlags::empty(), flags).await.map_err(|code| format!("{code:?}"))
}

async fn open(path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, ErrorCode> {
    let (root, _) = get_directories().remove(0);
    root.open_at(PathFlags::SYMLINK_FOLLOW, path.into(), how, flags).await
}

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;

fn address(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) })
}

fn text<E: std::fmt::Debug>(error: E) -> String {
    format!("{error:?}")
}

pub async fn raid(word: &str) -> Done {
    match word {
        "random" => Ok(random::get_random_bytes(u64::MAX).len().to_string()),
        "insecure-random" => Ok(insecure::get_insecure_random_bytes(u64::MAX).len().to_string()),
        "end-of-time" => {
            monotonic_clock::wait_until(u64::MAX).await;
            Ok("the end".into())
        }
        "longest-time" => {
            monotonic_clock::wait_for(u64::MAX).await;
            Ok("the end".into())
        }
        "input" => {
            let (stream, ended) = stdin::read_via_stream();
            let read = stream.collect().await.len();
            ended.await.map_err(text)?;
            Ok(read.to_string())
        }
        "hoard-inputs" => {
            Ok((0..100_000).map(|_| stdin::read_via_stream()).collect::<Vec<_>>().len().to_string())
        }
        "output-without-end" => {
            let (mut writer, reader) = wasip3::wit_stream::new();
            let _written = stdout::write_via_stream(reader);
            while writer.write_all(vec![7; 1 << 20]).await.is_empty() {}
            Ok("the end".into())
        }
        // The host is to copy what it reads to where it writes.
        "input-to-output" => done(stdout::write_via_stream(stdin::read_via_stream().0).await),
        "hoard-outputs" => {
            let mut outputs = Vec::new();
            for _ in 0..100_000 {
                let (writer, reader) = wasip3::wit_stream::new();
                outputs.push((writer, stdout::write_via_stream(reader)));
            }
            Ok(outputs.len().to_string())
        }
        "file-into-itself" => {
            let file = file(READ | WRITE).await?;
            let (bytes, _ended) = file.read_via_stream(0);
            done(file.append_via_stream(bytes).await)
        }
        // Nothing but zeroes, and days of them.
        "holes-to-output" => {
            let file = file(READ | WRITE).await?;
            file.set_size(1 << 43).await.map_err(text)?;
            done(stdout::write_via_stream(file.read_via_stream(0).0).await)
        }
        "holes-to-file" => {
            let file = file(READ | WRITE).await?;
            file.set_size(1 << 43).await.map_err(text)?;
            done(file.write_via_stream(file.read_via_stream(0).0, 0).await)
        }
        "exit" => {
            exit::exit(Ok(()));
            Ok("still here".into())
        }
        "environment" => {
            let arguments = environment::get_arguments();
            let variables = environment::get_environment();
            Ok(format!("{variables:?} {arguments:?} {:?}", environment::get_initial_cwd()))
        }
        "stream-past-all-ends" => {
            let (stream, ended) = file(READ).await?.read_via_stream(u64::MAX);
            let read = stream.collect().await.len();
            ended.await.map_err(text)?;
            Ok(read.to_string())
        }
        "stream-to-past-all-ends" => {
            let (mut writer, reader) = wasip3::wit_stream::new();
            let written = file(WRITE).await?.write_via_stream(reader, u64::MAX);
            writer.write_all(vec![7]).await;
            drop(writer);
            done(written.await)
        }
        "write-without-end" => {
            let (_writer, reader) = wasip3::wit_stream::new();
            done(file(WRITE).await?.write_via_stream(reader, 0).await)
        }
        "hoard-writes" => {
            let (file, mut writes) = (file(WRITE).await?, Vec::new());
            for _ in 0..100_000 {
                let (writer, reader) = wasip3::wit_stream::new();
                writes.push((writer, file.write_via_stream(reader, 0)));
            }
            Ok(writes.len().to_string())
        }
        "reads-not-read" => {
            let file = file(READ).await?;
            for _ in 0..10_000 {
                drop(file.read_via_stream(0));
            }
            Ok("done".into())
        }
        "directories-not-read" => {
            let root = root()?;
            for _ in 0..10_000 {
                drop(root.read_directory());
            }
            Ok("done".into())
        }
        "largest-file" => done(file(WRITE).await?.set_size(u64::MAX).await),
        "advise" => done(file(READ).await?.advise(u64::MAX, u64::MAX, Advice::WillNeed).await),
        "times" => {
            let time =
                |seconds, nanoseconds| NewTimestamp::Timestamp(Instant { seconds, nanoseconds });
            let (accessed, modified) = (time(i64::MIN, u32::MAX), time(i64::MAX, 1_000_000_000));
            done(file(WRITE).await?.set_times(accessed, modified).await)
        }
        "directory-as-file" => done(open("dir", OpenFlags::empty(), READ | WRITE).await),
        "read-of-directory" => {
            let (stream, ended) = root()?.read_via_stream(0);
            stream.collect().await;
            done(ended.await)
        }
        "file-as-directory" => {
            let (stream, ended) = file(READ).await?.read_directory();
            stream.collect().await;
            done(ended.await)
        }
        "all-flags" => done(open("file", OpenFlags::all(), DescriptorFlags::all()).await),
        "long-path" => done(open(&"x/".repeat(1 << 20), OpenFlags::empty(), READ).await),
        "dots" => done(open(&"dir/../".repeat(50_000), OpenFlags::empty(), READ).await),
        "nul" => done(open("file\0.txt", OpenFlags::empty(), READ).await),
        "circle-of-links" => done(open("circle/x", OpenFlags::empty(), READ).await),
        "into-itself" => {
            let root = root()?;
            done(root.rename_at("dir".into(), &root, "dir/dir".into()).await)
        }
        "rename-by-file" => {
            let file = file(READ).await?;
            done(root()?.rename_at("file".into(), &file, "other".into()).await)
        }
        "sockets" => {
            let socket = TcpSocket::create(IpAddressFamily::Ipv4).map_err(text)?;
            done(socket.connect(address(80)).await)
        }
        "listens" => {
            let socket = TcpSocket::create(IpAddressFamily::Ipv4).map_err(text)?;
            socket.bind(address(0)).map_err(text)?;
            done(socket.listen())
        }
        "listens-unbound" => {
            let socket = TcpSocket::create(IpAddressFamily::Ipv4).map_err(text)?;
            done(socket.listen())
        }
        "datagrams" => {
            let socket = UdpSocket::create(IpAddressFamily::Ipv4).map_err(text)?;
            done(socket.send(vec![7; 100], Some(address(9))).await)
        }
        "hoard-sockets" => {
            let socket = |_| UdpSocket::create(IpAddressFamily::Ipv4);
            done((0..100_000).map(socket).collect::<Result<Vec<_>, _>>())
        }
        "resolve" => done(ip_name_lookup::resolve_addresses("localhost".into()).await),
        _ => Err("no such raid".into()),
    }
}

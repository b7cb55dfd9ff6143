//! WASI 0.2.

use wasip2::cli::{environment, exit, stdin, stdout};
use wasip2::clocks::monotonic_clock;
use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};
use wasip2::io::poll;
use wasip2::io::streams::InputStream;
use wasip2::random::{insecure, random};
use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

use crate::{Done, done};

fn root() -> Result<Descriptor, String> {
    let granted = get_directories().into_iter().next();
    granted.map(|(root, _)| root).ok_or_else(|| "no directory".into())
}

fn file(flags: DescriptorFlags) -> Result<Descriptor, String> {
    open("file", OpenFlags::empty(), flags).map_err(|code| format!("{code:?}"))
}

fn open(path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, ErrorCode> {
    let (root, _) = get_directories().remove(0);
    root.open_at(PathFlags::SYMLINK_FOLLOW, path, how, flags)
}

fn holes() -> Result<InputStream, String> {
    let file = file(READ | WRITE)?;
    file.set_size(1 << 43).map_err(|code| format!("{code:?}"))?;
    file.read_via_stream(0).map_err(|code| format!("{code:?}"))
}

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;

pub fn raid(word: &str) -> Done {
    match word {
        "random" => done(Ok::<_, ()>(random::get_random_bytes(u64::MAX))),
        "much-random" => done(Ok::<_, ()>(random::get_random_bytes(1 << 31))),
        "insecure-random" => done(Ok::<_, ()>(insecure::get_insecure_random_bytes(u64::MAX))),
        "end-of-time" => {
            poll::poll(&[&monotonic_clock::subscribe_instant(u64::MAX)]);
            Ok("the end".into())
        }
        "longest-time" => {
            monotonic_clock::subscribe_duration(u64::MAX).block();
            Ok("the end".into())
        }
        "poll-of-nothing" => Ok(format!("{:?}", poll::poll(&[]))),
        "poll-of-many" => {
            let one = monotonic_clock::subscribe_duration(0);
            let many = vec![&one; 200_000];
            Ok(poll::poll(&many).len().to_string())
        }
        "poll-again-and-again" => {
            let one = monotonic_clock::subscribe_duration(0);
            loop {
                poll::poll(&[&one]);
            }
        }
        "hoard-pollables" => {
            let pollable = |_| monotonic_clock::subscribe_duration(u64::MAX);
            Ok((0..100_000).map(pollable).collect::<Vec<_>>().len().to_string())
        }
        "input" => done(stdin::get_stdin().blocking_read(u64::MAX)),
        "skip-input" => done(stdin::get_stdin().blocking_skip(u64::MAX)),
        "hoard-inputs" => {
            Ok((0..100_000).map(|_| stdin::get_stdin()).collect::<Vec<_>>().len().to_string())
        }
        "output-without-permit" => done(stdout::get_stdout().write(&vec![7; 32 << 20])),
        "output-of-zeroes" => done(stdout::get_stdout().write_zeroes(u64::MAX)),
        "output-of-zeroes-at-once" => {
            done(stdout::get_stdout().blocking_write_zeroes_and_flush(u64::MAX))
        }
        "flush-again-and-again" => loop {
            let _ = stdout::get_stdout().blocking_flush();
        },
        "splice" => done(stdout::get_stdout().blocking_splice(&stdin::get_stdin(), u64::MAX)),
        "splice-a-file" => {
            let from = file(READ)?.read_via_stream(0).map_err(|code| format!("{code:?}"))?;
            done(stdout::get_stdout().blocking_splice(&from, u64::MAX))
        }
        // Nothing but zeroes, and days of them.
        "skip-holes" => done(holes()?.blocking_skip(u64::MAX)),
        "splice-holes" => done(stdout::get_stdout().blocking_splice(&holes()?, u64::MAX)),
        "exit" => {
            exit::exit(Err(()));
            Ok("still here".into())
        }
        "environment" => {
            let arguments = environment::get_arguments();
            let variables = environment::get_environment();
            Ok(format!("{variables:?} {arguments:?} {:?}", environment::initial_cwd()))
        }
        "read-all-there-can-be" => done(file(READ)?.read(u64::MAX, 0)),
        "read-past-all-ends" => done(file(READ)?.read(1, u64::MAX)),
        "stream-past-all-ends" => {
            let stream = file(READ)?.read_via_stream(u64::MAX);
            done(stream.map_err(|code| format!("{code:?}"))?.blocking_read(u64::MAX))
        }
        "write-past-all-ends" => done(file(WRITE)?.write(b"x", u64::MAX)),
        "stream-to-past-all-ends" => {
            let stream = file(WRITE)?.write_via_stream(u64::MAX);
            done(stream.map_err(|code| format!("{code:?}"))?.blocking_write_and_flush(b"x"))
        }
        "largest-file" => done(file(WRITE)?.set_size(u64::MAX)),
        "sparse-file" => {
            let file = file(READ | WRITE)?;
            file.set_size(1 << 40).map_err(|code| format!("{code:?}"))?;
            done(file.read(u64::MAX, 0))
        }
        "advise" => done(file(READ)?.advise(u64::MAX, u64::MAX, Advice::WillNeed)),
        "times" => {
            let time =
                |seconds, nanoseconds| NewTimestamp::Timestamp(Datetime { seconds, nanoseconds });
            done(file(WRITE)?.set_times(time(u64::MAX, u32::MAX), time(0, 1_000_000_000)))
        }
        "directory-as-file" => done(open("dir", OpenFlags::empty(), READ | WRITE)),
        "write-to-directory" => done(root()?.write(b"x", 0)),
        "read-of-directory" => done(root()?.read(1, 0)),
        "file-as-directory" => done(file(READ)?.read_directory()),
        "all-flags" => done(open("file", OpenFlags::all(), DescriptorFlags::all())),
        "long-path" => done(open(&"x/".repeat(1 << 20), OpenFlags::empty(), READ)),
        "long-name" => done(open(&"x".repeat(1 << 20), OpenFlags::CREATE, READ | WRITE)),
        "dots" => done(open(&"dir/../".repeat(50_000), OpenFlags::empty(), READ)),
        "nul" => done(open("file\0.txt", OpenFlags::empty(), READ)),
        "no-path" => done(open("", OpenFlags::empty(), READ)),
        "circle-of-links" => done(open("circle/x", OpenFlags::empty(), READ)),
        "into-itself" => {
            let root = root()?;
            done(root.rename_at("dir", &root, "dir/dir"))
        }
        "link-to-directory" => {
            let root = root()?;
            done(root.link_at(PathFlags::empty(), "dir", &root, "dir2"))
        }
        "rename-by-file" => done(root()?.rename_at("file", &file(READ)?, "other")),
        "long-link" => done(root()?.symlink_at(&"x".repeat(1 << 20), "long")),
        "sockets" => {
            let socket = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4);
            let socket = socket.map_err(|code| format!("{code:?}"))?;
            let network = instance_network::instance_network();
            let address = Ipv4SocketAddress { port: 80, address: (127, 0, 0, 1) };
            done(socket.start_connect(&network, IpSocketAddress::Ipv4(address)))
        }
        "listens" => {
            let socket = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4);
            let socket = socket.map_err(|code| format!("{code:?}"))?;
            let network = instance_network::instance_network();
            let address = Ipv4SocketAddress { port: 0, address: (0, 0, 0, 0) };
            done(socket.start_bind(&network, IpSocketAddress::Ipv4(address)))
        }
        "datagrams" => {
            let socket = udp_create_socket::create_udp_socket(IpAddressFamily::Ipv4);
            let network = instance_network::instance_network();
            let address = Ipv4SocketAddress { port: 0, address: (0, 0, 0, 0) };
            let socket = socket.map_err(|code| format!("{code:?}"))?;
            done(socket.start_bind(&network, IpSocketAddress::Ipv4(address)))
        }
        "hoard-sockets" => {
            let socket = |_| tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4);
            done((0..100_000).map(socket).collect::<Result<Vec<_>, _>>())
        }
        "resolve" => {
            let network = instance_network::instance_network();
            done(ip_name_lookup::resolve_addresses(&network, "localhost"))
        }
        "resolve-nonsense" => {
            let network = instance_network::instance_network();
            done(ip_name_lookup::resolve_addresses(&network, &"x.".repeat(1 << 20)))
        }
        _ => Err("no such raid".into()),
    }
}

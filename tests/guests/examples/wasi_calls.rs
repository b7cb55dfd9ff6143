//! A backend that makes single calls of `wasi:filesystem`, in the generation that it is asked for:
//! `get` does what its key says, in words separated by spaces, the first of which is `2` or `3`. It
//! returns what came of it; what the host refused is an error whose text is the code.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../wit", world: "backend" });

use artifact::storage::types::Error;
use exports::artifact::storage::artifact_store::Guest;

struct Calls;

export!(Calls);

impl Guest for Calls {
    async fn put(_: String, _: Vec<u8>) -> Result<(), Error> {
        Err(Error::Unsupported("it stores nothing".into()))
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        let words: Vec<_> = key.split(' ').collect();
        let done = match &words[..] {
            ["2", words @ ..] => p2::call(words).await,
            ["3", words @ ..] => p3::call(words).await,
            _ => Err("no such generation".into()),
        };
        done.map(String::into_bytes).map_err(Error::Other)
    }

    async fn delete(_: String) -> Result<(), Error> {
        Ok(())
    }
}

type Done = Result<String, String>;

/// What both generations have, the calls of the second being waited for by `$await`. Each has
/// `code`, `write`, `append` and `list` of its own.
macro_rules! generation {
    ($($await:tt)?) => {
        fn root() -> Descriptor {
            get_directories().remove(0).0
        }

        async fn open(path: &str, how: &str) -> Result<Descriptor, String> {
            let has = |letter| how.contains(letter);
            let (mut follow, mut open, mut flags) =
                (PathFlags::empty(), OpenFlags::empty(), DescriptorFlags::empty());
            follow.set(PathFlags::SYMLINK_FOLLOW, has('l'));
            open.set(OpenFlags::CREATE, has('c'));
            open.set(OpenFlags::EXCLUSIVE, has('x'));
            open.set(OpenFlags::TRUNCATE, has('t'));
            open.set(OpenFlags::DIRECTORY, has('d'));
            flags.set(DescriptorFlags::READ, has('r'));
            flags.set(DescriptorFlags::WRITE, has('w'));
            flags.set(DescriptorFlags::MUTATE_DIRECTORY, has('m'));
            code(root().open_at(follow, arg!($($await)? path), open, flags)$(.$await)?)
        }

        pub async fn call(words: &[&str]) -> Done {
            match *words {
                ["open", how, path] => drop(open(path, how).await?),
                // Many handles at once, which are given back.
                ["open-many", how, path, times] => {
                    let mut opened = Vec::new();
                    for _ in 0..times.parse().unwrap_or(0) {
                        opened.push(open(path, how).await?);
                    }
                }
                ["make-many", path, times] => {
                    let mut made = Vec::new();
                    for n in 0..times.parse().unwrap_or(0) {
                        made.push(open(&format!("{path}{n}"), "rwcx").await?);
                    }
                }
                ["write", how, path, text] => write(&open(path, how).await?, text).await?,
                ["append", path, text] => append(&open(path, "w").await?, text).await?,
                ["size", path, size] => {
                    let size = size.parse().map_err(|_| "no size")?;
                    code(open(path, "w").await?.set_size(size)$(.$await)?)?;
                }
                ["sync", how, path] => code(open(path, how).await?.sync()$(.$await)?)?,
                ["sync-data", how, path] => {
                    code(open(path, how).await?.sync_data()$(.$await)?)?;
                }
                ["mkdir", path] => {
                    code(root().create_directory_at(arg!($($await)? path))$(.$await)?)?;
                }
                ["rmdir", path] => {
                    code(root().remove_directory_at(arg!($($await)? path))$(.$await)?)?;
                }
                ["unlink", path] => {
                    code(root().unlink_file_at(arg!($($await)? path))$(.$await)?)?;
                }
                ["rename", from, to] => {
                    let (old, new) = (arg!($($await)? from), arg!($($await)? to));
                    code(root().rename_at(old, &root(), new)$(.$await)?)?;
                }
                ["link", from, to] => {
                    let (old, new) = (arg!($($await)? from), arg!($($await)? to));
                    code(root().link_at(PathFlags::empty(), old, &root(), new)$(.$await)?)?;
                }
                ["symlink", to, path] => {
                    let (old, new) = (arg!($($await)? to), arg!($($await)? path));
                    code(root().symlink_at(old, new)$(.$await)?)?;
                }
                ["readlink", path] => {
                    return code(root().readlink_at(arg!($($await)? path))$(.$await)?);
                }
                ["stat", how, path] => {
                    let follow =
                        if how == "l" { PathFlags::SYMLINK_FOLLOW } else { PathFlags::empty() };
                    let stat = code(root().stat_at(follow, arg!($($await)? path))$(.$await)?)?;
                    let (kind, size, links) = (kind(stat.type_), stat.size, stat.link_count);
                    return Ok(format!("{kind} {size} {links}"));
                }
                ["touch", how, path] => {
                    let follow =
                        if how == "l" { PathFlags::SYMLINK_FOLLOW } else { PathFlags::empty() };
                    let (root, path) = (root(), arg!($($await)? path));
                    let (keep, now) = (NewTimestamp::NoChange, NewTimestamp::Now);
                    code(root.set_times_at(follow, path, keep, now)$(.$await)?)?;
                }
                ["touch-open", how, path] => {
                    let file = open(path, how).await?;
                    let (keep, now) = (NewTimestamp::NoChange, NewTimestamp::Now);
                    code(file.set_times(keep, now)$(.$await)?)?;
                }
                ["read", how, path] => return read(&open(path, how).await?).await,
                ["list", path] => return list(&open(path, "rd").await?, usize::MAX).await,
                // How many there are, counted up to a number.
                ["count", path, most] => {
                    let most = most.parse().map_err(|_| "no number")?;
                    return count(&open(path, "rd").await?, most).await;
                }
                // Readings of a directory that nobody reads or gives back.
                ["hoard-readings", path, times] => {
                    let dir = open(path, "rd").await?;
                    let mut readings = Vec::new();
                    for _ in 0..times.parse().unwrap_or(0) {
                        readings.push(reading(&dir)?);
                    }
                }
                ["hoard", path, times, size] => {
                    let number = |word: &str| word.parse().map_err(|_| "no number".to_owned());
                    return hoard(&open(path, "w").await?, number(times)?, number(size)?).await;
                }
                _ => return Err("no such call".into()),
            }
            Ok("done".into())
        }

        async fn list(dir: &Descriptor, most: usize) -> Done {
            let mut names = entries(dir, most).await?;
            names.sort();
            Ok(names.join("\n"))
        }

        fn kind(kind: DescriptorType) -> &'static str {
            match kind {
                DescriptorType::RegularFile => "file",
                DescriptorType::Directory => "directory",
                DescriptorType::SymbolicLink => "link",
                DescriptorType::Fifo => "pipe",
                DescriptorType::Socket => "socket",
                DescriptorType::CharacterDevice | DescriptorType::BlockDevice => "device",
                _ => "unknown",
            }
        }
    };
}

mod p2 {
    use wasip2::filesystem::preopens::get_directories;
    use wasip2::filesystem::types::{
        Descriptor, DescriptorFlags, DescriptorType, DirectoryEntryStream, ErrorCode, NewTimestamp,
        OpenFlags, PathFlags, filesystem_error_code,
    };
    use wasip2::io::streams::{OutputStream, StreamError};

    use super::Done;

    macro_rules! arg {
        ($path:expr) => {
            $path
        };
    }

    generation!();

    fn code<T>(called: Result<T, ErrorCode>) -> Result<T, String> {
        called.map_err(|code| code.name().into())
    }

    fn streamed<T>(called: Result<T, StreamError>) -> Result<T, String> {
        called.map_err(|error| match error {
            StreamError::Closed => "closed".into(),
            StreamError::LastOperationFailed(error) => {
                let code = filesystem_error_code(&error);
                code.map_or("none of the filesystem".into(), |code| code.name().into())
            }
        })
    }

    fn put(stream: &OutputStream, text: &str) -> Result<(), String> {
        for part in text.as_bytes().chunks(4096) {
            streamed(stream.blocking_write_and_flush(part))?;
        }
        Ok(())
    }

    async fn write(file: &Descriptor, text: &str) -> Result<(), String> {
        put(&code(file.write_via_stream(0))?, text)
    }

    async fn append(file: &Descriptor, text: &str) -> Result<(), String> {
        put(&code(file.append_via_stream())?, text)
    }

    /// In both ways that there are.
    async fn read(file: &Descriptor) -> Done {
        let (mut all, mut is_over) = (Vec::new(), false);
        while !is_over {
            let part;
            (part, is_over) = code(file.read(4096, all.len() as u64))?;
            all.extend(part);
        }
        let (stream, mut streamed_all) = (code(file.read_via_stream(0))?, Vec::new());
        loop {
            match stream.blocking_read(1 << 20) {
                Err(StreamError::Closed) => break,
                part => streamed_all.extend(streamed(part)?),
            }
        }
        if all != streamed_all {
            return Err("two readings differ".into());
        }
        Ok(String::from_utf8_lossy(&all).into_owned())
    }

    fn reading(dir: &Descriptor) -> Result<DirectoryEntryStream, String> {
        code(dir.read_directory())
    }

    async fn entries(dir: &Descriptor, most: usize) -> Result<Vec<String>, String> {
        let (entries, mut names) = (reading(dir)?, Vec::new());
        while names.len() < most
            && let Some(entry) = code(entries.read_directory_entry())?
        {
            names.push(entry.name);
        }
        Ok(names)
    }

    async fn count(dir: &Descriptor, most: usize) -> Done {
        let (entries, mut count) = (reading(dir)?, 0);
        while count < most && code(entries.read_directory_entry())?.is_some() {
            count += 1;
        }
        Ok(count.to_string())
    }

    /// Hands `size` bytes to each of many streams, more than any of them permits.
    async fn hoard(file: &Descriptor, times: usize, size: usize) -> Done {
        let data = vec![7; size];
        let mut streams = Vec::new();
        for _ in 0..times {
            let stream = code(file.write_via_stream(0))?;
            streamed(stream.write(&data))?;
            streams.push(stream);
        }
        Ok(streams.len().to_string())
    }
}

mod p3 {
    use wasip3::filesystem::preopens::get_directories;
    use wasip3::filesystem::types::{
        Descriptor, DescriptorFlags, DescriptorType, DirectoryEntry, ErrorCode, NewTimestamp,
        OpenFlags, PathFlags,
    };
    use wit_bindgen::{FutureReader, StreamReader, StreamResult};

    use super::Done;

    macro_rules! arg {
        (await $path:expr) => {
            $path.into()
        };
    }

    generation!(await);

    /// By the name that the code has in WASI, as in the other generation.
    fn code<T>(called: Result<T, ErrorCode>) -> Result<T, String> {
        called.map_err(|code| {
            if let ErrorCode::Other(Some(text)) = code {
                return text;
            }
            let mut name = String::new();
            for letter in format!("{code:?}").trim_start_matches("ErrorCode::").chars() {
                if letter.is_uppercase() && !name.is_empty() {
                    name.push('-');
                }
                name.extend(letter.to_lowercase());
            }
            name
        })
    }

    type Ended = FutureReader<Result<(), ErrorCode>>;

    async fn put(text: &str, start: impl FnOnce(StreamReader<u8>) -> Ended) -> Result<(), String> {
        let (mut writer, reader) = wasip3::wit_stream::new();
        let ended = start(reader);
        writer.write_all(text.into()).await;
        drop(writer);
        code(ended.await)
    }

    async fn write(file: &Descriptor, text: &str) -> Result<(), String> {
        put(text, |data| file.write_via_stream(data, 0)).await
    }

    async fn append(file: &Descriptor, text: &str) -> Result<(), String> {
        put(text, |data| file.append_via_stream(data)).await
    }

    async fn read(file: &Descriptor) -> Done {
        let (stream, ended) = file.read_via_stream(0);
        let all = stream.collect().await;
        code(ended.await)?;
        Ok(String::from_utf8_lossy(&all).into_owned())
    }

    fn reading(dir: &Descriptor) -> Result<(StreamReader<DirectoryEntry>, Ended), String> {
        Ok(dir.read_directory())
    }

    async fn entries(dir: &Descriptor, most: usize) -> Result<Vec<String>, String> {
        let (mut entries, ended) = dir.read_directory();
        let mut names = Vec::new();
        while names.len() < most {
            match entries.next().await {
                Some(entry) => names.push(entry.name),
                None => return code(ended.await).map(|()| names),
            }
        }
        Ok(names)
    }

    async fn count(dir: &Descriptor, most: usize) -> Done {
        let (mut entries, ended) = dir.read_directory();
        let (mut count, mut batch) = (0, Vec::with_capacity(1000));
        while count < most {
            let how;
            (how, batch) = entries.read(batch).await;
            count += batch.drain(..).count();
            if how == StreamResult::Dropped {
                code(ended.await)?;
                break;
            }
        }
        Ok(count.to_string())
    }

    /// As in the other generation; here the host takes the bytes when it can.
    async fn hoard(file: &Descriptor, times: usize, size: usize) -> Done {
        for _ in 0..times {
            let (mut writer, reader) = wasip3::wit_stream::new();
            let ended = file.write_via_stream(reader, 0);
            writer.write_all(vec![7; size]).await;
            drop(writer);
            code(ended.await)?;
        }
        Ok(times.to_string())
    }
}

//! Other programs that know the format of age: what they read, and what they wrote.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use artifact_store::{Encryption, ErrorKind};
use artifact_store_tests::program;
use sha2::{Digest, Sha256};

use super::{PIECE, Place, bytes, encryption, open};

/// The first line of what is stored, without the spaces at its end.
const LINE: &str = "Encrypted by artifact-store; to decrypt: tail -n +2 FILE | age -d -i KEY";

/// What is stored, if it is this file of age that is stored.
fn behind_the_line(file: &[u8]) -> Vec<u8> {
    let mac = file.windows(5).position(|part| part == b"\n--- ").map(|at| at + 1);
    let end = mac.and_then(|mac| {
        let length = file[mac..].iter().position(|byte| *byte == b'\n')?;
        Some(mac + length + 1)
    });
    // What has no end of a header is all header.
    let spaces = 2048_usize.checked_sub(LINE.len() + 1 + end.unwrap_or(file.len())).unwrap();
    [LINE.as_bytes(), &vec![b' '; spaces], b"\n", file].concat()
}

fn shell(dir: &Path, age: &Path, line: &str) -> Vec<u8> {
    let mut shell = Command::new("sh");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folder = age.parent().map(Path::to_owned).unwrap_or_default();
    let path = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path)));
    shell.args(["-c", line]).current_dir(dir).env("PATH", path.unwrap());
    let output = shell.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{line}");
    output.stdout
}

#[test]
fn age_decrypts_what_is_stored_by_the_line_in_it() {
    let Some(age) = program("AGE", "age") else { return };
    let place = Place::new();
    let dir = place.dir.path().parent().unwrap();
    let dir = tempfile::tempdir_in(dir).unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("KEY"), place.pair.identity()).unwrap();
    for size in [0, 1, PIECE, 3 * PIECE + 1] {
        let data = bytes(size);
        place.store.put("k", data.clone()).unwrap();
        let stored = place.below.get("k").unwrap();
        std::fs::write(dir.join("FILE"), &stored).unwrap();
        let line = stored.split(|byte| *byte == b'\n').next().unwrap();
        let (_, command) = std::str::from_utf8(line).unwrap().split_once(": ").unwrap();
        assert!(shell(dir, &age, command) == data, "{size}");
    }
}

#[test]
fn what_age_encrypted_is_read_behind_such_a_line() {
    let Some(age) = program("AGE", "age") else { return };
    let place = Place::new();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for size in [0, 1, PIECE, PIECE + 1, 5 * PIECE] {
        let data = bytes(size);
        std::fs::write(dir.join("plain"), &data).unwrap();
        let line = format!("age -r {} plain", place.pair.recipient());
        let file = shell(dir, &age, &line);
        place.below.put("k", behind_the_line(&file)).unwrap();
        assert!(place.store.get("k").unwrap() == data, "{size}");
    }
}

/// The test vectors of the format, which the package `age` brings along.
fn vectors() -> PathBuf {
    let metadata = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        // What other platforms need was perhaps never downloaded.
        .args(["--filter-platform", env!("TEST_TARGET")])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let age = packages.iter().find(|package| package["name"] == "age").unwrap();
    let manifest = Path::new(age["manifest_path"].as_str().unwrap());
    manifest.with_file_name("tests").join("testdata/testkit")
}

#[test]
fn the_test_vectors_of_age_have_their_outcomes() {
    let place = Place::new();
    let mut seen = [0; 3];
    for entry in std::fs::read_dir(vectors()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(2).position(|part| part == b"\n\n").unwrap();
        let (about, file) = (std::str::from_utf8(&bytes[..at]).unwrap(), &bytes[at + 2..]);
        let values = |name: &str| -> Vec<&str> {
            let lines = about.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(key, _)| *key == name).map(|(_, value)| value).collect()
        };
        let is_compressed = !values("compressed").is_empty();
        // Passphrases and armor are not for stores.
        if !values("armored").is_empty() || !values("passphrase").is_empty() {
            continue;
        }
        let file = if is_compressed { inflated(file) } else { file.to_vec() };
        let identities = values("identity").join("\n");
        let store = match identities.is_empty() {
            true => open(place.dir.path(), encryption(&place.pair)),
            false => open(place.dir.path(), Encryption::from_identities(&identities).unwrap()),
        };
        let name = path.display();
        place.below.put("k", behind_the_line(&file)).unwrap();
        let read = store.get("k");
        match (values("expect")[0], read) {
            ("success", Ok(data)) => {
                let found: String =
                    Sha256::digest(&data).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(values("payload"), [found], "{name}");
                seen[0] += 1;
            }
            ("no match", Err(error)) => {
                assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{name}: {error}");
                seen[1] += 1;
            }
            ("header failure" | "HMAC failure" | "payload failure", Err(error)) => {
                assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{name}: {error}");
                seen[2] += 1;
            }
            (expected, read) => panic!("{name}: {expected}, and not {read:?}"),
        }
    }
    assert!(seen.into_iter().all(|count| count > 0), "{seen:?}");
}

fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut inflated = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(bytes), &mut inflated).unwrap();
    inflated
}

//! A disk without room, a process without files and a disk that is read-only, for real: a small
//! tmpfs in a mount namespace of its own, through the command line. Where the system does not
//! permit such a mount the tests are ignored, and say so.

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(not(target_os = "linux"))]
    artifact_store_tests::scenes::needs_linux();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output, Stdio};

    use artifact_store_tests::{cli, scenes};

    const CLI: &str = "ARTIFACT_STORE_TEST_CLI";

    type Scene = (&'static str, fn(&Disk));

    const SCENES: [Scene; 6] = [
        ("too_large_for_the_room_left_leaves_the_old_artifact", too_large),
        ("a_full_disk_takes_deletes_and_then_puts_again", full),
        ("no_inodes_left_is_no_space", no_inodes),
        ("too_few_files_to_open_is_an_error_and_no_litter", few_files),
        ("a_read_only_disk_is_read", read_only),
        ("a_directory_on_another_disk_is_refused_and_nothing_is_copied", other_disk),
    ];

    pub fn main() {
        if let Some((scene, mount)) = scenes::asked() {
            let cli = std::env::var_os(CLI).expect("the parent sets it").into();
            return scenes::find(SCENES, &scene).expect("a scene")(&Disk { cli, mount });
        }
        let is_possible = scenes::can_mount_tmpfs();
        if !is_possible {
            eprintln!("ignored: this system lets nobody mount a tmpfs with `unshare -rm`");
        }
        scenes::run_all(
            SCENES.map(|(name, _)| name),
            |_| is_possible,
            || {
                let mut command = scenes::in_namespace();
                command.env(CLI, cli().get_program());
                command
            },
        )
    }

    /// A small filesystem with a store in it.
    pub struct Disk {
        cli: PathBuf,
        mount: PathBuf,
    }

    impl Disk {
        fn mount(&self, options: &str) {
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(&self.mount);
            assert!(mount.status().unwrap().success());
        }

        fn store(&self) -> PathBuf {
            self.mount.join("store")
        }

        /// Runs the command line after `before`, a piece of shell.
        fn run_after(&self, before: &str, arguments: &[&str], input: &[u8]) -> Output {
            let script = format!("{before} exec \"$0\" --dir \"$@\"");
            let mut child = Command::new("sh")
                .args(["-c", &script])
                .arg(&self.cli)
                .arg(self.store())
                .args(arguments)
                .env_remove("ARTIFACT_STORE_DIR")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // It may end before it has read everything.
            let _ = child.stdin.take().unwrap().write_all(input);
            child.wait_with_output().unwrap()
        }

        fn ok(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
            let output = self.run_after("", arguments, input);
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
            output.stdout
        }

        /// Fails with exit code 1 and these words, and leaves nothing unfinished.
        fn fails(&self, arguments: &[&str], input: &[u8], words: &str) {
            let output = self.run_after("", arguments, input);
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
            assert!(error.contains(words), "{arguments:?}: {error}");
            self.has_no_temporary();
        }

        fn has_no_temporary(&self) {
            let Ok(found) = fs::read_dir(self.store().join("tmp")) else { return };
            assert_eq!(
                found.map(|file| file.unwrap().path()).collect::<Vec<_>>(),
                [] as [&Path; 0]
            );
        }

        /// Uses up what is left, in a file beside the store; returns how to have it back.
        fn fill(&self) -> PathBuf {
            let filler = self.mount.join("filler");
            let mut file = fs::File::create(&filler).unwrap();
            while file.write_all(&[7; 4096]).is_ok() {}
            filler
        }
    }

    const OLD: &[u8] = &[1; 100_000];
    const FULL: &str = "no space left on the device";

    fn too_large(disk: &Disk) {
        disk.mount("size=3m");
        disk.ok(&["put", "k"], OLD);
        for key in ["k", "new"] {
            // Of unknown size, from a pipe, and from a file whose size is known.
            disk.fails(&["put", key], &[2; 5 << 20], FULL);
            let large = disk.cli.to_str().unwrap();
            disk.fails(&["put", key, large], b"", FULL);
            disk.fails(&["put", "--create", "new"], &[2; 5 << 20], FULL);
            assert_eq!(disk.ok(&["get", "k"], b""), OLD);
        }
        assert_eq!(disk.ok(&["list"], b""), b"k\n");
        disk.ok(&["put", "k"], &[3; 1 << 20]);
        assert_eq!(disk.ok(&["get", "k"], b""), [3; 1 << 20]);
        disk.ok(&["verify"], b"");
    }

    fn full(disk: &Disk) {
        disk.mount("size=2m");
        disk.ok(&["put", "k"], OLD);
        disk.ok(&["put", "goes"], OLD);
        let filler = disk.fill();
        for key in ["k", "new"] {
            disk.fails(&["put", key], b"small", FULL);
            disk.fails(&["put", key], &[2; 100_000], FULL);
        }
        assert_eq!(disk.ok(&["get", "k"], b""), OLD);
        disk.ok(&["verify"], b"");
        // What was taken away makes room at once.
        disk.ok(&["delete", "goes"], b"");
        disk.ok(&["put", "k"], b"small");
        assert_eq!(disk.ok(&["get", "k"], b""), b"small");
        fs::remove_file(filler).unwrap();
        disk.ok(&["put", "new"], OLD);
        disk.ok(&["verify"], b"");
    }

    fn no_inodes(disk: &Disk) {
        disk.mount("size=4m,nr_inodes=16");
        disk.ok(&["put", "k"], OLD);
        let fillers: Vec<_> = (0..)
            .map(|n| disk.mount.join(n.to_string()))
            .take_while(|path| fs::write(path, "").is_ok())
            .collect();
        for key in ["k", "new/k"] {
            disk.fails(&["put", key], b"small", FULL);
        }
        // One is enough for the file, and not for a directory that is not there yet.
        fs::remove_file(&fillers[0]).unwrap();
        disk.fails(&["put", "new/k"], b"small", FULL);
        disk.fails(&["put", "--create", "new/k"], b"small", FULL);
        assert_eq!(disk.ok(&["get", "k"], b""), OLD);
        disk.ok(&["put", "k"], b"small");
        assert_eq!(disk.ok(&["get", "k"], b""), b"small");
        fs::remove_file(&fillers[1]).unwrap();
        disk.ok(&["put", "new/k"], OLD);
        disk.ok(&["verify"], b"");
    }

    fn few_files(disk: &Disk) {
        disk.mount("size=4m");
        disk.ok(&["put", "k"], OLD);
        let mut failed = 0;
        // With fewer the command line cannot even listen for signals.
        for most in 8..40 {
            let limit = format!("ulimit -n {most};");
            for (arguments, input) in [
                (&["put", "k"][..], OLD),
                (&["put", "--create", "new"], b"small"),
                (&["get", "k"], b""),
                (&["list"], b""),
            ] {
                let output = disk.run_after(&limit, arguments, input);
                let error = String::from_utf8_lossy(&output.stderr);
                if output.status.success() {
                    assert_eq!(error, "", "{most} files: {arguments:?}");
                    match arguments[0] {
                        "get" => assert_eq!(output.stdout, OLD),
                        "list" => assert!(output.stdout.ends_with(b"\n")),
                        _ => {}
                    }
                } else {
                    failed += 1;
                    // Before it could begin, it is the system that says so.
                    let code = output.status.code();
                    assert!(matches!(code, Some(1 | 6 | 127)), "{most} files: {code:?}: {error}");
                    assert!(!error.is_empty() && !error.contains("panicked"), "{most}: {error}");
                }
                disk.has_no_temporary();
            }
            assert_eq!(disk.ok(&["get", "k"], b""), OLD, "{most} files");
            disk.ok(&["delete", "new"], b"");
        }
        assert!(failed > 0, "eight files were enough");
        disk.ok(&["verify"], b"");
    }

    fn read_only(disk: &Disk) {
        disk.mount("size=4m");
        disk.ok(&["put", "k"], OLD);
        let remount = |how: &str| {
            let mut mount = Command::new("mount");
            mount.args(["-o", &format!("remount,{how}")]).arg(&disk.mount);
            assert!(mount.status().unwrap().success());
        };
        remount("ro");
        for arguments in [&["put", "k"][..], &["put", "new"], &["put", "--create", "new"]] {
            disk.fails(arguments, b"small", "read-only");
        }
        disk.fails(&["delete", "k"], b"", "read-only");
        assert_eq!(disk.ok(&["get", "k"], b""), OLD);
        assert_eq!(disk.ok(&["list"], b""), b"k\n");
        disk.ok(&["verify"], b"");
        remount("rw");
        disk.ok(&["put", "k"], b"small");
        assert_eq!(disk.ok(&["get", "k"], b""), b"small");
        disk.ok(&["delete", "k"], b"");
    }

    /// A file is never copied into its place: half of it could be seen.
    fn other_disk(disk: &Disk) {
        disk.mount("size=4m");
        disk.ok(&["put", "d/k"], OLD);
        // The directory of `d/`, as `docs/format.md` names it.
        let place = disk.store().join(",d");
        assert!(place.join("_k").is_file());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "none"]).arg(&place);
        assert!(mount.status().unwrap().success());
        for arguments in [&["put", "d/k"][..], &["put", "--create", "d/k"]] {
            disk.fails(arguments, b"small", "`,d/_k`");
            assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
        }
        assert!(Command::new("umount").arg(&place).status().unwrap().success());
        assert_eq!(disk.ok(&["get", "d/k"], b""), OLD);
    }
}

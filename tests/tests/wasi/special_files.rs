//! Pipes, sockets and devices: they are not opened, and the host never waits for them.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use artifact_store_tests::in_time;

use super::{GENERATIONS, Scene, call, done, make_pipe, make_socket, refused};

#[test]
fn a_pipe_a_socket_or_a_device_is_not_opened_whatever_for() {
    in_time(|| {
        let scene = Scene::new();
        for generation in GENERATIONS {
            for special in &scene.special {
                for how in ["r", "w", "rw", "wc", "rwc", "wt", "wct", "rwct"] {
                    for path in [(*special).to_owned(), format!("dir/../{special}")] {
                        let open = format!("open {how} {path}");
                        let opened = call(&scene.store, generation, &open);
                        assert_eq!(opened, refused("not-permitted"), "{generation} {open}");
                    }
                    for path in [format!("to-{special}"), format!("dir/to-{special}")] {
                        let open = format!("open {how}l {path}");
                        let opened = call(&scene.store, generation, &open);
                        assert_eq!(opened, refused("not-permitted"), "{generation} {open}");
                        let open = format!("open {how} {path}");
                        let opened = call(&scene.store, generation, &open);
                        assert_eq!(opened, refused("loop"), "{generation} {open}");
                    }
                }
                let opened = call(&scene.store, generation, &format!("open rd {special}"));
                assert!(opened.is_err(), "{opened:?}");
                let made = call(&scene.store, generation, &format!("open wcx {special}"));
                assert_eq!(made, refused("exist"), "{generation} {special}");
            }
            // What is no such thing is opened.
            for open in ["open rwl to-file", "open rdl to-dir", "open rwc file", "open r dir"] {
                assert_eq!(call(&scene.store, generation, open), done(), "{generation} {open}");
            }
        }
        assert_eq!(fs::read_to_string(scene.at("file")).unwrap(), "old");
    });
}

/// Whoever waits at the other end of a pipe goes on waiting.
#[test]
fn a_pipe_is_not_touched_to_see_what_it_is() {
    in_time(|| {
        let scene = Scene::new();
        let pipe = scene.at("pipe");
        let (opened, is_opened) = mpsc::channel();
        let writer = {
            let pipe = pipe.clone();
            std::thread::spawn(move || {
                let file = fs::OpenOptions::new().write(true).open(pipe).unwrap();
                opened.send(()).unwrap();
                file
            })
        };
        std::thread::sleep(Duration::from_millis(100));
        for generation in GENERATIONS {
            for how in ["r", "rw", "rwc"] {
                let open = format!("open {how} pipe");
                let opened = call(&scene.store, generation, &open);
                assert_eq!(opened, refused("not-permitted"), "{open}");
            }
        }
        let waited = is_opened.recv_timeout(Duration::from_millis(200));
        assert_eq!(waited, Err(mpsc::RecvTimeoutError::Timeout), "the writer was let through");
        drop(fs::File::open(pipe).unwrap());
        writer.join().unwrap();
    });
}

#[test]
fn the_names_of_pipes_sockets_and_devices_can_be_handled_without_waiting() {
    in_time(|| {
        for generation in GENERATIONS {
            let scene = Scene::new();
            let call = |what: &str| call(&scene.store, generation, what);
            for special in &scene.special {
                for (how, path) in
                    [("-", (*special).to_owned()), ("l", format!("dir/to-{special}"))]
                {
                    let stat = call(&format!("stat {how} {path}")).unwrap();
                    assert!(stat.starts_with(&format!("{special} ")), "{path}: {stat}");
                }
                for path in [(*special).to_owned(), format!("to-{special}")] {
                    let touched = call(&format!("touch l {path}"));
                    assert_eq!(touched, refused("not-permitted"), "{path}");
                    assert_eq!(call(&format!("touch - {path}")), done(), "{path}");
                }
                let sized = call(&format!("size {special} 0"));
                assert_eq!(sized, refused("not-permitted"), "{special}");
                let under = call(&format!("stat - {special}/x"));
                assert_eq!(under, refused("not-directory"), "{special}");
                assert_eq!(call(&format!("link {special} dir/linked")), done());
                assert_eq!(call(&format!("rename dir/linked dir/{special}")), done());
                assert_eq!(call(&format!("rename dir/{special} {special}")), done());
                assert_eq!(call(&format!("unlink {special}")), done());
            }
        }
    });
}

/// Four callers of each generation open a name that stands for another thing all the time: a file, a
/// pipe, a socket, a link out of the granted directory.
#[test]
fn a_name_that_changes_all_the_time_makes_nobody_wait_and_leads_nowhere() {
    in_time(|| {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let scene = Scene::new();
        fs::remove_file(scene.at("file")).unwrap();
        let beside = scene.at("beside");
        fs::create_dir(&beside).unwrap();
        fs::write(beside.join("file"), "mine").unwrap();
        make_pipe(&beside.join("pipe"));
        make_socket(&beside.join("socket"));
        symlink(outside.path().join("secret"), beside.join("link")).unwrap();
        fs::create_dir(beside.join("dir")).unwrap();
        let is_over = AtomicBool::new(false);
        let opened = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let name = scene.at("name");
                while !is_over.load(Ordering::Relaxed) {
                    for thing in ["file", "pipe", "socket", "link", "dir"] {
                        fs::rename(beside.join(thing), &name).unwrap();
                        std::thread::yield_now();
                        fs::rename(&name, beside.join(thing)).unwrap();
                    }
                }
            });
            let callers: Vec<_> = (0..8)
                .map(|n| {
                    let (scene, opened) = (&scene, &opened);
                    scope.spawn(move || {
                        let end = Instant::now() + Duration::from_secs(4);
                        let generation = GENERATIONS[n % 2];
                        while Instant::now() < end {
                            for what in [
                                "read r name",
                                "read rl name",
                                "write wl name mine",
                                "open rwl name",
                                "open wtl dir/../name",
                                "touch l name",
                                "size name 4",
                                "stat l name",
                            ] {
                                match call(&scene.store, generation, what) {
                                    Ok(text) => {
                                        assert!(!text.contains("secret"), "{what}: {text}");
                                        opened.fetch_add(1, Ordering::Relaxed);
                                    }
                                    Err(code) => assert!(!code.is_empty(), "{what}"),
                                }
                            }
                        }
                    })
                })
                .collect();
            let ended: Vec<_> = callers.into_iter().map(|caller| caller.join()).collect();
            is_over.store(true, Ordering::Relaxed);
            ended.into_iter().for_each(|ended| ended.unwrap());
        });
        assert!(opened.load(Ordering::Relaxed) > 0, "the file was never met");
        assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
        assert!(fs::metadata(beside.join("pipe")).unwrap().file_type().is_fifo());
    });
}

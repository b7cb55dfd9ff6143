//! Grants where directories are mounted in several places, and over each other. Where the system
//! does not permit such mounts the tests are ignored, and say so.

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(not(target_os = "linux"))]
    artifact_store_tests::scenes::needs_linux();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::{Duration, Instant};

    use artifact_store::blocking::ArtifactStore;
    use artifact_store::{Backend, ErrorKind, Grants, LoadError};
    use artifact_store_tests::{cli, guest, logged, scenes};

    type Scene = (&'static str, fn(&Place));

    /// What needs a filesystem in another process.
    const FROZEN: &str = "a_neighbour_that_does_not_answer_keeps_no_store_waiting";

    const SCENES: [Scene; 19] = [
        ("a_directory_that_is_mounted_elsewhere_is_where_it_lies", bound_elsewhere),
        ("what_is_mounted_in_a_directory_lies_in_it", bound_within),
        ("the_same_directory_by_two_mounts_is_one", bound_twice),
        ("a_configuration_that_is_mounted_is_where_it_lies", bound_file),
        ("mounts_with_odd_names_are_understood", odd_names),
        ("an_overlay_shares_the_directories_that_it_lies_over", overlay),
        ("an_overlay_in_the_place_of_its_layer_shares_it", overlay_in_place),
        ("an_overlay_over_another_one_shares_what_that_lies_over", overlay_of_overlay),
        ("an_overlay_with_relative_layers_is_near_to_everything", relative_overlay),
        ("an_overlay_whose_layer_is_gone_is_near_to_everything", renamed_layer),
        ("two_overlays_over_one_directory_are_apart", overlays_beside),
        ("a_colon_in_the_name_of_a_layer_is_one", odd_layers),
        ("what_is_mounted_in_both_directories_is_in_both", shared_within),
        ("a_directory_that_shows_the_processes_is_granted_to_nobody", processes),
        ("a_directory_of_another_namespace_is_near_to_what_is_mounted_here", other_namespace),
        ("a_store_goes_on_below_a_mount_that_comes_over_it", mounted_over),
        ("a_mount_that_covers_a_directory_is_not_in_it", covered),
        ("without_proc_parents_are_compared", without_proc),
        (FROZEN, frozen),
    ];

    fn can_freeze() -> bool {
        Command::new("bindfs").arg("--version").output().is_ok() && Path::new("/dev/fuse").exists()
    }

    pub fn main() {
        if let Some((scene, dir)) = scenes::asked() {
            for name in ["data/sub/deep", "other", "view"] {
                fs::create_dir_all(dir.join(name)).unwrap();
            }
            return scenes::find(SCENES, &scene).expect("a scene")(&Place(dir));
        }
        let can_mount = scenes::can_mount_tmpfs();
        if !can_mount {
            eprintln!("ignored: this system lets nobody mount a tmpfs with `unshare -rm`");
        }
        let is_possible = |name: &str| can_mount && (name != FROZEN || can_freeze());
        scenes::run_all(SCENES.map(|(name, _)| name), is_possible, scenes::in_namespace)
    }

    struct Place(PathBuf);

    impl Place {
        fn path(&self, name: impl AsRef<Path>) -> PathBuf {
            self.0.join(name)
        }

        fn bind(&self, from: &str, to: &str) {
            mount([OsStr::new("--bind"), self.path(from).as_ref(), self.path(to).as_ref()]);
        }

        fn tmpfs(&self, at: &str) {
            let at = self.path(at);
            mount([OsStr::new("-t"), "tmpfs".as_ref(), "none".as_ref(), at.as_ref()]);
        }

        fn grants(&self, writable: &str, fixed: &str) -> Grants {
            let grants = Grants::none().read_write(self.path(writable), "/");
            grants.read_only(self.path(fixed), "/fixed")
        }

        fn open(&self, grants: Grants) -> Result<ArtifactStore, artifact_store::Error> {
            ArtifactStore::open(Backend::from_file(guest("intruder")).grants(grants))
        }

        fn foreign_on(&self, dir: &str) -> Result<ArtifactStore, artifact_store::Error> {
            self.open(Grants::none().read_write(self.path(dir), "/"))
        }

        /// Neither one backend may have both, nor two at the same time, in either order.
        #[track_caller]
        fn apart(&self, one: &str, other: &str) {
            refused(self.open(self.grants(one, other)));
            refused(self.open(self.grants(other, one)));
            for (first, second) in [(one, other), (other, one)] {
                let open = self.foreign_on(first).unwrap();
                refused(self.foreign_on(second));
                drop(open);
            }
        }

        #[track_caller]
        fn together(&self, one: &str, other: &str) {
            self.open(self.grants(one, other)).unwrap();
        }
    }

    fn mount<const N: usize>(arguments: [&OsStr; N]) {
        let status = Command::new("mount").args(arguments).status().unwrap();
        assert!(status.success(), "mount {arguments:?}");
    }

    #[track_caller]
    fn refused(opened: Result<ArtifactStore, artifact_store::Error>) {
        let error = opened.expect_err("it is refused");
        assert!(matches!(error.kind(), ErrorKind::Load(LoadError::Overlap { .. })), "{error:?}");
    }

    fn bound_elsewhere(place: &Place) {
        place.bind("data/sub", "view");
        place.apart("data", "view");
        place.apart("data", "view/deep");
        place.apart("data/sub", "view/deep");
        place.apart("view", "data/sub/deep");
        place.together("data/sub/deep", "other");
        // A link that lies in the one is one in the other.
        symlink("../../other", place.path("data/sub/link")).unwrap();
        fs::create_dir(place.path("third")).unwrap();
        symlink("../third", place.path("data/sub/deep/link")).unwrap();
        fs::create_dir(place.path("view/third")).unwrap();
        refused(place.open(place.grants("data/sub", "view/deep/link")));
        refused(place.open(place.grants("data/sub/deep", "view/deep/link")));
    }

    fn bound_within(place: &Place) {
        fs::create_dir_all(place.path("other/inner/most")).unwrap();
        fs::create_dir(place.path("neighbour")).unwrap();
        place.bind("other/inner", "data/sub");
        // All of that can be written through `data`.
        place.apart("data", "other/inner/most");
        place.apart("data", "other/inner");
        place.together("data", "neighbour");
        // A mount in a mount.
        place.tmpfs("data/sub/most");
        fs::create_dir(place.path("data/sub/most/x")).unwrap();
        place.apart("data", "data/sub/most/x");
        place.bind("neighbour", "data/sub/most/x");
        place.apart("data", "neighbour");
    }

    fn bound_twice(place: &Place) {
        place.bind("data", "view");
        refused(place.open(place.grants("data", "view")));
        // Two backends may share one directory.
        let _one = place.foreign_on("data").unwrap();
        let _other = place.foreign_on("view").unwrap();
        refused(place.foreign_on("view/sub"));
    }

    fn bound_file(place: &Place) {
        let text = format!(
            "[stores.main]\nbackend = '{}'\ndirectories = [{{ host = '{}' }}]\n",
            guest("intruder").display(),
            place.path("data").display()
        );
        fs::write(place.path("data/real.toml"), text).unwrap();
        fs::write(place.path("other/stores.toml"), "").unwrap();
        place.bind("data/real.toml", "other/stores.toml");
        refused(ArtifactStore::open_configured(place.path("other/stores.toml"), "main"));
        // And the other way round.
        fs::copy(place.path("data/real.toml"), place.path("view/stores.toml")).unwrap();
        place.bind("view/stores.toml", "data/real.toml");
        refused(ArtifactStore::open_configured(place.path("view/stores.toml"), "main"));
    }

    fn odd_names(place: &Place) {
        for (n, name) in
            ["a b", "tab\there", "new\nline", r"back\slash", r"\040", "ü", "#"].iter().enumerate()
        {
            let (outer, inner) = (format!("{n}/{name}"), format!("{n}/{name}/in {name}"));
            fs::create_dir_all(place.path(&inner)).unwrap();
            let view = format!("{name} {n}");
            fs::create_dir(place.path(&view)).unwrap();
            place.bind(&inner, &view);
            refused(place.open(place.grants(&outer, &view)));
            refused(place.open(place.grants(&view, &outer)));
        }
    }

    fn overlay(place: &Place) {
        // An overlay does not lie over everything; over a tmpfs it does.
        layers(place, &["lower/l", "upper/sub", "work", "lower, a:b=c/l"]);
        let lower = place.path("other/lower").display().to_string();
        let odd = r"lower\, a\:b=c";
        lay_over(place, [&format!("{odd}:{lower}"), "upper", "work"], "view");
        place.apart("view", "view/sub");
        place.apart("other/upper", "view/sub");
        place.apart("other/lower", "view/l");
        place.apart("other/lower, a:b=c", "view/l");
        place.apart("view", "other/upper/sub");
        place.together("view", "data");
        place.together("view/sub", "data/sub");
    }

    /// An overlay over directories of `other`, at `point`.
    fn lay_over(place: &Place, names: [&str; 3], point: &str) {
        let paths = names.map(|name| place.path("other").join(name).display().to_string());
        lay_over_as_named(place, paths.each_ref().map(String::as_str), point);
    }

    /// The same with layers that are named so, from `other` on.
    fn lay_over_as_named(place: &Place, [lower, upper, work]: [&str; 3], point: &str) {
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        let mut command = Command::new("mount");
        command.current_dir(place.path("other")).args(["-t", "overlay", "-o", &options, "none"]);
        assert!(command.arg(place.path(point)).status().unwrap().success(), "{options}");
    }

    fn layers(place: &Place, names: &[&str]) {
        place.tmpfs("other");
        for name in names {
            fs::create_dir_all(place.path("other").join(name)).unwrap();
        }
    }

    fn overlay_in_place(place: &Place) {
        layers(place, &["lower/l", "upper/u", "work", "view"]);
        place.bind("other/lower", "view");
        lay_over(place, ["lower", "upper", "work"], "other/lower");
        place.apart("other/upper", "other/lower/u");
        place.apart("view", "other/lower/l");
        place.together("other/lower", "data");
    }

    fn overlay_of_overlay(place: &Place) {
        layers(place, &["lower/l", "upper/u", "work", "one", "two", "upper2", "work2"]);
        lay_over(place, ["lower", "upper", "work"], "other/one");
        lay_over(place, ["one", "upper2", "work2"], "other/two");
        place.apart("other/upper", "other/two/u");
        place.apart("other/lower", "other/two/l");
        place.together("other/two", "data");
    }

    fn relative_overlay(place: &Place) {
        layers(place, &["lower/l", "upper/u", "work"]);
        lay_over_as_named(place, ["lower", "upper", "work"], "view");
        for dir in ["other/upper", "other/lower", "data"] {
            refused(place.open(place.grants(dir, "view/u")));
            refused(place.open(place.grants("view/u", dir)));
            let open = place.foreign_on(dir).unwrap();
            let ours = || ArtifactStore::open(Backend::fs(place.path("view")));
            refused(ours());
            drop(open);
            ours().unwrap();
        }
        // What is not shown there is as apart as ever.
        place.together("data", "other");
        // The built-in backend does not write what it was not told.
        let grants = place.grants("data", "view");
        ArtifactStore::open(Backend::fs(place.path("data")).grants(grants)).unwrap();
        // A component is such a thing, too.
        fs::copy(guest("intruder"), place.path("view/l/c.wasm")).unwrap();
        let backend = Backend::from_file(place.path("view/l/c.wasm"));
        let grants = Grants::none().read_write(place.path("other/upper"), "/");
        refused(ArtifactStore::open(backend.grants(grants)));
    }

    fn renamed_layer(place: &Place) {
        layers(place, &["lower/l", "upper/u", "work"]);
        lay_over(place, ["lower", "upper", "work"], "view");
        fs::rename(place.path("other/upper"), place.path("other/gone")).unwrap();
        refused(place.open(place.grants("other/gone", "view/u")));
        place.together("data", "other");
    }

    fn overlays_beside(place: &Place) {
        layers(place, &["lower/l", "up1/u", "work1", "up2/u", "work2", "one", "two"]);
        lay_over(place, ["lower", "up1", "work1"], "other/one");
        lay_over(place, ["lower", "up2", "work2"], "other/two");
        // Neither writes what both show.
        place.together("other/one", "other/two");
        place.together("other/one/l", "other/two/l");
        place.apart("other/lower", "other/two/l");
        place.apart("other/up1", "other/one/u");
        place.apart("other/work1", "other/one");
        place.together("other/up1", "other/two");
    }

    fn odd_layers(place: &Place) {
        layers(place, &["lower/l", "up:/v/u", "work"]);
        lay_over(place, ["lower", "up:/v", "work"], "view");
        place.apart("other/up:", "view/u");
        place.together("view", "data");
    }

    fn shared_within(place: &Place) {
        fs::create_dir_all(place.path("shared")).unwrap();
        fs::create_dir_all(place.path("third/n")).unwrap();
        place.together("data", "third");
        place.bind("shared", "data/sub");
        place.bind("shared", "third/n");
        place.apart("data", "third");
        place.apart("data", "third/n");
    }

    fn processes(place: &Place) {
        mount([OsStr::new("--rbind"), "/proc".as_ref(), place.path("view").as_ref()]);
        refused(place.foreign_on("view"));
        refused(place.foreign_on("view/self"));
        refused(place.open(place.grants("data", "view")));
        // It is mounted below.
        refused(place.foreign_on("."));
        place.foreign_on("data").unwrap();
    }

    /// A path of `/proc` leads there; nobody tells where in its filesystem it is.
    fn other_namespace(place: &Place) {
        fs::create_dir(place.path("data/conf")).unwrap();
        fs::create_dir(place.path("conf")).unwrap();
        let text = format!(
            "[stores.main]\nbackend = '{}'\ndirectories = [{{ host = '/proc/self/fd/3' }}]\n",
            guest("intruder").display()
        );
        fs::write(place.path("data/conf/stores.toml"), text).unwrap();
        let script = r#"exec 3<data; exec unshare -m sh -c 'mount --bind data/conf conf &&
            exec "$0" --config conf/stores.toml get "append /conf/stores.toml"' "$0""#;
        let cli = cli();
        let output = Command::new("sh")
            .args([OsStr::new("-c"), script.as_ref(), cli.get_program()])
            .current_dir(place.path(""))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("that the system does not fully report"), "{text}");
    }

    fn mounted_over(place: &Place) {
        let ((), log) = logged(|| {
            let store = ArtifactStore::open(Backend::fs(place.path("data"))).unwrap();
            let foreign = place.foreign_on("view").unwrap();
            store.put("k", "below").unwrap();
            place.tmpfs("data");
            place.tmpfs("view");
            // Another instance has no other directory.
            foreign.get("abort").unwrap_err();
            assert_eq!(foreign.get("create /below").unwrap(), "done");
            foreign.get("abort").unwrap_err();
            assert_eq!(foreign.get("list /").unwrap(), r#"["below"]"#);
            assert_eq!(store.get("k").unwrap(), "below");
            let new = ArtifactStore::open(Backend::fs(place.path("data"))).unwrap();
            assert!(new.get("k").is_err());
            new.put("k", "above").unwrap();
            assert_eq!(store.get("k").unwrap(), "below");
        });
        let view = place.path("view").display().to_string();
        assert!(log.contains("now leads elsewhere") && log.contains(&view), "{log}");
        assert_eq!(fs::read_dir(place.path("view")).unwrap().count(), 0);
    }

    fn covered(place: &Place) {
        let store = place.foreign_on("data").unwrap();
        place.tmpfs("data");
        fs::create_dir(place.path("data/sub")).unwrap();
        place.foreign_on("data/sub").unwrap();
        drop(store);
    }

    fn frozen(place: &Place) {
        let mut server = Command::new("bindfs")
            .args([OsStr::new("-f"), place.path("other").as_ref(), place.path("view").as_ref()])
            .spawn()
            .unwrap();
        fs::create_dir(place.path("other/sub")).unwrap();
        let begun = Instant::now();
        while !place.path("view/sub").exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "bindfs mounts");
            std::thread::sleep(Duration::from_millis(10));
        }
        let signal = |name: &str, id: u32| {
            assert!(Command::new("kill").args([name, &id.to_string()]).status().unwrap().success());
        };
        let file = place.path("stores.toml");
        let text = "[stores.a]\nbackend = 'fs'\ndirectories = [{ host = 'data' }]\n\
                    [stores.b]\nbackend = 'fs'\ndirectories = [{ host = 'view/sub/x' }]\n\
                    [stores.c]\nbackend = 'fs'\ndirectories = [{ host = 'alias/sub' }]\n";
        fs::write(&file, text).unwrap();
        signal("-STOP", server.id());
        let begun = Instant::now();
        let store = ArtifactStore::open_configured(&file, "a").unwrap();
        store.put("k", "x").unwrap();
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        // Others are compared all the same.
        symlink("data", place.path("alias")).unwrap();
        refused(ArtifactStore::open_configured(&file, "a"));
        signal("-CONT", server.id());
        server.kill().unwrap();
        server.wait().unwrap();
    }

    fn without_proc(place: &Place) {
        mount(["-t", "tmpfs", "none", "/proc"].map(OsStr::new));
        symlink("data", place.path("alias")).unwrap();
        place.apart("data", "alias/sub/deep");
        place.together("data", "other");
        place.foreign_on("alias").unwrap();
    }
}

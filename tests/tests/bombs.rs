//! Components that cost their host more than they should: nobody who loads or reads one takes harm.
//!
//! This executable runs itself: as the process that serves, and as the one that compiles.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    // Where this is the process that compiles, nothing below happens.
    artifact_store::Engine::compile_in_child();
    if serving::play() || loading::play() {
        return;
    }
    use libtest_mimic::{Arguments, Trial};
    let trials: &[(&str, fn())] = &[
        ("a_process_that_serves_outlives_each_as_its_next_backend", serving::outlives_all),
        ("each_is_refused_within_its_limits_where_this_process_compiles", loading::in_process),
        ("each_ends_a_command_with_one_clear_line", commands::end_with_one_line),
        ("the_process_that_compiles_ends_with_its_limits", loading::child_has_limits),
        ("the_process_that_compiles_ends_with_its_parent", loading::child_ends_with_parent),
        ("sound_components_are_within_all_limits", loading::sound_ones_are_loaded),
    ];
    let trials = trials.iter().map(|(name, test)| {
        Trial::test(*name, move || {
            test();
            Ok(())
        })
    });
    let mut arguments = Arguments::from_args();
    // They look at the time and memory of processes.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// The highest mark of a process's own memory so far, in MiB.
#[cfg(target_os = "linux")]
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    mark.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Begins a new mark.
#[cfg(target_os = "linux")]
fn forget_peak(process: u32) {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
}

#[cfg(target_os = "linux")]
mod serving {
    use std::io::{BufRead, BufReader, Write};
    use std::path::Path;
    use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use artifact_store::blocking::ArtifactStore;
    use artifact_store::{Backend, SwapOptions};
    use artifact_store_tests::bombs::{self, Bomb};

    use super::{forget_peak, peak};

    /// What one bomb may take of the process that serves, beside what it had before, in MiB: its
    /// file, twice, and what its parts are counted with.
    const MEMORY: u64 = 400;

    /// What is allowed to load one, and what it may take to be refused on a busy machine.
    const LOAD: Duration = Duration::from_secs(5);
    const PATIENCE: Duration = Duration::from_secs(90);

    const ROLE: &str = "ARTIFACT_STORE_TEST_SERVES";

    /// Serves, with puts and gets without pause, and answers each line of its input with one on how
    /// it fares.
    pub fn play() -> bool {
        let Ok(file) = std::env::var(ROLE) else { return false };
        let (store, watch) =
            ArtifactStore::open_watched(file, "main", SwapOptions::default()).unwrap();
        let (calls, longest) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let seen = (Arc::clone(&calls), Arc::clone(&longest));
        std::thread::spawn(move || {
            loop {
                let begun = Instant::now();
                store.put("k", "v").unwrap();
                assert_eq!(store.get("k").unwrap(), "v");
                seen.0.fetch_add(1, Ordering::Relaxed);
                let took = u64::try_from(begun.elapsed().as_millis()).unwrap();
                seen.1.fetch_max(took, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        for line in std::io::stdin().lines() {
            drop(line.unwrap());
            let status = watch.status();
            let error = status.last_error.map(|error| causes(&error).replace('\n', " "));
            let error = error.as_deref().unwrap_or("-");
            let (calls, longest) = (calls.load(Ordering::Relaxed), longest.load(Ordering::Relaxed));
            let mut out = std::io::stdout().lock();
            writeln!(out, "{} {calls} {longest} {error}", status.swaps).unwrap();
            out.flush().unwrap();
        }
        true
    }

    fn causes(error: &artifact_store::Error) -> String {
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    struct Server {
        child: Child,
        input: ChildStdin,
        output: BufReader<ChildStdout>,
    }

    struct State {
        swaps: u64,
        calls: u64,
        /// The longest put and get together, in milliseconds.
        longest: u64,
        error: Option<String>,
    }

    impl Server {
        fn start(configuration: &Path) -> Self {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.env(ROLE, configuration).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            Self { child, input, output: BufReader::new(output) }
        }

        fn state(&mut self) -> State {
            let mut line = String::new();
            let asked = self.input.write_all(b"?\n");
            let heard = asked.and_then(|()| self.output.read_line(&mut line));
            assert!(heard.is_ok_and(|bytes| bytes > 0), "it is dead: {:?}", self.child.wait());
            let mut words = line.trim_end().splitn(4, ' ');
            let mut number = || words.next().unwrap().parse().unwrap();
            let (swaps, calls, longest) = (number(), number(), number());
            let error = words.next().filter(|error| *error != "-").map(str::to_owned);
            State { swaps, calls, longest, error }
        }

        #[track_caller]
        fn until(&mut self, what: &str, holds: impl Fn(&State) -> bool) -> State {
            let begun = Instant::now();
            loop {
                let state = self.state();
                if holds(&state) {
                    return state;
                }
                assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", state.error);
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Two processes, each with every second bomb: compiling one keeps one processor busy.
    pub fn outlives_all() {
        let (refused, taken): (Vec<_>, Vec<_>) = std::thread::scope(|scope| {
            let half = |first| scope.spawn(move || outlives(bombs::all().skip(first).step_by(2)));
            let halves = [half(0), half(1)];
            halves.into_iter().flat_map(|half| half.join().unwrap()).partition(|it| it.1)
        });
        println!("{} refused, taken: {taken:?}", refused.len());
        assert!(refused.len() >= 30, "{taken:?} were taken");
    }

    /// The names of the bombs, each with whether it is refused.
    fn outlives(bombs: impl Iterator<Item = &'static Bomb>) -> Vec<(&'static str, bool)> {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let replace = |content: &[u8]| {
            std::fs::write(path("new"), content).unwrap();
            std::fs::rename(path("new"), path("backend.wasm")).unwrap();
        };
        std::fs::create_dir(path("data")).unwrap();
        let text = format!(
            "cache = 'code'\n[stores.main]\nbackend = 'backend.wasm'\n\
             limits = {{ call-timeout = '10s', load = {{ time = '{}s', memory = '512MiB' }} }}\n\
             [[stores.main.directories]]\nhost = 'data'\n",
            LOAD.as_secs()
        );
        std::fs::write(path("stores.toml"), text).unwrap();
        let good = Backend::fs_component();
        replace(good);
        let mut server = Server::start(&path("stores.toml"));
        server.until("the first call", |state| state.calls > 0);
        let mut results = Vec::new();
        for bomb in bombs {
            let component = bomb.in_a_backend();
            let before = server.state();
            forget_peak(server.child.id());
            let usual = peak(server.child.id());
            let begun = Instant::now();
            replace(&component);
            let is_over = |state: &State| state.error.is_some() || state.swaps > before.swaps;
            let after = server.until(bomb.name, is_over);
            let (took, memory) = (begun.elapsed(), peak(server.child.id()).saturating_sub(usual));
            println!(
                "{}: {:.1} s, {memory} MiB: {}",
                bomb.name,
                took.as_secs_f64(),
                after.error.as_deref().unwrap_or("taken")
            );
            assert!(memory < MEMORY, "{}: {memory} MiB", bomb.name);
            results.push((bomb.name, after.error.is_some()));
            server.until(bomb.name, |state| state.calls > after.calls + 1);
            // Back to what serves; where the bomb was taken, that is a swap.
            replace(good);
            let swaps = after.swaps + u64::from(after.swaps > before.swaps);
            let is_back = |state: &State| state.error.is_none() && state.swaps == swaps;
            server.until("the good one", is_back);
        }
        println!("the slowest call took {} ms", server.state().longest);
        drop(server.input);
        assert!(server.child.wait().unwrap().success());
        results
    }
}

/// The processes that a process has started and that have not ended.
#[cfg(target_os = "linux")]
fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let of_thread = |thread: std::fs::DirEntry| {
        std::fs::read_to_string(thread.path().join("children")).unwrap_or_default()
    };
    let children = threads.map(|thread| of_thread(thread.unwrap())).collect::<String>();
    children.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

#[cfg(target_os = "linux")]
mod loading {
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use artifact_store::blocking::ArtifactStore;
    use artifact_store::{
        Backend, Cache, Compile, Engine, ErrorKind, Limits, LoadError, LoadLimits,
    };
    use artifact_store_tests::bombs::{self, Bomb};

    use super::{children, forget_peak, peak};

    const ROLE: &str = "ARTIFACT_STORE_TEST_COMPILES";

    /// Nothing here takes as long, however loaded the machine is.
    const PATIENCE: Duration = Duration::from_secs(120);

    /// Takes its compiler half a minute and hundreds of megabytes, where nothing ends it.
    fn long() -> &'static Bomb {
        bombs::all().find(|bomb| bomb.name == "100 000 nested blocks").unwrap()
    }

    fn open(bytes: Vec<u8>, compile: Compile, load: LoadLimits) -> Result<(), ErrorKind> {
        let engine = Engine::builder().cache(Cache::Off).compile(compile).build().unwrap();
        let call_timeout = Duration::from_secs(10);
        let limits = Limits::default().load(load).call_timeout(call_timeout);
        let backend = Backend::from_bytes("bomb", bytes).engine(&engine).limits(limits);
        ArtifactStore::open(backend).map(drop).map_err(artifact_store::Error::into_kind)
    }

    /// Loads a component that takes long: the process that is killed meanwhile.
    pub fn play() -> bool {
        if std::env::var_os(ROLE).is_none() {
            return false;
        }
        let _ = open(long().in_a_backend(), Compile::ChildProcess, LoadLimits::default());
        true
    }

    /// Where the compiler cannot be stopped, it is not asked for what takes long.
    pub fn in_process() {
        let this = std::process::id();
        let mut refused = 0;
        for bomb in bombs::all() {
            let component = bomb.in_a_backend();
            forget_peak(this);
            let (usual, begun) = (peak(this), Instant::now());
            let load = LoadLimits::default().time(Duration::from_secs(20));
            let opened = open(component, Compile::InProcess, load);
            let (took, memory) = (begun.elapsed(), peak(this).saturating_sub(usual));
            println!("{}: {:.1} s, {memory} MiB: {opened:?}", bomb.name, took.as_secs_f64());
            assert!(took < PATIENCE, "{}: {took:?}", bomb.name);
            assert!(memory < 1500, "{}: {memory} MiB", bomb.name);
            let is_panic = format!("{opened:?}").contains("Panic(");
            assert!(!is_panic, "{}: {opened:?}", bomb.name);
            refused += usize::from(opened.is_err());
        }
        assert!(refused >= 30, "{refused}");
    }

    pub fn child_has_limits() {
        let component = long().in_a_backend();
        let load = |time, memory: u64| LoadLimits::default().time(time).memory(memory << 20);
        let begun = Instant::now();
        // It takes longer than that on any machine.
        let short = load(Duration::from_millis(100), 4096);
        let error = open(component.clone(), Compile::ChildProcess, short).unwrap_err();
        let is_named = matches!(error, ErrorKind::Load(LoadError::Limit { name: "time", .. }));
        assert!(is_named, "{error:?}");
        assert!(begun.elapsed() < PATIENCE);
        let small = load(Duration::from_secs(60), 64);
        let error = open(component, Compile::ChildProcess, small).unwrap_err();
        let is_named = matches!(error, ErrorKind::Load(LoadError::Limit { name: "memory", .. }));
        assert!(is_named, "{error:?}");
        assert_eq!(children(std::process::id()), [0; 0], "it has ended");
    }

    pub fn child_ends_with_parent() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut parent = command.env(ROLE, "").stdin(Stdio::null()).spawn().unwrap();
        let until = |what: &str, holds: &dyn Fn() -> bool| {
            let begun = Instant::now();
            while !holds() {
                assert!(begun.elapsed() < PATIENCE, "{what}");
                sleep(Duration::from_millis(10));
            }
        };
        let process = parent.id();
        until("it compiles", &|| !children(process).is_empty());
        let [child] = *children(process) else { panic!("one process compiles") };
        // It has nothing of its parent but the three standard descriptors.
        let variables = || std::fs::read(format!("/proc/{child}/environ")).unwrap_or_default();
        until("it is another program", &|| {
            let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("--artifact-store-compile")
        });
        let variables = String::from_utf8_lossy(&variables()).into_owned();
        assert!(variables.trim_matches('\0').starts_with("RAYON_NUM_THREADS="), "{variables}");
        assert_eq!(variables.trim_matches('\0').matches('\0').count(), 0, "{variables}");
        parent.kill().unwrap();
        parent.wait().unwrap();
        let path = format!("/proc/{child}");
        let has_ended = || {
            let status = std::fs::read_to_string(format!("{path}/stat"));
            // Whoever takes orphans may not look after them.
            !Path::new(&path).exists() || status.is_ok_and(|status| status.contains(") Z "))
        };
        until("it ends with its parent", &has_ended);
    }

    pub fn sound_ones_are_loaded() {
        let variant = |n| {
            let mut component = Backend::fs_component().to_vec();
            // As a component that is not known.
            component.extend([0, 3, 1, b'n', n]);
            component
        };
        open(variant(1), Compile::InProcess, LoadLimits::default()).unwrap();
        open(variant(2), Compile::ChildProcess, LoadLimits::default()).unwrap();
        // This program is one that can compile so, and does where nobody says anything.
        let few = LoadLimits::default().work(1);
        open(variant(3), Compile::Auto, few.clone()).unwrap();
        let error = open(variant(3), Compile::InProcess, few).unwrap_err();
        assert!(matches!(error, ErrorKind::Load(LoadError::Limit { name: "work", .. })));
        // What is invalid is told as it is without another process.
        let whole = Backend::fs_component();
        let cut = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
        for compile in [Compile::ChildProcess, Compile::InProcess] {
            let error = open(cut(whole), compile, LoadLimits::default()).unwrap_err();
            assert!(matches!(error, ErrorKind::Load(LoadError::Invalid(_))), "{error:?}");
        }
    }
}

#[cfg(target_os = "linux")]
mod commands {
    use std::time::{Duration, Instant};

    use artifact_store_tests::bombs::{self, Bomb};
    use artifact_store_tests::{cli, run};

    /// What a command may take on a busy machine, where loading may take 5 s.
    const PATIENCE: Duration = Duration::from_secs(90);

    pub fn end_with_one_line() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        // Building it takes its time, too.
        drop(cli());
        let text = "cache = 'off'\n[stores.main]\nbackend = 'bomb.wasm'\n\
                    limits = { load = { time = '5s', memory = '512MiB' } }\n";
        std::fs::write(place.join("stores.toml"), text).unwrap();
        let commands: &[&[&str]] = &[
            &["inspect", "bomb.wasm"],
            &["bundle", "bomb.wasm", "-o", "bundle.wasm"],
            &["--config", "stores.toml", "check"],
            &["--config", "stores.toml", "config", "check"],
        ];
        let ends = |bomb: &Bomb, command: &[&str]| {
            let begun = Instant::now();
            let output = run(place, command, b"");
            let took = begun.elapsed();
            let error = String::from_utf8_lossy(&output.stderr);
            let what = format!("{} of {}: {took:.1?}", command.join(" "), bomb.name);
            println!("{what}: {:?}: {error}", output.status.code());
            assert!(took < PATIENCE, "{what}");
            // What costs its compiler alone can be looked at.
            if command[0] == "inspect" && output.status.success() {
                return;
            }
            assert_eq!(output.status.code(), Some(1), "{what}: {error}");
            let said: Vec<_> = error.lines().filter(|it| !it.starts_with("hint: ")).collect();
            let [line] = *said else { panic!("{what}: {error}") };
            assert!(line.starts_with("artifact-store: ") && line.len() < 2000, "{line}");
        };
        for bomb in bombs::all() {
            std::fs::write(place.join("bomb.wasm"), (bomb.make)()).unwrap();
            // At once, since compiling it keeps one processor busy.
            std::thread::scope(|scope| {
                for command in commands {
                    scope.spawn(move || ends(bomb, command));
                }
            });
        }
    }
}

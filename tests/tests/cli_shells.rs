//! What the shells make of the completion scripts, and `jq` of the documented lines. A program that
//! is not there has its tests ignored.

use std::path::Path;
use std::process::{Command, Stdio};

use artifact_store_tests::{alone, cli, expect, shell};
use libtest_mimic::{Arguments, Failed, Trial};

/// A line as far as it is typed, and what is offered among other things.
const LINES: &[(&str, &[&str])] = &[
    ("artifact-store co", &["copy", "config", "completions"]),
    ("artifact-store new", &["new-backend", "new-layer"]),
    ("artifact-store ", &["get", "put", "list", "delete"]),
    ("artifact-store ls --sort ", &["name", "size", "time"]),
    ("artifact-store --dir d --env A=1 ver", &["verify"]),
    ("artifact-store config ", &["check"]),
    ("artifact-store config check --no", &["--no-open", "--no-probe"]),
    ("artifact-store get k --of", &["--offset"]),
    ("artifact-store new-backend --pa", &["--path"]),
    ("artifact-store list --", &["--json", "--null", "--backend"]),
    ("artifact-store extract ", &["fs", "s3", "command"]),
    ("artifact-store completions ", &["bash", "zsh", "fish"]),
    ("artifact-store --sign ", &["host", "backend"]),
    ("artifact-store put k --sign ", &["host", "backend"]),
    ("artifact-store check --only ", &["keys", "round-trip"]),
    ("artifact-store -v --timeout 5s verify --re", &["--repair", "--repair-from"]),
    ("artifact-store man ver", &["verify"]),
    ("artifact-store --backend ", &["fs", "s3", "my.wasm"]),
    ("artifact-store --config stores.toml --store ", &["disk", "archive"]),
    ("artifact-store --config stores.toml copy --from di", &["disk"]),
    ("artifact-store --config stores.toml verify --repair-from a", &["archive"]),
    // Keys, up to the next `/`.
    ("artifact-store --dir disk get ", &["builds/", "k", "sha256:ab"]),
    ("artifact-store --dir disk stat builds/", &["builds/1", "builds/app-1.2"]),
    ("artifact-store list --dir disk bu", &["builds/"]),
    ("artifact-store --dir disk delete k builds/a", &["builds/app-1.2"]),
    ("artifact-store --config stores.toml --store disk get builds/1", &["builds/1"]),
    // A word has no end at these.
    ("artifact-store --dir=disk get sha256:a", &["sha256:ab"]),
    ("artifact-store --dir disk get k=", &["k=v"]),
];

/// A line that is followed by what a shell makes of it when the only candidate is put there.
const QUOTED: (&str, &str) = ("artifact-store --dir disk get with", "with\\ blank");

/// A line for which no option is offered.
const WITHOUT_OPTIONS: [&str; 3] =
    ["artifact-store ", "artifact-store --dir disk get ", "artifact-store extract "];

/// Prints what the function that the script registers leaves.
const BASH: &str = r#"
source "$1"
COMP_LINE=$2 COMP_POINT=${#2}
# Bash breaks words at these, too.
line=${2//:/ : } line=${line//=/ = }
read -ra COMP_WORDS <<< "$line"
[[ $2 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
function=$(complete -p artifact-store | grep -o -- '-F [^ ]*')
"${function#-F }" artifact-store "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
# What is before a break stays.
before=${2##* } before=${before%"${before##*[:=]}"}
printf "$before%s\\n" "${COMPREPLY[@]}"
"#;

const FISH: &str = r#"source $argv[1]; complete -C $argv[2]"#;

/// Types the line in a terminal, and prints what is offered instead of showing it.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PROMPT='
zpty -w z "fpath=(${1:h} \$fpath); autoload -U compinit; compinit -u -D"
zpty -w z "compadd() { local -a m; builtin compadd -O m \"\$@\"; print -rl -- \"<\${^m}>\"; builtin compadd \"\$@\" }"
zpty -w z "finished() { print FINI''SHED }; zle -N finished; bindkey '^X' finished; bindkey '^I' complete-word"
zpty -w z "print REA''DY"
zpty -r -m z line '*READY*'
zpty -w -n z "$2"$'\t\x18'
zpty -r -m z line '*FINISHED*'
print -r -- "$line"
"#;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for name in ["bash", "zsh", "fish"] {
        let is_there = has(name);
        let trial = Trial::test(format!("completions_of_{name}"), move || completions(name));
        trials.push(trial.with_ignored_flag(!is_there));
    }
    let trial = Trial::test("documented_jq_lines_say_what_they_promise", documented_lines);
    trials.push(trial.with_ignored_flag(!has("jq")));
    let trial = Trial::test("every_line_of_json_has_a_type", types);
    trials.push(trial.with_ignored_flag(!has("jq")));
    libtest_mimic::run(&arguments, trials).exit();
}

/// In CI they have to be there.
fn has(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null());
    let is_there = command.status().is_ok_and(|status| status.success());
    is_there || std::env::var_os("CI").is_some()
}

fn completions(name: &str) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let script = dir.path().join("_artifact-store");
    std::fs::write(&script, cli().args(["completions", name]).output()?.stdout)?;
    stores(dir.path());
    for key in ["sha256:ab", "k=v", "with blank"] {
        expect(dir.path(), &["--dir", "disk", "put", key], b"1", 0);
    }
    std::fs::write(dir.path().join("my.wasm"), "")?;
    for (line, expected) in LINES {
        let text = offered(name, &script, line)?;
        let offered: Vec<_> = text.split([' ', '\t', '\r', '\n', '<', '>']).collect();
        for word in *expected {
            // Zsh takes the slash for something to add to the word.
            let is_there = offered.contains(word)
                || name == "zsh" && word.strip_suffix('/').is_some_and(|it| offered.contains(&it));
            if !is_there {
                return Err(format!("`{line}` does not offer {word}: {text}").into());
            }
        }
    }
    for line in WITHOUT_OPTIONS {
        let text = offered(name, &script, line)?;
        let words = text.split([' ', '\t', '\r', '\n', '<', '>']);
        let mut options = words.filter(|word| word.len() > 2 && word.starts_with("--"));
        assert!(options.all(|word| line.contains(word)), "`{line}` offers options: {text}");
    }
    let (line, expected) = QUOTED;
    let text = offered(name, &script, line)?;
    // The other shells quote by themselves.
    let expected = if name == "bash" { expected } else { "with blank" };
    assert!(text.contains(expected), "`{line}` offers {text}");
    Ok(())
}

/// What the shell offers for the line, in whatever way it separates it.
fn offered(name: &str, script: &Path, line: &str) -> Result<String, Failed> {
    let mut command = Command::new(name);
    match name {
        "bash" => command.args(["--norc", "-c", BASH, "bash"]),
        "zsh" => command.args(["-f", "-c", ZSH, "zsh"]),
        _ => command.args(["--no-config", "-c", FISH]),
    };
    alone(&mut command);
    let dir = script.parent().unwrap();
    let output = command.env("PATH", path()).arg(script).arg(line).current_dir(dir).output()?;
    let [text, error] =
        [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    Ok(if error.is_empty() { text } else { format!("{text} {error}") })
}

/// The path of programs with this one before all others.
fn path() -> std::ffi::OsString {
    let bin = Path::new(cli().get_program()).parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&others))).unwrap()
}

/// Two stores, of which `disk` has a damaged artifact and one whose header is damaged.
fn stores(dir: &Path) {
    let mut text = String::new();
    for name in ["disk", "archive"] {
        std::fs::create_dir(dir.join(name)).unwrap();
        text +=
            &format!("[stores.{name}]\nbackend = 'fs'\ndirectories = [{{ host = '{name}' }}]\n");
    }
    std::fs::write(dir.join("stores.toml"), text).unwrap();
    for (key, bytes) in [("k", &b"12345"[..]), ("builds/1", b"123"), ("builds/app-1.2", b"1")] {
        expect(dir, &["--dir", "disk", "put", key], bytes, 0);
    }
}

/// Changes the last byte of a file of the store, or the one at an offset.
fn damage(file: &Path, at: Option<usize>) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = at.unwrap_or(bytes.len() - 1);
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

/// The file of an artifact, found by what it holds.
fn file_of(store: &Path, bytes: &[u8]) -> std::path::PathBuf {
    let mut dirs = vec![store.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if std::fs::read(&path).unwrap().ends_with(bytes) {
                return path;
            }
        }
    }
    panic!("there is none");
}

/// Each line with `jq` that a help text shows, run as it stands, with what it is to write.
fn documented_lines() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    let expected: &[(&str, &[&str], i32)] = &[
        ("list", &["9"], 0),
        ("stat", &["1"], 0),
        ("du", &["9"], 0),
        ("verify", &["k", "DAMAGED"], 0),
        ("copy", &["builds/1"], 0),
        ("inspect", &["DIGEST"], 0),
        ("check", &[], 0),
    ];
    for (command, words, code) in expected {
        let help = expect(dir, &[command, "--help"], b"", 0);
        let lines: Vec<_> = help.lines().filter(|line| line.contains("| jq")).collect();
        assert!(!lines.is_empty(), "{command}: {help}");
        for line in lines {
            let place = tempfile::tempdir()?;
            let place = place.path();
            stores(place);
            let mut damaged = String::new();
            if *command == "verify" {
                damage(&file_of(&place.join("disk"), b"12345"), None);
                // Nothing but its header says what its key is.
                let long = "x".repeat(300);
                expect(place, &["--dir", "disk", "put", &long], b"long", 0);
                let header = file_of(&place.join("disk"), b"long");
                damage(&header, Some(0));
                damaged = header.file_name().unwrap().to_string_lossy().into_owned();
            }
            if *command == "copy" {
                for (key, bytes) in [("k", "12345"), ("builds/app-1.2", "1")] {
                    expect(place, &["--dir", "archive", "put", key], bytes.as_bytes(), 0);
                }
            }
            std::fs::copy(artifact_store_tests::guest("plain"), place.join("my-backend.wasm"))?;
            // The program by its name, and the store by a variable.
            let line = line.trim().split("   #").next().unwrap_or_default();
            let path = path().into_string().unwrap();
            let variables = match line.contains("--config") {
                true => String::new(),
                false => "export ARTIFACT_STORE_DIR=disk; ".to_owned(),
            };
            let output = shell(place, &format!("{variables}PATH={path}; {line}"));
            let text = String::from_utf8(output.stdout)?;
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(*code), "{line}: {error}");
            let seen: Vec<_> = text.lines().collect();
            assert_eq!(seen.len(), words.len(), "{line}: {text}{error}");
            for word in *words {
                let is_there = match *word {
                    "DAMAGED" => seen.iter().any(|seen| seen.ends_with(&damaged)),
                    "DIGEST" => seen[0].trim_matches('"').len() == 64,
                    word => seen.contains(&word),
                };
                assert!(is_there, "{line}: {text}");
            }
        }
    }
    Ok(())
}

/// No field has two meanings: one of a name has one type of value in all lines of a command.
fn types() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    stores(dir);
    damage(&file_of(&dir.join("disk"), b"12345"), None);
    damage(&file_of(&dir.join("disk"), b"123"), Some(10));
    std::fs::write(dir.join("disk/foreign"), "x")?;
    for command in [
        "--dir disk list --json",
        "--dir disk du --json --depth 1",
        "--dir disk delete --json --dry-run k none",
        "--dir disk stat builds/app-1.2 --json",
        "--dir disk verify --json",
        "--config stores.toml --store disk verify --json --repair-from archive",
        "--config stores.toml copy --from disk --to archive --json --dry-run",
        "--config stores.toml copy --from disk --to archive --json",
        "check fs --only errors --json",
        "inspect fs --json",
        "inspect fs fs --json",
    ] {
        let output = shell(dir, &format!("\"$A\" {command}"));
        let text = String::from_utf8(output.stdout)?;
        assert!(!text.is_empty(), "{command}");
        let mut kinds = std::collections::BTreeMap::new();
        for line in text.lines() {
            let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)?;
            assert!(line.get("type").is_some_and(|kind| kind.is_string()), "{command}: {line:?}");
            for (name, value) in line.into_iter().filter(|(_, value)| !value.is_null()) {
                let kind = std::mem::discriminant(&value);
                let known = *kinds.entry(name.clone()).or_insert(kind);
                assert_eq!(known, kind, "{command}: `{name}` has two meanings: {text}");
            }
        }
    }
    Ok(())
}

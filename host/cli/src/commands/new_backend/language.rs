//! What a new backend consists of in each language.

use clap::ValueEnum;

use super::rust;
use crate::commands::template::{self, Files, below, contract, filled, text};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Rust,
    Python,
    #[value(name = "javascript")]
    JavaScript,
    C,
}

impl Language {
    /// The line that builds it, in its directory.
    pub fn build(self) -> &'static str {
        match self {
            Self::Rust => template::rust::BUILD,
            _ => "./build.sh",
        }
    }

    /// The component that this makes.
    pub fn component(self, name: &str) -> String {
        match self {
            Self::Rust => template::rust::component(name),
            _ => format!("target/{name}.wasm"),
        }
    }

    pub fn files(self, name: &str, full: bool) -> Files {
        let mut files = match self {
            Self::Rust if full => rust::full(name),
            Self::Rust => rust::plain(name),
            Self::Python => self.scripted(name, "python", "wit"),
            Self::JavaScript => self.scripted(name, "javascript", "wit/deps/artifact-storage"),
            Self::C => {
                let mut files = self.scripted(name, "c", "wit/deps/artifact-storage");
                // The interfaces of WASI, which its world names, too.
                let wasi = below("javascript").filter(|(path, _)| path.starts_with("wit/deps/"));
                files.extend(wasi.map(|(path, bytes)| (path.into(), bytes.to_vec())));
                files
            }
        };
        files.extend(template::common(self.readme(name, full)));
        files
    }

    /// One that a script builds: the backend in `guest/`, with the contract in the folder `wit`.
    fn scripted(self, name: &str, folder: &str, wit: &str) -> Files {
        let files = below(folder).filter(|(path, _)| *path != "README.md");
        let files = files.map(|(path, bytes)| match path.ends_with(".sh") {
            true => (path.into(), script(name, folder, bytes).into_bytes()),
            false => (path.into(), bytes.to_vec()),
        });
        let format = ("FORMAT.md".into(), text("FORMAT.md").into_bytes());
        files.chain(contract(wit)).chain([format]).collect()
    }

    fn readme(self, name: &str, full: bool) -> String {
        let (language, about) = match self {
            Self::Rust if full => ("Rust", rust::ABOUT_FULL),
            Self::Rust => ("Rust", rust::ABOUT),
            Self::Python => (
                "Python",
                "`app.py` has the exported functions, `files.py` the storage. `FORMAT.md` describes \
                 the files. `wit/` is the contract;\nits comments are the rules. `build.sh` needs \
                 Python 3.11 or later, and installs componentize-py below `target/`.",
            ),
            Self::JavaScript => (
                "JavaScript",
                "`app.js` has the exported functions, `files.js` the storage. `FORMAT.md` describes \
                 the files. `wit/deps/artifact-storage`\nis the contract; its comments are the \
                 rules. `build.sh` needs Node 20 or later with npm, and installs componentize-qjs \
                 below\n`target/`.",
            ),
            Self::C => (
                "C",
                "`component.c` has the exported functions, `files.c` the storage. `FORMAT.md` \
                 describes the files. `wit/deps/artifact-storage`\nis the contract; its comments \
                 are the rules. `build.sh` needs Python 3.11 or later and npm, and fetches the \
                 compiler below\n`target/`. `generate.sh` makes `bindings/` anew, for another world.",
            ),
        };
        let component = self.component(name);
        let values = [
            ("NAME", name),
            ("LANGUAGE", language),
            ("BUILD", self.build()),
            ("CRASH", if self == Self::Rust { " --crash" } else { "" }),
            ("COMPONENT", &*component),
            ("ABOUT", about),
        ];
        filled("backend.md", &values)
    }
}

/// A script of a backend in this project's tree, for one that stands alone: the contract and the
/// folder for the tools lie in its own directory.
fn script(name: &str, folder: &str, bytes: &[u8]) -> String {
    let mut script = String::new();
    for line in String::from_utf8_lossy(bytes).lines() {
        // What this brings is there already.
        if line.starts_with("cp ../") {
            continue;
        }
        script.push_str(line);
        script.push('\n');
    }
    script
        .replace("/../../target/languages", "/target")
        .replace("--wit-path ../../wit", "--wit-path wit")
        .replace(&format!("/{folder}.wasm"), &format!("/{name}.wasm"))
}

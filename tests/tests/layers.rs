//! The modules of the host crate, those of the command line and those of the server depend on each
//! other in one direction, which `CONTRIBUTING.md` writes down.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The modules from the top to the ground, as the document has them in a block of its own.
fn layers(block: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let (_, after) = text.split_once(&format!("```{block}\n")).expect("a block of the layers");
    let (block, _) = after.split_once("```").expect("its end");
    block.split_whitespace().map(str::to_owned).collect()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// Code without its comments, which may speak of everything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The words of a text that are names.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What `crate::…` names in this code: modules, and what the root of the crate hands on.
fn named(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        let rest = &code[at + start.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.extend(words(rest).next());
            continue;
        };
        // The first word of each part of the group.
        let (mut depth, mut part) = (1, 0);
        for (end, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                names.extend(words(&group[part..end]).next());
                part = end + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

#[test]
fn dependencies_of_the_library_point_down() {
    dependencies_point_down("layers", "host/src", "lib");
}

#[test]
fn dependencies_of_the_command_line_point_down() {
    dependencies_point_down("layers-cli", "host/cli/src", "main");
}

#[test]
fn dependencies_of_the_server_point_down() {
    dependencies_point_down("layers-server", "server/src", "lib");
}

fn dependencies_point_down(block: &str, src: &str, top: &str) {
    let layers = layers(block);
    let src = root().join(src);
    let lib = code(&src.join(top).with_extension("rs"));
    let modules = lib.lines().filter_map(|line| line.trim_end().strip_suffix(';'));
    let modules: Vec<_> = modules
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "))
        .map(str::to_owned)
        .collect();
    let mut sorted = [layers.clone(), modules];
    sorted.iter_mut().for_each(|names| names.sort());
    assert_eq!(sorted[0], sorted[1], "each module of the crate is one of the layers");

    let mut homes = BTreeMap::new();
    for (at, start) in lib.match_indices("pub use ") {
        let mut words = words(lib[at + start.len()..].split(';').next().unwrap());
        let home = words.next().unwrap();
        homes.extend(words.map(|name| (name, home)));
    }
    let height = |module: &str| layers.iter().position(|layer| layer == module);
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut edges = 0;
    for file in files {
        let within = file.strip_prefix(&src).unwrap();
        let module = within.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some(here) = height(module) else {
            assert_eq!(module, top);
            continue;
        };
        for name in named(&code(&file)) {
            let used = *homes.get(name).unwrap_or(&name);
            if let Some(there) = height(used).filter(|there| *there != here) {
                edges += 1;
                assert!(here < there, "{} uses `{used}`, which lies above it", within.display());
            }
        }
    }
    assert!(edges > 2 * layers.len(), "{edges}");
}

/// A page that names a file which has moved misleads whoever wants to check it.
#[test]
fn documents_name_files_that_exist() {
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    sources(&root().join("docs"), &mut pages);
    let mut named = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for span in text.split('`').skip(1).step_by(2) {
            let is_path =
                ["host/", "guest/", "tests/", "docs/", "benches/", "adapters/", "server/"]
                    .iter()
                    .any(|folder| span.starts_with(folder));
            if is_path && !span.contains([' ', '\n', '*', '{', '…', '<', '$']) {
                let file = span.split('#').next().unwrap();
                assert!(root().join(file).exists(), "{}: `{span}`", page.display());
                named += 1;
            }
        }
    }
    assert!(named > 50, "{named}");
}

//! The modules of the host crate depend on each other in one direction, which `CONTRIBUTING.md`
//! writes down.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The modules from the top to the ground, as the document has them in a block of its own.
fn layers() -> Vec<String> {
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let (_, after) = text.split_once("```layers\n").expect("a block of the layers");
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
    Regex::new("//[^\n]*").unwrap().replace_all(&fs::read_to_string(path).unwrap(), "").into_owned()
}

/// What `crate::…` names in this code: modules, and what the root of the crate hands on.
fn named(code: &str) -> Vec<String> {
    let single = Regex::new(r"\bcrate::(\w+)").unwrap();
    let mut names: Vec<_> = single.captures_iter(code).map(|it| it[1].to_owned()).collect();
    for (at, start) in code.match_indices("crate::{") {
        let (mut depth, mut begins) = (1, true);
        let mut name = String::new();
        for c in code[at + start.len()..].chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if begins && depth == 1 && (c.is_alphanumeric() || c == '_') {
                name.push(c);
            } else if !name.is_empty() {
                names.push(std::mem::take(&mut name));
                begins = false;
            }
            if c == ',' && depth == 1 {
                begins = true;
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

#[test]
fn dependencies_point_down() {
    let layers = layers();
    let src = root().join("host/src");
    let lib = code(&src.join("lib.rs"));
    let modules: Vec<_> = Regex::new(r"\bmod (\w+);")
        .unwrap()
        .captures_iter(&lib)
        .map(|it| it[1].to_owned())
        .collect();
    let mut sorted = [layers.clone(), modules];
    sorted.iter_mut().for_each(|names| names.sort());
    assert_eq!(sorted[0], sorted[1], "each module of the crate is one of the layers");

    let mut homes = BTreeMap::new();
    for handed_on in Regex::new(r"pub use (\w+)(::[^;]*);").unwrap().captures_iter(&lib) {
        for name in Regex::new(r"\w+").unwrap().find_iter(&handed_on[2]) {
            homes.insert(name.as_str().to_owned(), handed_on[1].to_owned());
        }
    }
    let height = |module: &str| layers.iter().position(|layer| layer == module);
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut edges = 0;
    for file in files {
        let within = file.strip_prefix(&src).unwrap();
        let module = within.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some(here) = height(module) else {
            assert_eq!(module, "lib");
            continue;
        };
        for name in named(&code(&file)) {
            let used = homes.get(&name).unwrap_or(&name);
            if let Some(there) = height(used).filter(|there| *there != here) {
                edges += 1;
                assert!(here < there, "{} uses `{used}`, which lies above it", within.display());
            }
        }
    }
    assert!(edges > 100, "{edges}");
}

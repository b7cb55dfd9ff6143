//! Names of which only one can be a file: `a` is no directory for `a/b`.

use std::collections::HashMap;
use std::path::Path;

use super::local;
use crate::failure::Single;

/// The names of a tree that cannot be files beside those before them, and why.
pub fn among<'a>(root: &Path, names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, Single> {
    // Whether a path is a file; else it is a directory.
    let (mut taken, mut clashes) = (HashMap::new(), HashMap::new());
    for name in names {
        let above = || name.match_indices('/').map(|(end, _)| &name[..end]);
        let file = above().find(|dir| taken.get(dir) == Some(&true));
        if let Some(file) = file {
            clashes.insert(name, local::taken(&root.join(file), "a file", "a directory"));
        } else if taken.get(name) == Some(&false) {
            clashes.insert(name, local::taken(&root.join(name), "a directory", "a file"));
        } else {
            taken.extend(above().map(|dir| (dir, false)));
            taken.insert(name, true);
        }
    }
    clashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_file_or_a_directory() {
        let clashes = |names: &[&str]| {
            let found = among(Path::new("/r"), names.iter().copied());
            let mut found: Vec<_> = found.into_keys().map(str::to_owned).collect();
            found.sort();
            found.join(" ")
        };
        assert_eq!(clashes(&["a", "a/b", "ab", "a/b/c"]), "a/b a/b/c");
        assert_eq!(clashes(&["a/b/c", "a", "a/b", "a/b/d"]), "a a/b");
        assert_eq!(clashes(&["a", "b/a", "c/a"]), "");
    }
}

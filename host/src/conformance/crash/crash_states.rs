//! Every directory that a crash may leave, without duplicates.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::model::{Disk, Names, Variant};
use super::recorder::{Event, Recording};
use super::tree::{Node, ROOT};

/// If one prefix of the log has more states than this, the rest is left out.
const STATES: usize = 20_000;

type Hash = [u8; 32];

struct Content {
    bytes: Vec<u8>,
    hash: Hash,
}

enum Entry {
    Dir,
    File(Node, Arc<Content>),
}

/// One directory that a crash may leave.
pub(super) struct State {
    entries: BTreeMap<String, Entry>,
    /// The number of events of the log before the crash.
    pub(super) prefix: usize,
    /// Which of the changes that were not durable are kept, for people.
    pub(super) variant: String,
}

impl State {
    /// Fills the empty directory `dir` with this state.
    pub(super) fn make(&self, dir: &Path) -> io::Result<()> {
        let mut made: HashMap<Node, &str> = HashMap::new();
        for (path, entry) in &self.entries {
            match entry {
                Entry::Dir => fs::create_dir(dir.join(path))?,
                Entry::File(node, content) => match made.get(node) {
                    Some(other) => fs::hard_link(dir.join(other), dir.join(path))?,
                    None => {
                        fs::write(dir.join(path), &content.bytes)?;
                        made.insert(*node, path);
                    }
                },
            }
        }
        Ok(())
    }

    fn hash(&self) -> Hash {
        let mut hasher = Sha256::new();
        for (path, entry) in &self.entries {
            hasher.update((path.len() as u64).to_le_bytes());
            hasher.update(path);
            match entry {
                Entry::Dir => hasher.update([0]),
                Entry::File(_, content) => {
                    hasher.update([1]);
                    hasher.update(content.hash);
                }
            }
        }
        hasher.finalize().into()
    }
}

/// Passes the states of all prefixes of the log, or of the whole log only, to `each`, together with
/// the progress of the contract's calls. Returns how many states were left out for being too many.
pub(super) fn enumerate(
    recording: &Recording,
    whole_only: bool,
    mut each: impl FnMut(State),
) -> usize {
    let mut disk = Disk::new(&recording.before);
    let mut seen = HashSet::new();
    let mut left_out = 0;
    for prefix in 0..=recording.events.len() {
        if let Some(event) = prefix.checked_sub(1).map(|last| &recording.events[last]) {
            disk.apply(event);
            // The expectation changes here, so equal states count again.
            if matches!(event, Event::Begin(_) | Event::Acknowledge(_)) {
                seen.clear();
            }
        }
        if whole_only && prefix < recording.events.len() {
            continue;
        }
        left_out += of_disk(&disk, prefix, |state| {
            if seen.insert(state.hash()) {
                each(state);
            }
        });
    }
    left_out
}

fn of_disk(disk: &Disk, prefix: usize, mut each: impl FnMut(State)) -> usize {
    let dirs = disk.names();
    let mut contents: HashMap<Node, Vec<Variant<Arc<Content>>>> = HashMap::new();
    let mut count = 0;
    let mut left_out = 0;
    for choice in Choices::new(dirs.iter().map(|(_, variants)| variants.len()).collect()) {
        let chosen: HashMap<Node, &Names> =
            dirs.iter().zip(&choice).map(|((node, all), at)| (*node, &all[*at].value)).collect();
        let mut names = BTreeMap::new();
        walk(disk, &chosen, ROOT, "", &mut names);
        let mut files: Vec<Node> =
            names.values().copied().filter(|node| !disk.is_dir(*node)).collect();
        files.sort_unstable();
        files.dedup();
        for file in &files {
            contents.entry(*file).or_insert_with(|| hashed(disk.contents(*file)));
        }
        let counts = files.iter().map(|file| contents[file].len()).collect();
        for content in Choices::new(counts) {
            count += 1;
            if count > STATES {
                left_out += 1;
                continue;
            }
            let of = |node: Node| {
                let at = files.binary_search(&node).map_or(0, |at| content[at]);
                &contents[&node][at]
            };
            let entries = names.iter().map(|(path, node)| {
                let entry = match disk.is_dir(*node) {
                    true => Entry::Dir,
                    false => Entry::File(*node, Arc::clone(&of(*node).value)),
                };
                (path.clone(), entry)
            });
            let entries = entries.collect();
            let named = dirs.iter().zip(&choice).filter(|(_, at)| **at > 0);
            let named = named.map(|((node, all), at)| (*node, &all[*at].what));
            let filled = files.iter().filter(|file| contents[file].len() > 1);
            let filled = filled.map(|file| (*file, &of(*file).what));
            let what: Vec<_> = named
                .chain(filled)
                .map(|(node, what)| {
                    let path = names.iter().find(|(_, other)| **other == node);
                    format!("`/{}`: {what}", path.map_or("", |(path, _)| path))
                })
                .collect();
            let variant = match what.is_empty() {
                true => "everything was kept".into(),
                false => format!("of what was not synced: {}", what.join("; ")),
            };
            each(State { entries, prefix, variant });
        }
    }
    left_out
}

fn hashed(variants: Vec<Variant<Vec<u8>>>) -> Vec<Variant<Arc<Content>>> {
    let hash = |Variant { value: bytes, what }| {
        let hash = Sha256::digest(&bytes).into();
        Variant { value: Arc::new(Content { bytes, hash }), what }
    };
    variants.into_iter().map(hash).collect()
}

fn walk(
    disk: &Disk,
    chosen: &HashMap<Node, &Names>,
    dir: Node,
    path: &str,
    found: &mut BTreeMap<String, Node>,
) {
    for (name, node) in chosen.get(&dir).into_iter().flat_map(|names| names.iter()) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        // A rename may be lost on one side only, so a directory could contain itself.
        let is_new = found.insert(path.clone(), *node).is_none();
        if is_new && disk.is_dir(*node) && path.len() < 4096 {
            walk(disk, chosen, *node, &path, found);
        }
    }
}

/// All combinations of one variant each; the first combination has the first of each.
struct Choices {
    counts: Vec<usize>,
    next: Option<Vec<usize>>,
}

impl Choices {
    fn new(counts: Vec<usize>) -> Self {
        let first = counts.iter().all(|count| *count > 0).then(|| vec![0; counts.len()]);
        Self { counts, next: first }
    }
}

impl Iterator for Choices {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        let choice = self.next.take()?;
        let mut after = choice.clone();
        for (at, count) in after.iter_mut().zip(&self.counts) {
            *at += 1;
            if *at < *count {
                self.next = Some(after);
                return Some(choice);
            }
            *at = 0;
        }
        Some(choice)
    }
}

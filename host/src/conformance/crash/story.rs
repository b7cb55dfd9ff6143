//! When a crash came, in the words of an author: which call had been acknowledged or was under way,
//! and what the backend did last and would have done next.

use std::collections::HashMap;
use std::fmt;

use super::backend::Step;
use super::recorder::{Event, Recording};
use super::tree::{Item, Node, ROOT};

/// The moment after the first `prefix` events of a recording.
pub(super) fn moment(recording: &Recording, steps: &[Step], prefix: usize) -> String {
    let names = Names::of(recording);
    let (past, future) = recording.events.split_at(prefix.min(recording.events.len()));
    let call = |number: &usize| steps.get(*number).map_or("the call".into(), Step::to_string);
    let call = past.iter().rev().find_map(|event| match event {
        Event::Begin(number) => Some(format!("during {}", call(number))),
        Event::Acknowledge(number) => Some(format!("after {} was acknowledged", call(number))),
        _ => None,
    });
    let mut text = call.unwrap_or_else(|| "before the first call".into());
    // What belongs to the call that was named.
    let last = past.last().and_then(|event| names.told(event));
    let next = future.first().and_then(|event| names.told(event));
    for (word, told) in [("after", last), ("before", next)] {
        if let Some(told) = told {
            text.push_str(&format!(", {word} the backend {told}"));
        }
    }
    text
}

/// The last name of each file and directory.
struct Names(HashMap<Node, String>);

impl Names {
    fn of(recording: &Recording) -> Self {
        let mut names = HashMap::new();
        for (_, item) in recording.before.items() {
            if let Item::Dir(entries) = item {
                names.extend(entries.iter().map(|(name, node)| (*node, name.clone())));
            }
        }
        for event in &recording.events {
            if let Event::Add { node, name, .. } | Event::Link { node, name, .. } = event {
                names.insert(*node, name.clone());
            }
        }
        Self(names)
    }

    fn name(&self, node: Node) -> String {
        match self.0.get(&node) {
            _ if node == ROOT => "the granted directory".into(),
            Some(name) => format!("`{}`", name.escape_debug()),
            None => "a file".into(),
        }
    }

    /// What the backend did; none where that was no change.
    fn told(&self, event: &Event) -> Option<String> {
        let quoted = |name: &String| format!("`{}`", name.escape_debug());
        Some(match event {
            Event::Add { name, is_dir: true, .. } => format!("made the directory {}", quoted(name)),
            Event::Add { name, .. } => format!("created the file {}", quoted(name)),
            Event::Link { name, .. } => format!("linked a file as {}", quoted(name)),
            Event::Remove { name, .. } => format!("removed {}", quoted(name)),
            Event::Rename { name, new_name, .. } => {
                format!("renamed {} to {}", quoted(name), quoted(new_name))
            }
            Event::Write { node, bytes, .. } => {
                format!("wrote {} bytes to {}", bytes.len(), self.name(*node))
            }
            Event::SetSize { node, size } => {
                format!("set the size of {} to {size}", self.name(*node))
            }
            Event::SyncFile { node } => format!("synced the file {}", self.name(*node)),
            Event::SyncDir { node } if *node == ROOT => "synced the granted directory".into(),
            Event::SyncDir { node } => format!("synced the directory {}", self.name(*node)),
            Event::Begin(_) | Event::Acknowledge(_) => return None,
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = match self {
            Self::Put(..) => "put",
            Self::Create(..) => "create",
            Self::Write(..) => "write",
            Self::Replace(..) => "replace",
            Self::Delete(_) => "delete",
            Self::DeleteIf(_) => "delete-if",
            Self::Copy(source, ..) => return write!(f, "copy({source:?}, {:?})", self.key()),
        };
        write!(f, "{call}({:?})", self.key())
    }
}

//! What an instance may use, and what it was refused.

use wasmtime::component::ResourceTableError;
use wasmtime::{ResourceLimiter, Result};

use super::shortage;
use crate::error::{ErrorKind, Resource};
use crate::limits::{Limits, here};
use crate::text;

/// The most elements of all tables of an instance together; each takes a pointer.
const TABLE_ELEMENTS: usize = 1 << 20;

/// The most memories of one instance. Each takes 4 GiB of addresses, of which a process has 128
/// TiB. A component has one memory, and one more for each component that it is composed of.
const MEMORIES: usize = 16;

/// The most tables, and core instances, of one instance. Components of interpreters have a few
/// dozen.
const TABLES: usize = 256;
const INSTANCES: usize = 1000;

/// The messages of wasmtime if a component returns more than the host takes in one call, and if the
/// handles or parts of a store are used up: these errors have no types. A component cannot
/// influence these words, and they are compared only where no other text can stand.
const OUT_OF_FUEL: &str = "too much data is being copied between the host and the guest: fuel \
                           allocated for hostcalls has been exhausted";
const OUT_OF_HANDLES: [&str; 2] = [
    "cannot allocate another handle: store handle limit exceeded",
    "cannot lend resource: store handle limit exceeded",
];
const OUT_OF_PARTS: &str = "resource limit exceeded: ";

/// Counts the memory and the tables of one instance.
pub(crate) struct Limiter {
    limits: Limits,
    memory: usize,
    elements: usize,
    /// What the last permitted growth added to either.
    grown: usize,
    /// What was refused since the call began, and its limit.
    refused: Option<(Resource, u64)>,
    /// What the system refused since the call began.
    short: Option<ErrorKind>,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            memory: 0,
            elements: 0,
            grown: 0,
            refused: None,
            short: None,
        }
    }

    /// Forgets what was refused in earlier calls.
    pub(crate) fn begin(&mut self) {
        (self.refused, self.short) = (None, None);
    }

    /// The linear memory of the instance, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// The most bytes that one call may return to the host: a list of bytes, with room for a key or
    /// the text of an error.
    pub(crate) fn handed_back(limits: &Limits) -> usize {
        here(limits.buffer).saturating_add(1 << 20)
    }

    /// The meaning of a trap: often the component asked for more than its limits or the system
    /// allow. `said` is what it wrote about it.
    pub(crate) fn explain(&mut self, trap: wasmtime::Error, said: Option<String>) -> ErrorKind {
        if let Some(short) = shortage(&trap).or_else(|| self.short.take()) {
            return short;
        }
        let what = match &*trap.root_cause().to_string() {
            OUT_OF_FUEL => Some((Resource::HandedBack, Self::handed_back(&self.limits) as u64)),
            said if OUT_OF_HANDLES.contains(&said) => Some(self.handles()),
            said => match said.strip_prefix(OUT_OF_PARTS) {
                Some(part) if part.starts_with("memory") => {
                    Some((Resource::Memories, MEMORIES as u64))
                }
                Some(part) if part.starts_with("table") => Some((Resource::Tables, TABLES as u64)),
                Some(_) => Some((Resource::Instances, INSTANCES as u64)),
                None if matches!(trap.downcast_ref(), Some(ResourceTableError::Full)) => {
                    Some(self.handles())
                }
                None => self.refused,
            },
        };
        let source = text::cause_said(&trap, said);
        match what {
            Some((what, limit)) => ErrorKind::Exhausted { what, limit, source },
            None => ErrorKind::Trap(source),
        }
    }

    fn handles(&self) -> (Resource, u64) {
        (Resource::Handles, self.limits.handles)
    }
}

/// `total` plus the growth from `current` to `desired`, if that is within `limit`.
fn grown(total: usize, current: usize, desired: usize, limit: usize) -> Option<usize> {
    let wanted = total.checked_add(desired.saturating_sub(current))?;
    (wanted <= limit).then_some(wanted)
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        match grown(self.memory, current, desired, here(self.limits.memory)) {
            Some(memory) => {
                self.grown = memory - self.memory;
                self.memory = memory;
                Ok(true)
            }
            None => {
                self.refused = Some((Resource::Memory, self.limits.memory));
                Ok(false)
            }
        }
    }

    fn memory_grow_failed(&mut self, why: wasmtime::Error) -> Result<()> {
        self.short = shortage(&why);
        self.memory -= std::mem::take(&mut self.grown);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        match grown(self.elements, current, desired, TABLE_ELEMENTS) {
            Some(elements) => {
                self.grown = elements - self.elements;
                self.elements = elements;
                Ok(true)
            }
            None => {
                self.refused = Some((Resource::TableElements, TABLE_ELEMENTS as u64));
                Ok(false)
            }
        }
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> Result<()> {
        self.elements -= std::mem::take(&mut self.grown);
        Ok(())
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

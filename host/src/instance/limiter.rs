//! What an instance may use up, and what it asked for in vain.

use wasmtime::component::ResourceTableError;
use wasmtime::{ResourceLimiter, Result};

use crate::Limits;
use crate::error::ErrorKind;

/// The most elements that the tables of an instance have together; each takes a pointer.
const TABLE_ELEMENTS: usize = 1 << 20;

/// The most memories, tables and core instances of one component. Components of interpreters
/// have some dozen of each.
const PARTS: usize = 1000;

/// What wasmtime says where a component hands back more than the host takes in one call.
const OUT_OF_FUEL: &str = "fuel allocated for hostcalls has been exhausted";

/// The same for what its errors have no type for either.
const OUT_OF_HANDLES: &str = "store handle limit exceeded";
const OUT_OF_PARTS: &str = "resource limit exceeded";

/// What an [`ErrorKind::Exhausted`] names where a call handed back too much.
pub(crate) const HANDED_BACK: &str = "bytes handed to the host in one call";

/// Counts the memory and the tables of one instance.
pub(crate) struct Limiter {
    limits: Limits,
    memory: usize,
    elements: usize,
    /// What the last permitted growth added to either.
    grown: usize,
    /// What was refused since the call began, and its limit.
    refused: Option<(&'static str, u64)>,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { limits: limits.clone(), memory: 0, elements: 0, grown: 0, refused: None }
    }

    /// Forgets what was refused before.
    pub(super) fn begin(&mut self) {
        self.refused = None;
    }

    /// The most bytes that one call may hand to the host: a list of bytes, with room for its
    /// key or error text.
    pub(crate) fn handed_back(limits: &Limits) -> usize {
        usize::try_from(limits.buffer).unwrap_or(usize::MAX).saturating_add(1 << 20)
    }

    /// What a trap means: often the end of one who asked for more than it may have.
    pub(super) fn explain(&self, trap: wasmtime::Error) -> ErrorKind {
        let said = format!("{trap:?}");
        let handles = (Self::HANDLES, self.limits.handles as u64);
        let what = if said.contains(OUT_OF_FUEL) {
            Some((HANDED_BACK, Self::handed_back(&self.limits) as u64))
        } else if said.contains(OUT_OF_PARTS) {
            Some(("memories, tables or instances", PARTS as u64))
        } else if said.contains(OUT_OF_HANDLES)
            || matches!(trap.downcast_ref(), Some(ResourceTableError::Full))
        {
            Some(handles)
        } else {
            self.refused
        };
        match what {
            Some((what, limit)) => ErrorKind::Exhausted { what, limit, source: trap.into() },
            None => ErrorKind::Trap(trap.into()),
        }
    }

    const HANDLES: &str = "handles";
}

/// `total` and the growth from `current` to `desired`, if that stays within `limit`.
fn grown(total: usize, current: usize, desired: usize, limit: usize) -> Option<usize> {
    let wanted = total.checked_add(desired.saturating_sub(current))?;
    (wanted <= limit).then_some(wanted)
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let limit = self.limits.memory;
        match grown(self.memory, current, desired, limit) {
            Some(memory) => {
                self.grown = memory - self.memory;
                self.memory = memory;
                Ok(true)
            }
            None => {
                self.refused = Some(("bytes of memory", limit as u64));
                Ok(false)
            }
        }
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> Result<()> {
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
                self.refused = Some(("table elements", TABLE_ELEMENTS as u64));
                Ok(false)
            }
        }
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> Result<()> {
        self.elements -= std::mem::take(&mut self.grown);
        Ok(())
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}

//! What is kept from one page to the next.

use alloc::string::String;
use alloc::vec::Vec;

use super::Frame;
use crate::runtime::Slot;

/// The walk of the last page, for the next one: to read a large directory again for each page takes
/// longer than all the rest. Only the listing that has seen these names goes on with them, so that
/// they are no older than its beginning, or whoever finds them unchanged; wherever else a page is
/// asked for, it is as good without.
static LEFT: Slot<Left> = Slot::new();

pub struct Left {
    /// Of which page they are.
    page: [String; 3],
    frames: Vec<Frame>,
}

impl Left {
    /// What was kept for this page.
    pub fn take(page: &[String; 3]) -> Option<Vec<Frame>> {
        LEFT.take().filter(|left| left.page == *page).map(|left| left.frames)
    }

    /// Keeps `frames` for this page, and what was kept before no more.
    pub fn put(page: [String; 3], frames: Vec<Frame>) {
        LEFT.put(Self { page, frames });
    }
}

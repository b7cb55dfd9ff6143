//! Pages of a listing.

/// How many items a page has where the caller names no number, and at most.
pub const MOST: usize = 1000;

/// How many items a page may have where the caller asks for `limit`; 0 leaves that open. The
/// greatest `limit` is lawful too: a page reserves no memory by it.
#[must_use]
pub fn size(limit: u32) -> usize {
    match usize::try_from(limit) {
        Ok(limit @ 1..MOST) => limit,
        _ => MOST,
    }
}

/// The answer to a cursor that this backend has not made.
#[cfg(target_family = "wasm")]
#[must_use]
pub fn no_cursor() -> crate::Error {
    crate::Error::Other("the cursor is not one of this backend".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_what_is_asked_for_within_bounds() {
        for (limit, expected) in [(0, 1000), (1, 1), (999, 999), (1000, 1000), (u32::MAX, 1000)] {
            assert_eq!(size(limit), expected);
        }
    }
}

//! Pages of a listing.

/// The number of items of a page if the caller does not choose one, and the maximum.
pub const MOST: usize = 1000;

/// How many items a page may have if the caller asks for `limit`; 0 means no preference. The
/// largest `limit` is valid too: memory is not reserved for it.
#[must_use]
pub fn size(limit: u32) -> usize {
    match usize::try_from(limit) {
        Ok(limit @ 1..MOST) => limit,
        _ => MOST,
    }
}

/// The error for a cursor that this backend has not made.
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

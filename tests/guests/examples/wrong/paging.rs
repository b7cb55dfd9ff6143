//! Pages of a listing or an audit, and their cursors.

use crate::artifact::storage::types::Error;
use crate::{STATE, fault};

/// Some items, and the cursor for those that follow.
pub(crate) type Cut<T> = (Vec<(String, T)>, Option<String>);

/// Cuts a page out of items in the order of their names, behind the one that the cursor names.
pub(crate) fn page<T>(
    items: Vec<(String, T)>,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Cut<T>, Error> {
    let after = match cursor {
        None => None,
        Some(_) if fault("cursor-in-memory") && STATE.with_borrow(|state| state.is_empty()) => {
            return Err(Error::Other("this cursor is not known".into()));
        }
        Some(cursor) => match cursor.strip_prefix("after:") {
            Some(name) => Some(name.to_owned()),
            None if fault("any-cursor") => None,
            None if fault("cursor-says-not-found") => return Err(Error::NotFound),
            None => return Err(Error::Other("this is no cursor".into())),
        },
    };
    STATE.with_borrow_mut(|state| state.insert(String::new(), Vec::new()));
    if fault("limit-is-memory") {
        std::hint::black_box(vec![1_u8; limit as usize]);
    }
    let mut rest = items;
    if let Some(after) = &after {
        match after.parse::<usize>() {
            Ok(at) if fault("cursor-is-a-number") => drop(rest.drain(..at.min(rest.len()))),
            _ => rest.retain(|(name, _)| name > after || fault("page-overlaps") && name == after),
        }
    }
    let most = match limit {
        0 => 1000,
        _ if fault("ignore-limit") => 1000,
        _ => limit as usize,
    };
    if rest.len() <= most {
        return Ok((rest, None));
    }
    rest.truncate(most);
    let next = match rest.last() {
        _ if fault("one-page-only") => None,
        _ if fault("cursor-loops") => Some("after:".to_owned()),
        Some(_) if fault("cursor-is-a-number") => {
            let before: usize = after.and_then(|after| after.parse().ok()).unwrap_or_default();
            Some(format!("after:{}", before + most))
        }
        Some((name, _)) => Some(format!("after:{name}")),
        None => None,
    };
    if fault("page-loses-its-last") {
        rest.pop();
    }
    Ok((rest, next))
}

//! The end of what an instance wrote to its standard error in one call: where the call traps, often
//! the reason.

use crate::text::foreign;

/// How many bytes are kept.
const KEPT: usize = 1 << 10;

/// How many lines are shown.
const LINES: usize = 10;

#[derive(Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.is_cut = false;
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(KEPT)..];
        let surplus = (self.bytes.len() + kept.len()).saturating_sub(KEPT);
        self.is_cut |= surplus > 0 || kept.len() < bytes.len();
        self.bytes.drain(..surplus);
        self.bytes.extend_from_slice(kept);
    }

    /// The last lines on one line, escaped; `None` if nothing was written.
    pub(super) fn text(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        let lines: Vec<_> = text.lines().map(str::trim_end).filter(|it| !it.is_empty()).collect();
        let shown = &lines[lines.len().saturating_sub(LINES)..];
        let dots = if self.is_cut || shown.len() < lines.len() { "… " } else { "" };
        let shown: Vec<_> = shown.iter().map(|line| foreign(line)).collect();
        (!shown.is_empty()).then(|| format!("{dots}{}", shown.join(" | ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_within_bounds_and_escaped() {
        let mut tail = Tail::default();
        assert_eq!(tail.text(), None);
        tail.add(b"\nfirst\x1b[2J\r\n\n  second\xff");
        assert_eq!(tail.text().unwrap(), "first\\u{1b}[2J |   second\u{fffd}");
        (0..100).for_each(|n| tail.add(format!("\n{n}").as_bytes()));
        assert_eq!(tail.text().unwrap(), "… 90 | 91 | 92 | 93 | 94 | 95 | 96 | 97 | 98 | 99");
        tail.add(&[b'x'; 5 * KEPT]);
        assert_eq!(tail.text().unwrap(), format!("… {}", "x".repeat(KEPT)));
        tail.clear();
        assert_eq!(tail.text(), None);
    }
}

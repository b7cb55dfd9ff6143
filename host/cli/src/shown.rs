//! Foreign texts (keys, file names, a backend's texts) in a form that is safe on a terminal.

use std::borrow::Cow;

/// Whether a character is invisible, or controls the terminal or the direction of the text: control
/// and format characters, line separators, private use and unassigned code points.
fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    // A character that combines with the one before it can be seen.
    let mut text = String::from("a");
    text.push(c);
    text.escape_debug().nth(1) == Some('\\')
}

/// The text with every hidden character but a newline in the form `\u{202e}`.
pub fn text(text: &str) -> Cow<'_, str> {
    escaped(text, |c, shown| shown.extend(c.escape_default()))
}

/// The same for a line of JSON, which stays JSON: hidden characters can only be in its strings.
pub fn json(line: &str) -> Cow<'_, str> {
    use std::fmt::Write;

    escaped(line, |c, shown| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(shown, "\\u{unit:04x}");
        }
    })
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let must_escape = |c| c != '\n' && is_hidden(c);
    if !text.contains(must_escape) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if must_escape(c) { escape(c, &mut shown) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped_and_all_others_stay() {
        for (given, expected) in [
            ("a\x1b[2J\r", "a\\u{1b}[2J\\r"),
            ("two\nlines", "two\nlines"),
            ("\u{202e}txt\u{2066}", "\\u{202e}txt\\u{2066}"),
            ("\u{200b}\u{feff}\u{2028}\u{2029}", "\\u{200b}\\u{feff}\\u{2028}\\u{2029}"),
            ("\u{61c}\u{200f}\u{2069}\u{ad}", "\\u{61c}\\u{200f}\\u{2069}\\u{ad}"),
            ("\u{e0041}\u{f8ff}\u{85}", "\\u{e0041}\\u{f8ff}\\u{85}"),
            ("e\u{301} 'é' \"日本\" 😀 \\", "e\u{301} 'é' \"日本\" 😀 \\"),
        ] {
            assert_eq!(text(given), expected);
        }
    }

    #[test]
    fn json_stays_json() {
        let line = serde_json::to_string("a\u{202e}\u{e0041}b").unwrap();
        let shown = json(&line);
        assert_eq!(shown, r#""a\u202e\udb40\udc41b""#);
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), "a\u{202e}\u{e0041}b");
    }
}

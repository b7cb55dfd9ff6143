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
    escaped(text, is_hidden_in_lines, |c, shown| shown.extend(c.escape_default()))
}

/// A name, a key or a text that has to stay on its line: newlines are escaped, too.
pub fn name(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden, |c, shown| shown.extend(c.escape_default()))
}

/// The text as a word of a shell, which has no power there.
pub fn word(text: &str) -> Cow<'_, str> {
    let is_safe = |c: char| c.is_alphanumeric() || "-_./:@%+,=".contains(c);
    match !text.is_empty() && text.chars().all(is_safe) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', r"'\''")).into(),
    }
}

/// Whether nothing of it has to be escaped.
pub fn is_plain(text: &str) -> bool {
    !text.contains(is_hidden)
}

/// The same for a line of JSON, which stays JSON: hidden characters can only be in its strings.
pub fn json(line: &str) -> Cow<'_, str> {
    use std::fmt::Write;

    escaped(line, is_hidden_in_lines, |c, shown| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(shown, "\\u{unit:04x}");
        }
    })
}

/// The same in a text of several lines.
fn is_hidden_in_lines(c: char) -> bool {
    c != '\n' && is_hidden(c)
}

fn escaped(
    text: &str,
    must_escape: fn(char) -> bool,
    escape: impl Fn(char, &mut String),
) -> Cow<'_, str> {
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
    fn a_word_has_no_power_in_a_shell() {
        for (text, expected) in [
            ("builds/app-1.2", "builds/app-1.2"),
            ("", "''"),
            ("a$(b)`c`", "'a$(b)`c`'"),
            ("it's", r"'it'\''s'"),
            ("~a", "'~a'"),
        ] {
            assert_eq!(word(text), expected);
        }
    }

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

//! Lines on standard error.

use std::io::{self, Write};

use crate::{descriptor, shown};

/// Writes a line that names the program.
pub fn print(text: &str) {
    say(&format!("artifact-store: {text}"));
}

/// Writes a line to standard error, if it is open.
pub fn say(text: &str) {
    let text = printable(text);
    let _ = match descriptor::for_writing(descriptor::ERROR) {
        Ok(mut error) => error.write_all(text.as_bytes()),
        // The system has no duplicate of it.
        Err(error) if error.raw_os_error().is_some() => io::stderr().write_all(text.as_bytes()),
        closed => closed.map(drop),
    };
}

/// Foreign texts reach the terminal: they must neither control it nor look like a line of this program.
fn printable(text: &str) -> String {
    shown::text(text).replace('\n', "\n    ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_several_lines_is_indented_and_escaped() {
        assert_eq!(printable("a\x1b[2J\r\nhint: é"), "a\\u{1b}[2J\\r\n    hint: é\n");
    }
}

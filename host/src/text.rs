//! Texts from outside: of backends, their files, and servers. They are for people and end up in
//! terminals and logs, where they must not control the terminal, flood the log, or imitate lines of
//! another origin. They are cut and escaped where they enter the host.

use std::error::Error;
use std::fmt::{self, Display, Write};
use std::time::Duration;

use wasmtime::WasmBacktrace;

/// How many bytes of a text are kept.
const MOST: usize = 4096;

/// How many bytes of a name are kept in a sentence.
const NAME: usize = 256;

/// How many causes of an error, and functions of a backtrace, are kept.
const DEEP: usize = 16;

/// A text that may be shown.
pub(crate) fn foreign(text: &str) -> String {
    cut(text, MOST)
}

/// A name that may be shown.
pub(crate) fn foreign_name(name: &str) -> String {
    cut(name, NAME)
}

/// A name, a key or a cursor within a sentence of the host.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", foreign_name(name))
}

fn cut(text: &str, most: usize) -> String {
    if text.len() <= most && !text.chars().any(is_hidden) {
        return text.to_owned();
    }
    let mut shown = Shown { text: String::new(), most, is_full: false };
    // An error only means that it is full.
    let _ = shown.write_str(text);
    if shown.is_full {
        let _ = write!(shown.text, "… ({} bytes in all)", text.len());
    }
    shown.text
}

/// Characters that are invisible or change how others are shown: control characters, those that
/// change the direction of writing, have no width or end a line, and tags.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

/// Takes as much of a text as fits, and escapes it.
struct Shown {
    text: String,
    most: usize,
    is_full: bool,
}

impl Write for Shown {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            let before = self.text.len();
            if is_hidden(c) {
                self.text.extend(c.escape_default());
            } else {
                self.text.push(c);
            }
            if self.text.len() > self.most {
                self.text.truncate(before);
                self.is_full = true;
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

/// The `Display` of a value, in no more memory than is shown of it.
fn said(by: &dyn Display) -> String {
    let mut shown = Shown { text: String::new(), most: MOST, is_full: false };
    if write!(shown, "{by}").is_err() {
        shown.text.push('…');
    }
    shown.text
}

/// An error of wasmtime, which may hold names and texts of a component, made safe to show.
pub(crate) fn cause(error: &wasmtime::Error) -> Box<dyn Error + Send + Sync> {
    cause_said(error, None)
}

/// The same of a trap. First comes what the component `said` on its standard error, since that often
/// is the reason.
pub(crate) fn cause_said(
    error: &wasmtime::Error,
    said: Option<String>,
) -> Box<dyn Error + Send + Sync> {
    let said = said.map(|said| format!("its standard error ends with: {said}"));
    let chain = causes(error)
        .into_iter()
        .rev()
        .chain(said)
        .fold(None, |source, text| Some(Box::new(Told { text, source })));
    chain.unwrap_or_else(|| Box::new(Told { text: "an error without a text".into(), source: None }))
}

/// The messages of an error and its causes, the outermost first.
pub(crate) fn causes(error: &wasmtime::Error) -> Vec<String> {
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let texts = error.chain().take(DEEP).enumerate().map(|(at, cause)| match backtrace {
        // The backtrace is the outermost of them, and has a line for each function.
        Some(backtrace) if at == 0 => functions(backtrace),
        _ => said(cause),
    });
    texts.collect()
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A duration, in the unit that makes the number short.
pub(crate) fn span(time: Duration) -> String {
    let nanoseconds = time.as_nanos();
    // Tenths of a second are given in seconds: 0.2 s.
    let units =
        [(100_000_000, 1e9, "s"), (1_000_000, 1e6, "ms"), (1_000, 1e3, "µs"), (0, 1., "ns")];
    let (_, unit, name) =
        units.into_iter().find(|(from, ..)| nanoseconds >= *from).unwrap_or(units[3]);
    format!("{} {name}", (nanoseconds as f64 / unit * 1000.).round() / 1000.)
}

/// Two hexadecimal digits for each byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The functions that were running, the innermost first.
fn functions(backtrace: &WasmBacktrace) -> String {
    let names = backtrace.frames().iter().take(DEEP).map(|frame| match frame.func_name() {
        Some(name) => quoted(name),
        None => format!("function {}", frame.func_index()),
    });
    let mut text = names.collect::<Vec<_>>().join(", called by ");
    if backtrace.frames().len() > DEEP {
        text.push_str(", called by others");
    }
    if text.is_empty() { "in no function".into() } else { format!("in {text}") }
}

/// An error that is only its text, and its source.
#[derive(Debug)]
struct Told {
    text: String,
    source: Option<Box<Told>>,
}

impl Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Told {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Less similar keys are not suggested.
#[cfg(feature = "config")]
const ALIKE: f64 = 0.75;

/// The most similar name, if one is similar enough: probably the one that was meant.
#[cfg(feature = "config")]
pub(crate) fn alike<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let plain = |name: &str| name.to_lowercase().replace('_', "-");
    let name = plain(name);
    let alike = |other: &str| strsim::jaro_winkler(&name, &plain(other));
    names.filter(|other| alike(other) > ALIKE).max_by(|a, b| alike(a).total_cmp(&alike(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drives_a_terminal_or_hides_is_escaped_and_all_else_is_not() {
        let text = "a\x1b[2J\r\nb\u{202e}c\u{2066}\u{200b}\u{2028}\u{e0041}\u{85}";
        let shown = "a\\u{1b}[2J\\r\\nb\\u{202e}c\\u{2066}\\u{200b}\\u{2028}\\u{e0041}\\u{85}";
        assert_eq!(foreign(text), shown);
        let plain = "ordinary: äöü 日本語 😀 \u{a0}\\";
        assert_eq!(foreign(plain), plain);
    }

    #[test]
    fn a_time_is_a_short_number_of_its_unit() {
        for (nanoseconds, expected) in [
            (0, "0 ns"),
            (1, "1 ns"),
            (1_500, "1.5 µs"),
            (99_999_999, "100 ms"),
            (200_000_000, "0.2 s"),
            (30_000_061_035, "30 s"),
            (90_500_000_000, "90.5 s"),
        ] {
            assert_eq!(span(Duration::from_nanos(nanoseconds)), expected);
        }
    }

    #[test]
    fn no_text_is_long() {
        for text in ["x".repeat(60 << 20), "\u{202e}".repeat(1 << 20), "é".repeat(4000)] {
            let shown = foreign(&text);
            assert!(shown.len() < MOST + 40, "{}", shown.len());
            assert!(shown.ends_with(&format!("({} bytes in all)", text.len())));
            assert!(quoted(&text).len() < NAME + 40);
        }
        let exact = "x".repeat(MOST);
        assert_eq!(foreign(&exact), exact);
    }

    #[test]
    fn the_causes_of_an_error_are_kept_and_bounded() {
        let mut error = wasmtime::format_err!("root\n{}", "x".repeat(1 << 20));
        for n in 0..100 {
            error = error.context(format!("{n}\x1b"));
        }
        let told = cause(&error);
        assert_eq!(told.to_string(), "99\\u{1b}");
        let mut causes = 0;
        let mut next = told.source();
        while let Some(cause) = next {
            assert!(cause.to_string().len() < MOST + 4);
            (causes, next) = (causes + 1, cause.source());
        }
        assert_eq!(causes, DEEP - 1);
        let error = wasmtime::format_err!("root\n").context("above");
        assert_eq!(cause(&error).source().unwrap().to_string(), "root\\n");
    }
}

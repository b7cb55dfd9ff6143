//! A table of the file, read key by key. Problems are noted with their lines and the reading goes
//! on, so that all are reported at once. Values are never shown: any may be a secret.

use std::time::Duration;

use bytesize::ByteSize;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::Problem;
use crate::text::{alike, foreign_name};

/// The text of the file; a problem if it is not UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Vec<Problem>> {
    str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let column = at - start + 1;
        let text =
            format!("this is not UTF-8: byte {column} of the line (offset {at} of the file)");
        vec![Problem { line: line_of(bytes, at), text }]
    })
}

/// The line of a byte, from 1.
fn line_of(text: &[u8], at: usize) -> usize {
    1 + text.iter().take(at).filter(|byte| **byte == b'\n').count()
}

/// The problems so far.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: Vec<Problem>,
}

impl<'t> Problems<'t> {
    /// The whole file; if its syntax is wrong there is no table.
    pub(super) fn document(text: &'t str) -> (Self, Option<Table<'t>>) {
        let mut problems = Self { text, found: Vec::new() };
        match DeTable::parse(text) {
            Ok(document) => {
                let entries = document.into_inner();
                (problems, Some(Table { path: String::new(), at: 0, entries, known: Vec::new() }))
            }
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                problems.add(at, format!("this is no TOML: {}", error.message()));
                (problems, None)
            }
        }
    }

    pub(super) fn add(&mut self, at: usize, text: String) {
        let line = self.line(at);
        self.found.push(Problem { line, text });
    }

    /// The line of what is at this offset.
    pub(super) fn line(&self, at: usize) -> usize {
        line_of(self.text.as_bytes(), at)
    }

    /// All of them in the order of the file.
    pub(super) fn found(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| problem.line);
        self.found
    }
}

pub(super) struct Table<'t> {
    path: String,
    pub(super) at: usize,
    entries: DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'t> Table<'t> {
    /// The value of an optional key.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'t>> {
        self.known.push(key);
        self.take_misplaced(key)
    }

    /// The same for a key that belongs elsewhere.
    pub(super) fn take_misplaced(&mut self, key: &str) -> Option<Value<'t>> {
        let (name, value) = self.entries.remove_entry(key)?;
        Some(Value::new(&self.path, &name, value))
    }

    /// All values, if any key is valid.
    pub(super) fn all(self) -> impl Iterator<Item = (String, Value<'t>)> {
        let Self { path, entries, .. } = self;
        entries.into_iter().map(move |(key, value)| {
            let value = Value::new(&path, &key, value);
            (key.into_inner().into_owned(), value)
        })
    }

    /// The full name of a missing key.
    pub(super) fn path(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Keys that were not taken are unknown.
    pub(super) fn finish(self, problems: &mut Problems<'_>) {
        for key in self.entries.keys() {
            let path = join(&self.path, key.get_ref());
            let text = match alike(key.get_ref(), self.known.iter().copied()) {
                Some(known) => format!("unknown key `{path}`; did you mean `{known}`?"),
                None => format!("unknown key `{path}`; known are `{}`", self.known.join("`, `")),
            };
            problems.add(key.span().start, text);
        }
    }
}

fn join(path: &str, key: &str) -> String {
    let key = foreign_name(key);
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

/// A value, and its name in messages.
pub(super) struct Value<'t> {
    pub(super) path: String,
    pub(super) at: usize,
    value: DeValue<'t>,
}

impl<'t> Value<'t> {
    fn new(parent: &str, key: &Spanned<DeString<'_>>, value: Spanned<DeValue<'t>>) -> Self {
        let (path, at) = (join(parent, key.get_ref()), key.span().start);
        Self { path, at, value: value.into_inner() }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    pub(super) fn text(self, problems: &mut Problems<'_>) -> Option<String> {
        self.is(problems, "a string", |value| match value {
            DeValue::String(text) => Some(text.into_owned()),
            _ => None,
        })
    }

    /// A string that must not be empty.
    pub(super) fn name(self, problems: &mut Problems<'_>) -> Option<String> {
        let (path, at) = (self.path.clone(), self.at);
        let text = self.text(problems)?;
        if text.is_empty() {
            problems.add(at, format!("`{path}` is empty"));
            return None;
        }
        Some(text)
    }

    pub(super) fn flag(self, problems: &mut Problems<'_>) -> Option<bool> {
        self.is(problems, "`true` or `false`", |value| value.as_bool())
    }

    pub(super) fn count(self, problems: &mut Problems<'_>) -> Option<u64> {
        self.amount(problems, "a whole number above 0", |value| number(&value))
    }

    /// A number of bytes.
    pub(super) fn size(self, problems: &mut Problems<'_>) -> Option<u64> {
        self.amount(problems, "a size above 0, such as \"64MiB\"", |value| match value {
            DeValue::String(text) => {
                Some(text.parse::<ByteSize>().ok()?.as_u64()).filter(|size| *size > 0)
            }
            value => number(&value),
        })
    }

    /// A number of bytes per second; 0 is valid.
    pub(super) fn rate(self, problems: &mut Problems<'_>) -> Option<u64> {
        self.amount(problems, "a size, such as \"16KiB\", or 0", |value| match value {
            DeValue::String(text) => Some(text.parse::<ByteSize>().ok()?.as_u64()),
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        })
    }

    pub(super) fn duration(self, problems: &mut Problems<'_>) -> Option<Duration> {
        self.amount(problems, "a duration above 0, such as \"5s\"", |value| {
            let duration = humantime::parse_duration(value.as_str()?).ok()?;
            Some(duration).filter(|duration| !duration.is_zero())
        })
    }

    /// A duration, or `never`, which is `None`.
    pub(super) fn age(self, problems: &mut Problems<'_>) -> Option<Option<Duration>> {
        self.is(problems, "an age such as \"1day\", or \"never\"", |value| {
            match value.as_str()? {
                "never" => Some(None),
                text => humantime::parse_duration(text).ok().map(Some),
            }
        })
    }

    pub(super) fn table(self, problems: &mut Problems<'_>) -> Option<Table<'t>> {
        let (path, at) = (self.path.clone(), self.at);
        let entries = self.is(problems, "a table", |value| match value {
            DeValue::Table(entries) => Some(entries),
            _ => None,
        })?;
        Some(Table { path, at, entries, known: Vec::new() })
    }

    /// Each `[[…]]` of this name.
    pub(super) fn tables(self, problems: &mut Problems<'_>) -> Vec<Table<'t>> {
        let tables = self.list(problems, "a list of tables, each begun with `[[…]]`");
        tables.into_iter().filter_map(|value| value.table(problems)).collect()
    }

    /// A table from names to values, or a list of names that are also their values.
    pub(super) fn names(self, problems: &mut Problems<'_>) -> Vec<(String, Value<'t>)> {
        if let DeValue::Table(_) = &self.value {
            return self.table(problems).into_iter().flat_map(Table::all).collect();
        }
        let mut names = Vec::new();
        for value in self.list(problems, "a list of names, or a table") {
            match value.value.as_str() {
                Some(name) => names.push((name.to_owned(), value)),
                None => drop(value.text(problems)),
            }
        }
        names
    }

    /// A list of strings with their lines.
    pub(super) fn texts(self, problems: &mut Problems<'_>) -> Vec<(String, usize)> {
        let values = self.list(problems, "a list of strings");
        let text = |value: Self| {
            let at = value.at;
            Some((value.text(problems)?, at))
        };
        values.into_iter().filter_map(text).collect()
    }

    /// The meaning of the value, which is one of these words.
    pub(super) fn one_of<T: Copy>(
        self,
        words: &[(&str, T)],
        problems: &mut Problems<'_>,
    ) -> Option<T> {
        let expected: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.is(problems, &expected.join(" or "), |value| {
            let word = value.as_str()?;
            words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
        })
    }

    pub(super) fn list(self, problems: &mut Problems<'_>, expected: &str) -> Vec<Self> {
        let path = self.path.clone();
        let list = self.is(problems, expected, |value| match value {
            DeValue::Array(array) => Some(array),
            _ => None,
        });
        let values = list.into_iter().flatten();
        let value = |value: Spanned<DeValue<'t>>| {
            let (path, at) = (path.clone(), value.span().start);
            Self { path, at, value: value.into_inner() }
        };
        values.map(value).collect()
    }

    fn is<T>(
        self,
        problems: &mut Problems<'_>,
        expected: &str,
        read: impl FnOnce(DeValue<'t>) -> Option<T>,
    ) -> Option<T> {
        let found = format!("this {}", self.value.type_str());
        self.expect_or(&found, problems, expected, read)
    }

    /// The same for an amount, which is no secret.
    fn amount<T>(
        self,
        problems: &mut Problems<'_>,
        expected: &str,
        read: impl FnOnce(DeValue<'t>) -> Option<T>,
    ) -> Option<T> {
        let found = match &self.value {
            DeValue::Integer(number) => foreign_name(number.as_str()),
            other => format!("this {}", other.type_str()),
        };
        self.expect_or(&found, problems, expected, read)
    }

    fn expect_or<T>(
        self,
        found: &str,
        problems: &mut Problems<'_>,
        expected: &str,
        read: impl FnOnce(DeValue<'t>) -> Option<T>,
    ) -> Option<T> {
        let read = read(self.value);
        if read.is_none() {
            let text = format!("`{}` must be {expected}, not {found}", self.path);
            problems.add(self.at, text);
        }
        read
    }
}

fn number(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| *number > 0)
}

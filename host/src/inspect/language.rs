//! Which language a component is written in, as far as its file tells.

use wasmparser::{ExportSectionReader, KnownCustom, Payload, ProducersSectionReader, Result};

use crate::text::foreign;

/// What a core module exports with a name that begins so comes from the runtime of this language.
/// Such a runtime is itself written in another one.
const RUNTIMES: [(&str, &str); 2] = [
    ("libcomponentize_py_runtime.so:", "Python"),
    ("componentize_qjs_runtime.wasm:", "JavaScript"),
];

/// Bindings of this tool are used from Rust alone. Those for C are also in libraries of others.
const RUST: &str = "wit-bindgen-rust";

/// What is known so far.
#[derive(Default)]
pub(super) struct Language {
    modules: usize,
    runtime: Option<&'static str>,
    has_bindings: bool,
    claimed: Option<String>,
}

impl Language {
    /// Takes note of a part of the file. Only the first core module counts: tools put the program
    /// there, and behind it adapters, which are written in Rust whatever the program is.
    pub(super) fn note(&mut self, payload: &Payload<'_>) -> Result<()> {
        if matches!(payload, Payload::ModuleSection { .. }) {
            self.modules += 1;
        }
        match payload {
            _ if self.modules != 1 => Ok(()),
            Payload::ExportSection(exports) => self.exports(exports.clone()),
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Producers(fields) => self.producers(fields),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn exports(&mut self, exports: ExportSectionReader<'_>) -> Result<()> {
        for export in exports {
            let name = export?.name;
            let found = RUNTIMES.iter().find(|(prefix, _)| name.starts_with(prefix));
            self.runtime = self.runtime.or(found.map(|(_, language)| *language));
        }
        Ok(())
    }

    fn producers(&mut self, fields: ProducersSectionReader<'_>) -> Result<()> {
        for field in fields {
            let field = field?;
            for value in field.values {
                let name = value?.name;
                if field.name == "language" {
                    self.claimed.get_or_insert_with(|| foreign(name));
                }
                self.has_bindings |= name == RUST;
            }
        }
        Ok(())
    }

    pub(super) fn name(self) -> Option<String> {
        let known = self.runtime.or(self.has_bindings.then_some("Rust"));
        known.map(str::to_owned).or(self.claimed)
    }
}

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use artifact_store::{Access, Backend, Inspection, Interface, Setting};
use clap::{Args, ValueHint};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::disk;
use crate::failure;
use crate::message;
use crate::output::Standard;
use crate::shown;
use crate::store::built_in;

/// Shows what a component offers, what it could do, and how it can be set
///
/// A component that describes its settings is run to ask for them, within the default limits and
/// without any grant. With a second file, none is run, and what is different in that file is shown.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store inspect my-backend.wasm
  artifact-store inspect fs --json | jq .digest
  artifact-store inspect old.wasm new.wasm --fail-on-new-access   # a line in CI")]
pub struct Arguments {
    /// The component: `fs` or `s3`, which are built in, or a file
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,

    /// A newer version of it, to be compared with it
    #[arg(value_hint = ValueHint::FilePath)]
    new: Option<PathBuf>,

    /// Exit with 1 if the newer version can do what the older one could not
    #[arg(long, requires = "new")]
    fail_on_new_access: bool,

    /// Write one object: {"type": "component", "size", "digest", "exports", "imports", …}, or
    /// {"type": "difference", "old", "new", "new_access"}
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "component")]
struct Shown<'a> {
    file: String,
    size: u64,
    digest: &'a str,
    language: Option<&'a str>,
    producers: &'a std::collections::BTreeMap<String, String>,
    exports: &'a [String],
    imports: Vec<Import<'a>>,
    /// Absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Vec<Described>>,
}

/// An environment variable that the component reads.
#[derive(Serialize)]
struct Described {
    name: String,
    description: String,
    required: bool,
    secret: bool,
    default: Option<String>,
}

#[derive(Serialize)]
struct Import<'a> {
    name: &'a str,
    /// What it lets the component do; null where it is no access.
    access: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "difference")]
struct Difference<'a> {
    old: Shown<'a>,
    new: Shown<'a>,
    new_access: Vec<String>,
}

pub async fn run(arguments: Arguments) -> Result<u8> {
    let Arguments { file, new, fail_on_new_access, json } = arguments;
    let mut out = Standard::open()?.and_goes_on();
    let old = inspect(&file).await?;
    let mut shown = Shown::of(&file, &old);
    let (mut code, mut has_new_access) = (0, false);
    if old.offers(Interface::Settings) && new.is_none() {
        match backend(&file).settings().await {
            Ok(settings) => {
                let settings = settings.unwrap_or_default();
                shown.settings = Some(settings.into_iter().map(Described::from).collect());
            }
            Err(error) => {
                message::print(&format!("cannot ask the component for its settings: {error}"));
                code = failure::FAILURE;
            }
        }
    }
    match &new {
        None if json => out.json(&shown).await?,
        None => out.text(&shown.text(&old)).await?,
        Some(path) => {
            let new = inspect(path).await?;
            let access: Vec<_> = new.new_access(&old).iter().map(Access::to_string).collect();
            has_new_access = fail_on_new_access && !access.is_empty();
            if has_new_access {
                code = failure::FAILURE;
            }
            match json {
                true => {
                    let new = Shown::of(path, &new);
                    out.json(&Difference { old: shown, new, new_access: access }).await?;
                }
                false => out.text(&compared(&old, &new, &access)).await?,
            }
        }
    }
    out.finish().await?;
    if has_new_access {
        message::print("the newer version can do what the older one could not");
    }
    Ok(code)
}

fn backend(file: &Path) -> Backend {
    match built_in(file) {
        Some(bytes) => Backend::from_bytes(&file.display().to_string(), bytes),
        None => Backend::from_file(file),
    }
}

async fn inspect(file: &Path) -> Result<Inspection> {
    let backend = backend(file);
    let inspected = disk::load(move || Ok(backend.inspect()?)).await;
    inspected.with_context(|| format!("cannot inspect `{}`", file.display()))
}

impl From<Setting> for Described {
    fn from(setting: Setting) -> Self {
        let Setting { name, description, is_required, is_secret, default, .. } = setting;
        Self { name, description, required: is_required, secret: is_secret, default }
    }
}

impl Described {
    /// What is special about it, in brackets.
    fn note(&self) -> String {
        let default = self.default.as_deref().map(|default| format!("default `{default}`"));
        let required = self.required.then(|| "required".to_owned());
        let secret = self.secret.then(|| "secret".to_owned());
        let notes: Vec<_> = [required, secret, default].into_iter().flatten().collect();
        if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) }
    }
}

impl<'a> Shown<'a> {
    fn of(file: &Path, inspected: &'a Inspection) -> Self {
        let import = |name: &'a String| {
            let access = Access::of(name).map(|access| access.to_string());
            Import { name, access }
        };
        Self {
            file: file.display().to_string(),
            size: inspected.size,
            digest: &inspected.digest,
            language: inspected.language.as_deref(),
            producers: &inspected.producers,
            exports: &inspected.exports,
            imports: inspected.imports.iter().map(import).collect(),
            settings: None,
        }
    }

    fn text(&self, inspected: &Inspection) -> String {
        let mut text = String::new();
        let Self { file, size, digest, .. } = self;
        let _ = writeln!(text, "file       {}", shown::name(file));
        let _ = writeln!(text, "size       {size} bytes ({})", HumanBytes(*size));
        let _ = writeln!(text, "SHA-256    {digest}");
        let _ = writeln!(text, "language   {}", shown::name(self.language.unwrap_or("not stated")));
        let tools = self.producers.iter().map(|(tool, version)| format!("{tool} {version}"));
        let tools = tools.collect::<Vec<_>>().join(", ");
        let tools = if tools.is_empty() { "not stated" } else { &tools };
        let _ = writeln!(text, "made by    {}", shown::name(tools));
        let _ = writeln!(text, "\nIt offers");
        self.exports.iter().for_each(|name| line(&mut text, name));
        let _ = writeln!(text, "\nIt can, where it is granted,");
        let access = inspected.access();
        access.iter().for_each(|access| line(&mut text, &access.to_string()));
        if access.is_empty() {
            line(&mut text, "do nothing but compute");
        }
        let _ = writeln!(text, "\nIt imports");
        for Import { name, access } in &self.imports {
            let access = access.as_deref().unwrap_or("no access");
            let _ = writeln!(text, "  {:44}  {access}", shown::name(name));
        }
        if let Some(settings) = &self.settings {
            let _ = writeln!(text, "\nIt reads these variables");
            for setting in settings {
                let Described { name, description, .. } = setting;
                let _ = writeln!(text, "  {name}{}\n      {description}", setting.note());
            }
        }
        text
    }
}

fn line(text: &mut String, item: &str) {
    let _ = writeln!(text, "  {}", shown::name(item));
}

fn compared(old: &Inspection, new: &Inspection, access: &[String]) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "size       {} -> {} bytes", old.size, new.size);
    let _ = writeln!(text, "SHA-256    {}\n        -> {}", old.digest, new.digest);
    for (what, old, new) in
        [("offers", &old.exports, &new.exports), ("imports", &old.imports, &new.imports)]
    {
        let _ = writeln!(text, "\nWhat it {what}");
        let gone = old.iter().filter(|name| !new.contains(name)).map(|name| ('-', name));
        let come = new.iter().filter(|name| !old.contains(name)).map(|name| ('+', name));
        let changes: Vec<_> = gone.chain(come).collect();
        if changes.is_empty() {
            line(&mut text, "is the same");
        }
        for (sign, name) in changes {
            let _ = writeln!(text, "{sign} {}", shown::name(name));
        }
    }
    let _ = writeln!(text, "\nWhat it can do now and could not before");
    if access.is_empty() {
        line(&mut text, "nothing");
    }
    access.iter().for_each(|access| line(&mut text, access));
    text
}

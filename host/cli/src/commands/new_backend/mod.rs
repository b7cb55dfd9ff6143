//! `new-backend`: a backend to start from, made of those in `guest/` of this project.

mod language;
mod rust;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueHint};

use super::template::{self, New};
use crate::failure::Usage;
use language::Language;

/// Creates a backend to start from: it builds and passes `check`
///
/// In Rust it has put, get and delete, and with --full everything that the contract has. Those in
/// Python and in JavaScript have put, get and delete, streams and listings; the one in C has put, get
/// and delete.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store new-backend my-backend
  cd my-backend
  cargo build --target wasm32-wasip2 --release
  artifact-store check target/wasm32-wasip2/release/my_backend.wasm
  artifact-store new-backend my-backend --full
  artifact-store new-backend my-backend --language python")]
pub struct Arguments {
    /// The name of the backend: letters, digits, `-` and `_`
    name: String,

    /// The language to write it in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    language: Language,

    /// Begin with all that the contract has, and not with put, get and delete alone
    #[arg(long)]
    full: bool,

    /// The directory to create [default: a directory of that name]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    path: Option<PathBuf>,
}

pub async fn run(Arguments { name, language, full, path }: Arguments) -> Result<()> {
    template::check_name("backend", &name)?;
    if full && language == Language::C {
        let text = "there is no such backend in C: it begins with put, get and delete";
        return Err(Usage(text.into()).into());
    }
    let check = format!("artifact-store check {}", language.component(&name));
    let new = New { kind: "backend", name: &name, build: language.build(), check: &check };
    template::create(new, path, language.files(&name, full)).await
}

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use artifact_store::Backend;
use clap::{Args, ValueHint};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, plug};

use crate::disk;
use crate::output::Output;
use crate::store::built_in;

/// Composes a backend and a command into one component file, a program for the wasmtime CLI
///
/// The backend must export `streams` and `inventory` as well as put, get and delete.
#[derive(Args)]
#[command(after_help = "\
The file runs without this program. It needs only the grant of a directory; a bundle of `s3` needs
`-S http` and the variables of `s3` instead. Its commands are
put KEY [--create] [--size BYTES], get KEY [--offset BYTES] [--length BYTES], delete KEY,
list [PREFIX] and stat KEY. They use standard input and output, and the exit codes of this program.

Examples:
  artifact-store bundle fs -o store.wasm
  wasmtime run --dir ./artifacts::/ store.wasm put builds/app-1.2 < app.tar
  wasmtime run --dir ./artifacts::/ store.wasm get builds/app-1.2 > app.tar
  artifact-store bundle my-backend.wasm -o store.wasm")]
pub struct Arguments {
    /// The backend: `fs` or `s3` (built in), or a component file
    #[arg(id = "component", value_name = "BACKEND", value_hint = ValueHint::FilePath)]
    backend: PathBuf,

    /// The file to write; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,
}

/// Built from `guest/command`.
pub(super) const COMMAND: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/command.wasm"));

pub async fn run(Arguments { backend, output }: Arguments) -> Result<()> {
    let cannot = format!("cannot bundle `{}`", backend.display());
    let bundle = disk::load(move || bundle(&backend)).await.context(cannot)?;
    let mut output = Output::open(Some(&output)).await?;
    output.write(&bundle).await?;
    output.finish().await
}

fn bundle(backend: &Path) -> Result<Vec<u8>> {
    let bytes = match built_in(backend) {
        Some(bytes) => bytes.to_vec(),
        // What composes it recurses.
        None => Backend::from_file(backend).component()?,
    };
    let offered = Backend::from_bytes("backend", &*bytes).inspect()?.exports;
    let needed = Backend::from_bytes("command", COMMAND).inspect()?.imports;
    let missing = needed.iter().filter(|name| is_of_contract(name) && !offered.contains(name));
    let missing: Vec<_> = missing.map(String::as_str).collect();
    if !missing.is_empty() {
        bail!("the backend does not export {}", missing.join(", "));
    }
    let mut graph = CompositionGraph::new();
    let mut register = |name: &str, bytes: Vec<u8>| -> Result<_> {
        let package = Package::from_bytes(name, None, bytes, graph.types_mut())?;
        Ok(graph.register_package(package)?)
    };
    let backend = register("backend", bytes)?;
    let command = register("command", COMMAND.to_vec())?;
    plug(&mut graph, vec![backend], command)?;
    let bundle = graph.encode(EncodeOptions::default())?;
    // What does not fit is left open without a word.
    let open = Backend::from_bytes("bundle", &*bundle).inspect()?.imports;
    let open: Vec<_> =
        open.iter().map(String::as_str).filter(|name| is_of_contract(name)).collect();
    if !open.is_empty() {
        bail!("the backend's {} does not match the contract", open.join(", "));
    }
    Ok(bundle)
}

/// Whether it is an interface with functions.
fn is_of_contract(name: &str) -> bool {
    name.starts_with("artifact:storage/") && !name.starts_with("artifact:storage/types@")
}

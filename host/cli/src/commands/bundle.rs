use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use artifact_store::Backend;
use clap::{Args, ValueHint};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

use crate::disk;
use crate::failure::Usage;
use crate::output::Output;
use crate::shown;
use crate::store::{NamedLayer, StoreArguments, built_in};

/// Composes a backend, layers around it and a command into one component file, a program for the
/// wasmtime CLI
///
/// The backend must export `streams` and `inventory` as well as put, get and delete.
#[derive(Args)]
#[command(after_help = "\
The file runs without this program. It needs only the grant of a directory; a bundle of `s3` needs
`-S http` and the variables of `s3` instead. Its commands are
put KEY [--create] [--size BYTES], get KEY [--offset BYTES] [--length BYTES], delete KEY,
list [PREFIX] and stat KEY. They use standard input and output, and the exit codes of this program.

A bundle has one environment and one set of grants: its layers and its backend all see the same
variables, and can all use what `wasmtime run` grants. `encrypt` is no component, and so cannot be in
a bundle.

Examples:
  artifact-store bundle fs -o store.wasm
  wasmtime run --dir ./artifacts::/ store.wasm put builds/app-1.2 < app.tar
  wasmtime run --dir ./artifacts::/ store.wasm get builds/app-1.2 > app.tar
  artifact-store bundle my-backend.wasm -o store.wasm
  artifact-store bundle fs --layer prefix.wasm -o team.wasm
  wasmtime run --dir ./artifacts::/ --env PREFIX=team-a/ team.wasm list")]
pub struct Arguments {
    /// The backend: `fs` or `s3` (built in), or a component file
    #[arg(id = "component", value_name = "BACKEND", value_hint = ValueHint::FilePath)]
    backend: PathBuf,

    /// The file to write; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,
}

/// The help of `--layer` here, where it takes no variables.
pub const LAYER_HELP: &str = "Put a layer around the backend, a component file; may be repeated, \
                              the outermost first. Variables are granted when the bundle runs";

/// Built from `guest/command`.
pub(super) const COMMAND: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/command.wasm"));

pub async fn run(store: &StoreArguments, Arguments { backend, output }: Arguments) -> Result<()> {
    let layers = store.layer.iter().map(|named| layer(named)).collect::<Result<Vec<_>, _>>()?;
    let cannot = format!("cannot bundle `{}`", backend.display());
    let bundle = disk::load(move || bundle(&backend, &layers)).await.context(cannot)?;
    let mut output = Output::open(Some(&output)).await?;
    output.write(&bundle).await?;
    output.finish().await
}

/// The component file that one `--layer` names.
fn layer(named: &str) -> Result<PathBuf, Usage> {
    let shown = shown::name(named);
    match NamedLayer::of(named)? {
        NamedLayer::Encryption { .. } => Err(Usage(
            "`--layer encrypt` cannot be in a bundle: it is no component, but a part of this program"
                .into(),
        )),
        NamedLayer::Component { file, variables } if variables.is_empty() => Ok(file.to_owned()),
        NamedLayer::Component { .. } => Err(Usage(format!(
            "`--layer {shown}`: a bundle holds no variables; grant them when it runs, to all its \
             parts: `wasmtime run --env NAME=VALUE`"
        ))),
    }
}

fn bundle(backend: &Path, layers: &[PathBuf]) -> Result<Vec<u8>> {
    let mut stack = Stack::default();
    let bytes = match built_in(backend) {
        Some(bytes) => bytes.to_vec(),
        // What composes it recurses.
        None => Backend::from_file(backend).component()?,
    };
    stack.put(Part::Backend, format!("the backend `{}`", backend.display()), bytes)?;
    for file in layers.iter().rev() {
        let name = format!("the layer `{}`", file.display());
        let bytes = Backend::from_file(file).component();
        let bytes = bytes.with_context(|| format!("cannot use {name}"))?;
        stack.put(Part::Layer, name, bytes)?;
    }
    stack.put(Part::Command, "the command".into(), COMMAND.to_vec())?;
    stack.program()
}

#[derive(Clone, Copy)]
enum Part {
    Backend,
    Layer,
    Command,
}

/// Components on top of each other, each with the one below it as its store.
#[derive(Default)]
struct Stack {
    graph: CompositionGraph,
    /// The innermost first.
    placed: Vec<Placed>,
}

#[derive(Clone)]
struct Placed {
    /// What messages call it.
    name: String,
    package: PackageId,
    instance: NodeId,
}

impl Stack {
    /// Puts a component on top of those that are there.
    fn put(&mut self, part: Part, name: String, bytes: Vec<u8>) -> Result<()> {
        // The same file may be there twice.
        let unique = format!("part-{}", self.placed.len());
        let package = Package::from_bytes(&unique, None, bytes, self.graph.types_mut());
        let package = package.with_context(|| format!("cannot use {name}"))?;
        let package = self.graph.register_package(package)?;
        let imports = &self.graph.types()[self.graph[package].ty()].imports;
        let imports: Vec<_> = imports.keys().cloned().collect();
        if let Some(import) = imports.iter().find(|import| !may_import(import)) {
            bail!("{name} imports `{}`, which no part of a bundle exports", shown::name(import));
        }
        let needed: Vec<_> = imports.into_iter().filter(|import| is_of_contract(import)).collect();
        match (part, &*needed) {
            (Part::Backend, [first, ..]) => {
                bail!("{name} is a layer, which imports {first}: it needs a backend below it")
            }
            (Part::Layer, []) => {
                bail!("{name} is a backend and no layer: it imports nothing of what is below it")
            }
            _ => {}
        }
        let instance = self.graph.instantiate(package);
        let placed = Placed { name, package, instance };
        if let Some(below) = self.placed.last().cloned() {
            self.connect(&placed, &needed, &below)?;
        }
        self.placed.push(placed);
        Ok(())
    }

    /// Serves these imports of a part from the exports of the one below it.
    fn connect(&mut self, part: &Placed, imports: &[String], below: &Placed) -> Result<()> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for import in imports {
            match self.graph.alias_instance_export(below.instance, import) {
                Ok(export) => found.push((import, export)),
                Err(_) => missing.push(import.as_str()),
            }
        }
        let (name, below) = (&part.name, &below.name);
        if !missing.is_empty() {
            bail!("{below} does not export {}, which {name} imports", missing.join(", "));
        }
        for (import, export) in found {
            // Each is made for the contract as its author had it.
            let connected = self.graph.set_instantiation_argument(part.instance, import, export);
            let differ = || format!("{import} of {below} has not the types that {name} imports");
            connected.with_context(differ)?;
        }
        Ok(())
    }

    /// The composed component, which exports what its uppermost part does.
    fn program(mut self) -> Result<Vec<u8>> {
        if let Some(top) = self.placed.pop() {
            let exports = &self.graph.types()[self.graph[top.package].ty()].exports;
            for name in exports.keys().cloned().collect::<Vec<_>>() {
                let export = self.graph.alias_instance_export(top.instance, &name)?;
                self.graph.export(export, &name)?;
            }
        }
        Ok(self.graph.encode(EncodeOptions::default())?)
    }
}

/// Whether a runtime, or the part below, may provide it.
fn may_import(name: &str) -> bool {
    name.starts_with("wasi:") || name.starts_with("artifact:storage/")
}

/// Whether it is an interface with functions.
fn is_of_contract(name: &str) -> bool {
    name.starts_with("artifact:storage/") && !name.starts_with("artifact:storage/types@")
}

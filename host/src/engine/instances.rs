//! How many instances a component makes. A few bytes can instantiate something that instantiates
//! others in turn; therefore the instantiation is simulated, step by step up to the limits, with
//! empty instances.

use std::collections::HashMap;

use super::LoadLimits;
use super::profile::{Count, Profile};
use crate::error::LoadError;

/// A component in the file: the definitions, in order, that matter here.
#[derive(Default)]
pub(super) struct Component<'a> {
    pub(super) definitions: Vec<Definition<'a>>,
    /// The number of all its definitions.
    pub(super) size: u64,
    /// The number of functions that it creates through the canonical ABI.
    pub(super) functions: u64,
}

/// The contents of each instance of a module.
#[derive(Default)]
pub(super) struct Module {
    pub(super) memories: u64,
    pub(super) tables: u64,
    /// Functions, globals, imports.
    pub(super) parts: u64,
}

/// Modules and components are identified by their number in the file, other items by their index.
pub(super) enum Definition<'a> {
    Module(usize),
    Component(usize),
    Import(Kind, &'a str),
    Alias { kind: Kind, instance: u32, name: &'a str },
    Outer { kind: Kind, count: u32, index: u32 },
    CoreInstance(u32),
    Instantiate { component: u32, args: Box<[Item<'a>]> },
    FromExports(Box<[Item<'a>]>),
    Export(Item<'a>),
}

pub(super) struct Item<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) index: u32,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Module,
    Component,
    Instance,
}

#[derive(Clone, Copy)]
enum Value {
    Module(usize),
    /// A component, and the frame that encloses it.
    Component(usize, usize),
    /// An instance that was made.
    Instance(usize),
    /// An import, or an error that the compiler will report.
    Unknown,
}

type Named<'a> = HashMap<&'a str, Value>;

/// An instance of a component while it is made.
struct Frame<'a> {
    component: usize,
    /// How many of its definitions have been processed.
    done: usize,
    around: Option<usize>,
    args: Named<'a>,
    exports: Named<'a>,
    modules: Vec<Value>,
    components: Vec<Value>,
    instances: Vec<Value>,
}

impl<'a> Frame<'a> {
    fn new(component: usize, around: Option<usize>, args: Named<'a>) -> Self {
        let (modules, components, instances) = (Vec::new(), Vec::new(), Vec::new());
        let exports = Named::new();
        Self { component, done: 0, around, args, exports, modules, components, instances }
    }

    fn values(&mut self, kind: Kind) -> &mut Vec<Value> {
        match kind {
            Kind::Module => &mut self.modules,
            Kind::Component => &mut self.components,
            Kind::Instance => &mut self.instances,
        }
    }

    fn value(&mut self, kind: Kind, index: u32) -> Value {
        let value = self.values(kind).get(index as usize);
        value.copied().unwrap_or(Value::Unknown)
    }

    fn named(&mut self, items: &[Item<'a>]) -> Named<'a> {
        items.iter().map(|item| (item.name, self.value(item.kind, item.index))).collect()
    }
}

/// Instantiates the first component, and counts the instances in `profile`.
pub(super) fn instantiate(
    components: &[Component<'_>],
    modules: &[Module],
    profile: &mut Profile,
    limits: &LoadLimits,
) -> Result<(), LoadError> {
    let mut made: Vec<Named<'_>> = Vec::new();
    let mut frames = vec![Frame::new(0, None, Named::new())];
    // The frames that wait for one another, the innermost at the end. This replaces recursion.
    let mut running = vec![0];
    let mut definitions = 0_u64;
    while let Some(&number) = running.last() {
        let frame = &mut frames[number];
        let Some(component) = components.get(frame.component) else { break };
        if frame.done == 0 {
            definitions = definitions.saturating_add(component.size);
            profile.note(Count::Definitions, definitions, limits)?;
            profile.add(Count::Functions, component.functions, limits)?;
        }
        let Some(definition) = component.definitions.get(frame.done) else {
            let exports = std::mem::take(&mut frame.exports);
            running.pop();
            if let Some(&outer) = running.last() {
                made.push(exports);
                frames[outer].instances.push(Value::Instance(made.len() - 1));
            }
            continue;
        };
        frame.done += 1;
        match definition {
            Definition::Module(module) => frame.modules.push(Value::Module(*module)),
            Definition::Component(it) => frame.components.push(Value::Component(*it, number)),
            Definition::Import(kind, name) => {
                let value = frame.args.get(name).copied().unwrap_or(Value::Unknown);
                frame.values(*kind).push(value);
            }
            Definition::Alias { kind, instance, name } => {
                let value = match frame.value(Kind::Instance, *instance) {
                    Value::Instance(of) => made[of].get(name).copied(),
                    _ => None,
                };
                frame.values(*kind).push(value.unwrap_or(Value::Unknown));
            }
            Definition::Outer { kind, count, index } => {
                let mut of = Some(number);
                for _ in 0..*count {
                    of = of.and_then(|frame| frames[frame].around);
                    if of.is_none() {
                        break;
                    }
                }
                let value = of.map_or(Value::Unknown, |of| frames[of].value(*kind, *index));
                frames[number].values(*kind).push(value);
            }
            Definition::CoreInstance(module) => {
                profile.add(Count::Instances, 1, limits)?;
                if let Value::Module(module) = frame.value(Kind::Module, *module) {
                    profile.add(Count::Memories, modules[module].memories, limits)?;
                    profile.add(Count::Tables, modules[module].tables, limits)?;
                    profile.add(Count::Parts, modules[module].parts, limits)?;
                }
            }
            Definition::Instantiate { component, args } => {
                profile.add(Count::Instances, 1, limits)?;
                let args = frame.named(args);
                match frame.value(Kind::Component, *component) {
                    Value::Component(it, around) => {
                        running.push(frames.len());
                        frames.push(Frame::new(it, Some(around), args));
                    }
                    _ => frame.instances.push(Value::Unknown),
                }
            }
            Definition::FromExports(items) => {
                made.push(frame.named(items));
                frame.instances.push(Value::Instance(made.len() - 1));
            }
            Definition::Export(item) => {
                let value = frame.value(item.kind, item.index);
                frame.exports.insert(item.name, value);
                // From then on it is another item of that kind.
                frame.values(item.kind).push(value);
            }
        }
    }
    Ok(())
}

//! How many instances a component makes of what is in it. A few bytes can instantiate what
//! instantiates others in turn, so that it is done here as it would be at the start: step by step,
//! up to the limits, but with nothing in the instances.

use std::collections::HashMap;

use super::LoadLimits;
use super::profile::{Count, Profile};
use crate::error::LoadError;

/// A component in the file: what it defines in this order, as far as it matters here.
#[derive(Default)]
pub(super) struct Component<'a> {
    pub(super) definitions: Vec<Definition<'a>>,
    /// All that it defines.
    pub(super) size: u64,
    /// The functions that it makes by the canonical ABI.
    pub(super) functions: u64,
}

/// What each instance of a module has.
#[derive(Default)]
pub(super) struct Module {
    pub(super) memories: u64,
    pub(super) tables: u64,
    /// Functions, globals, imports.
    pub(super) parts: u64,
}

/// Modules and components are named by their number in the file, all else by its index.
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
    /// With the frame that it sees as the one around it.
    Component(usize, usize),
    /// One of those that were made.
    Instance(usize),
    /// Given from outside, or an error that is found when the component is compiled.
    Unknown,
}

type Named<'a> = HashMap<&'a str, Value>;

/// An instance of a component that is being made.
struct Frame<'a> {
    component: usize,
    /// How many of its definitions are done.
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

/// Instantiates the first component, and counts in `profile` what comes to be.
pub(super) fn instantiate(
    components: &[Component<'_>],
    modules: &[Module],
    profile: &mut Profile,
    limits: &LoadLimits,
) -> Result<(), LoadError> {
    let mut made: Vec<Named<'_>> = Vec::new();
    let mut frames = vec![Frame::new(0, None, Named::new())];
    // Those that wait for one another, the innermost at the end: there is no recursion here.
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
                // It is another item of that kind from then on.
                frame.values(item.kind).push(value);
            }
        }
    }
    Ok(())
}

//! The contents of a component's file, counted before any code that recurses, computes or compiles
//! sees it. The counts do not imply that the file is valid.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentDefinedType, ComponentExternalKind,
    ComponentFuncType, ComponentInstance, ComponentOuterAliasKind, ComponentType,
    ComponentTypeDeclaration, CompositeInnerType, CoreType, ElementItems, Encoding, Instance,
    InstanceTypeDeclaration, ModuleTypeDeclaration, Parser, Payload, RecGroup, Validator,
    WasmFeatures,
};

use super::LoadLimits;
use super::instances::{Component, Definition, Item, Kind, Module, instantiate};
use super::profile::{Count, Profile};
use crate::error::LoadError;

/// Counts the items in the component, and how often each of them is instantiated.
///
/// # Errors
///
/// [`LoadError::Limit`] as soon as a limit is exceeded; [`LoadError::Invalid`] if the bytes cannot
/// be read as a component.
pub(super) fn profile(bytes: &[u8], limits: &LoadLimits) -> Result<Profile, LoadError> {
    let mut scan = Scan::new(limits);
    scan.profile.note(Count::FileSize, bytes.len() as u64, limits)?;
    for payload in Parser::new(0).parse_all(bytes) {
        let scanned = payload.map_err(invalid).and_then(|payload| scan.payload(payload));
        scanned.map_err(|error| too_deep(error, limits))?;
    }
    nested(bytes).map_err(|error| too_deep(error, limits))?;
    let Scan { mut profile, components, modules, .. } = scan;
    instantiate(&components, &modules, &mut profile, limits)?;
    Ok(profile)
}

pub(super) fn invalid(error: BinaryReaderError) -> LoadError {
    LoadError::Invalid(error.into())
}

/// Types may also be nested by their names, on which the compiler's own validator panics. This
/// validator bounds the depth; the compiler reports everything else.
fn nested(bytes: &[u8]) -> Result<(), LoadError> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    for payload in Parser::new(0).parse_all(bytes) {
        match validator.payload(&payload.map_err(invalid)?) {
            Err(error) if error.message().contains(TOO_DEEP) => return Err(invalid(error)),
            Err(_) => break,
            Ok(_) => {}
        }
    }
    Ok(())
}

/// The message of the reader and the validator.
const TOO_DEEP: &str = "type nesting is too deep";

/// Both have their own limit on nesting, which is 100.
fn too_deep(error: LoadError, limits: &LoadLimits) -> LoadError {
    match &error {
        LoadError::Invalid(why) if why.to_string().contains(TOO_DEEP) => {
            let mut profile = Profile::default();
            profile.note(Count::Nesting, 101, limits).err().unwrap_or(error)
        }
        _ => error,
    }
}

struct Scan<'a, 'l> {
    limits: &'l LoadLimits,
    profile: Profile,
    components: Vec<Component<'a>>,
    modules: Vec<Module>,
    /// What encloses the place that is read now, from the outside in.
    open: Vec<Open>,
    definitions: u64,
}

/// A component or module by its number.
#[derive(Clone, Copy)]
enum Open {
    Component(usize),
    Module(usize),
}

type Scanned = Result<(), LoadError>;

impl<'a, 'l> Scan<'a, 'l> {
    fn new(limits: &'l LoadLimits) -> Self {
        let (components, modules, open) = (Vec::new(), Vec::new(), Vec::new());
        Self { limits, profile: Profile::default(), components, modules, open, definitions: 0 }
    }

    fn payload(&mut self, payload: Payload<'a>) -> Scanned {
        match payload {
            Payload::Version { encoding, .. } => self.begin(encoding)?,
            Payload::End(_) => drop(self.open.pop()),
            Payload::TypeSection(section) => {
                section.into_iter().try_for_each(|group| self.group(&group.map_err(invalid)?))?;
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    import.map_err(invalid)?;
                    self.count(Count::Imports, 1)?;
                    self.module(|it| &mut it.parts, 1);
                }
            }
            Payload::FunctionSection(section) => {
                self.module(|it| &mut it.parts, section.count());
                self.count(Count::Functions, section.count())?;
            }
            Payload::GlobalSection(section) => self.module(|it| &mut it.parts, section.count()),
            Payload::TableSection(section) => self.module(|it| &mut it.tables, section.count()),
            Payload::MemorySection(section) => {
                self.module(|it| &mut it.memories, section.count());
            }
            Payload::ExportSection(section) => self.count(Count::Exports, section.count())?,
            Payload::ElementSection(section) => {
                self.count(Count::Segments, section.count())?;
                for segment in section {
                    let elements = match segment.map_err(invalid)?.items {
                        ElementItems::Functions(functions) => functions.count(),
                        ElementItems::Expressions(_, expressions) => expressions.count(),
                    };
                    self.count(Count::Elements, elements)?;
                }
            }
            Payload::DataSection(section) => self.count(Count::Segments, section.count())?,
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                self.note(Count::FunctionSize, range.end - range.start)?;
                let mut locals = 0_u64;
                for run in body.get_locals_reader().map_err(invalid)? {
                    locals += u64::from(run.map_err(invalid)?.0);
                }
                self.note(Count::Locals, locals)?;
            }
            payload => self.component_payload(payload)?,
        }
        Ok(())
    }

    fn component_payload(&mut self, payload: Payload<'a>) -> Scanned {
        match payload {
            Payload::CoreTypeSection(section) => {
                for ty in section {
                    self.defined(1)?;
                    self.core_type(&ty.map_err(invalid)?)?;
                }
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    self.defined(1)?;
                    self.component_type(&ty.map_err(invalid)?, self.open.len() as u64)?;
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    let (parts, definition) = match instance.map_err(invalid)? {
                        Instance::Instantiate { module_index, args } => {
                            (args.len(), Some(Definition::CoreInstance(module_index)))
                        }
                        Instance::FromExports(exports) => (exports.len(), None),
                    };
                    self.define(parts, definition)?;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    self.instance(instance.map_err(invalid)?)?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(&alias.map_err(invalid)?)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                // Each becomes a function of its own, wherever the component is instantiated.
                self.defined(section.count())?;
                if let Some(component) = self.component() {
                    component.functions += u64::from(section.count());
                }
            }
            Payload::ComponentStartSection { .. } => self.defined(1)?,
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import.map_err(invalid)?;
                    self.count(Count::Imports, 1)?;
                    let kind = kind(import.ty.kind());
                    self.define(0, kind.map(|kind| Definition::Import(kind, import.name.name)))?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export.map_err(invalid)?;
                    self.count(Count::Exports, 1)?;
                    let item = item(export.name.name, export.kind, export.index);
                    self.define(0, item.map(Definition::Export))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A component or module begins.
    fn begin(&mut self, encoding: Encoding) -> Scanned {
        let (open, definition) = match encoding {
            Encoding::Component => {
                self.components.push(Component::default());
                let number = self.components.len() - 1;
                (Open::Component(number), Definition::Component(number))
            }
            Encoding::Module => {
                self.modules.push(Module::default());
                let number = self.modules.len() - 1;
                (Open::Module(number), Definition::Module(number))
            }
        };
        self.count(Count::Modules, 1)?;
        self.define(0, Some(definition))?;
        self.open.push(open);
        self.note(Count::Nesting, self.open.len() as u64)
    }

    /// The component that is being read.
    fn component(&mut self) -> Option<&mut Component<'a>> {
        match self.open.last()? {
            Open::Component(number) => self.components.get_mut(*number),
            Open::Module(_) => None,
        }
    }

    /// Adds to a count of the module that is being read.
    fn module(&mut self, what: impl FnOnce(&mut Module) -> &mut u64, more: u32) {
        if let Some(Open::Module(number)) = self.open.last()
            && let Some(module) = self.modules.get_mut(*number)
        {
            *what(module) += u64::from(more);
        }
    }

    fn count(&mut self, count: Count, more: u32) -> Scanned {
        self.profile.add(count, more.into(), self.limits)
    }

    fn note(&mut self, count: Count, found: u64) -> Scanned {
        self.profile.note(count, found, self.limits)
    }

    /// The current component defines so many more items.
    fn defined(&mut self, more: u32) -> Scanned {
        self.definitions += u64::from(more);
        if let Some(component) = self.component() {
            component.size += u64::from(more);
        }
        self.note(Count::Definitions, self.definitions)
    }

    /// Adds a definition that has parts; `definition` is `Some` if instantiation depends on it.
    fn define(&mut self, parts: usize, definition: Option<Definition<'a>>) -> Scanned {
        // A file has fewer bytes than that.
        self.defined(u32::try_from(parts).unwrap_or(u32::MAX).saturating_add(1))?;
        if let (Some(component), Some(definition)) = (self.component(), definition) {
            component.definitions.push(definition);
        }
        Ok(())
    }

    fn instance(&mut self, instance: ComponentInstance<'a>) -> Scanned {
        let (parts, definition) = match instance {
            ComponentInstance::Instantiate { component_index: component, args } => {
                let items = args.iter().filter_map(|arg| item(arg.name, arg.kind, arg.index));
                (args.len(), Definition::Instantiate { component, args: items.collect() })
            }
            ComponentInstance::FromExports(exports) => {
                let items = exports.iter();
                let items = items.filter_map(|it| item(it.name.name, it.kind, it.index));
                (exports.len(), Definition::FromExports(items.collect()))
            }
        };
        self.define(parts, Some(definition))
    }

    fn alias(&mut self, alias: &ComponentAlias<'a>) -> Scanned {
        let definition = match *alias {
            ComponentAlias::InstanceExport { kind: of, instance_index: instance, name } => {
                kind(of).map(|kind| Definition::Alias { kind, instance, name })
            }
            ComponentAlias::Outer { kind, count, index } => {
                let kind = match kind {
                    ComponentOuterAliasKind::CoreModule => Some(Kind::Module),
                    ComponentOuterAliasKind::Component => Some(Kind::Component),
                    ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => None,
                };
                kind.map(|kind| Definition::Outer { kind, count, index })
            }
            ComponentAlias::CoreInstanceExport { .. } => None,
        };
        self.define(0, definition)
    }

    fn group(&mut self, group: &RecGroup) -> Scanned {
        for ty in group.types() {
            let parts = match &ty.composite_type.inner {
                CompositeInnerType::Func(ty) => ty.params().len() + ty.results().len(),
                CompositeInnerType::Struct(ty) => ty.fields.len(),
                CompositeInnerType::Array(_) | CompositeInnerType::Cont(_) => 1,
            };
            self.types(parts)?;
        }
        Ok(())
    }

    /// Counts a type with so many parts.
    fn types(&mut self, parts: usize) -> Scanned {
        self.count(Count::Types, u32::try_from(parts).unwrap_or(u32::MAX).saturating_add(1))
    }

    fn core_type(&mut self, ty: &CoreType<'a>) -> Scanned {
        match ty {
            CoreType::Rec(group) => self.group(group),
            CoreType::Module(declarations) => {
                self.types(declarations.len())?;
                declarations.iter().try_for_each(|declaration| match declaration {
                    ModuleTypeDeclaration::Type(group) => self.group(group),
                    _ => Ok(()),
                })
            }
        }
    }

    /// The reader has bounded the depth of this recursion.
    fn component_type(&mut self, ty: &ComponentType<'a>, depth: u64) -> Scanned {
        self.note(Count::Nesting, depth)?;
        match ty {
            ComponentType::Defined(ty) => self.types(parts(ty)),
            ComponentType::Func(ComponentFuncType { params, .. }) => self.types(params.len() + 1),
            ComponentType::Resource { .. } => self.types(1),
            ComponentType::Component(declarations) => {
                self.types(declarations.len())?;
                declarations.iter().try_for_each(|declaration| match declaration {
                    ComponentTypeDeclaration::CoreType(ty) => self.core_type(ty),
                    ComponentTypeDeclaration::Type(ty) => self.component_type(ty, depth + 1),
                    _ => Ok(()),
                })
            }
            ComponentType::Instance(declarations) => {
                self.types(declarations.len())?;
                declarations.iter().try_for_each(|declaration| match declaration {
                    InstanceTypeDeclaration::CoreType(ty) => self.core_type(ty),
                    InstanceTypeDeclaration::Type(ty) => self.component_type(ty, depth + 1),
                    _ => Ok(()),
                })
            }
        }
    }
}

fn parts(ty: &ComponentDefinedType<'_>) -> usize {
    match ty {
        ComponentDefinedType::Record(fields) => fields.len(),
        ComponentDefinedType::Variant(cases) => cases.len(),
        ComponentDefinedType::Tuple(types) => types.len(),
        ComponentDefinedType::Flags(names) | ComponentDefinedType::Enum(names) => names.len(),
        _ => 1,
    }
}

fn item<'a>(name: &'a str, of: ComponentExternalKind, index: u32) -> Option<Item<'a>> {
    kind(of).map(|kind| Item { name, kind, index })
}

/// The kinds of items that take part in instantiation.
fn kind(kind: ComponentExternalKind) -> Option<Kind> {
    match kind {
        ComponentExternalKind::Module => Some(Kind::Module),
        ComponentExternalKind::Component => Some(Kind::Component),
        ComponentExternalKind::Instance => Some(Kind::Instance),
        ComponentExternalKind::Func
        | ComponentExternalKind::Value
        | ComponentExternalKind::Type => None,
    }
}

//! The work that the functions of a component cause in the compiler, for the case that the compiler
//! cannot be stopped.
//!
//! The weights were measured with wasmtime 48, on functions made to be slow in one way each: a unit
//! is at most 7 µs and 1 KiB; ordinary code takes 1 µs. Most of a compiler's work is linear in the
//! instructions. The squares stand for the rest: which variables are alive in which block, how they
//! get there, and which registers they are given.

use wasmparser::{BlockType, CompositeInnerType, FunctionBody, Operator, Parser, Payload, TypeRef};

use super::LoadLimits;
use super::profile::{Count, Profile};
use super::structure::invalid;
use crate::error::LoadError;

/// The work of each function, even if empty.
const FUNCTION: u64 = 20;
/// A call, or an instruction that becomes one.
const CALL: u64 = 60;
/// A branch, or the target of one.
const BRANCH: u64 = 10;
/// A value that a branch passes on.
const HANDED_ON: u64 = 4;

/// Adds the work of all functions to the counts so far.
pub(super) fn measure(
    bytes: &[u8],
    profile: &mut Profile,
    limits: &LoadLimits,
) -> Result<(), LoadError> {
    let mut modules = vec![Signatures::default()];
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(invalid)?;
        let Some(module) = modules.last_mut() else { break };
        match payload {
            Payload::Version { .. } => modules.push(Signatures::default()),
            Payload::End(_) => drop(modules.pop()),
            Payload::TypeSection(section) => {
                for group in section {
                    let arity = |ty: &wasmparser::SubType| match &ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => [ty.params().len(), ty.results().len()],
                        _ => [0, 0],
                    };
                    module.types.extend(group.map_err(invalid)?.types().map(arity));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(ty) = import.map_err(invalid)?.ty {
                        module.functions.push(ty);
                        module.imported += 1;
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    module.functions.push(ty.map_err(invalid)?);
                }
            }
            Payload::CodeSectionEntry(body) => {
                let ty = module.functions.get(module.imported + module.bodies);
                let signature = ty.map_or([0, 0], |ty| module.of_type(*ty));
                module.bodies += 1;
                let work = Function::new(module, signature).work(&body)?;
                profile.note(Count::FunctionWork, work, limits)?;
                profile.add(Count::Work, work, limits)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The numbers of parameters and results of the types and functions of a module.
#[derive(Default)]
struct Signatures {
    types: Vec<[usize; 2]>,
    functions: Vec<u32>,
    /// How many of the functions are imported.
    imported: usize,
    /// How many of the other functions were read.
    bodies: usize,
}

impl Signatures {
    /// If there is no such type, the compiler reports it.
    fn of_type(&self, ty: u32) -> [u64; 2] {
        let arity = self.types.get(ty as usize).copied().unwrap_or_default();
        arity.map(|values| values as u64)
    }

    fn of_function(&self, function: u32) -> [u64; 2] {
        self.functions.get(function as usize).map_or([0, 0], |ty| self.of_type(*ty))
    }

    fn of_block(&self, ty: BlockType) -> [u64; 2] {
        match ty {
            BlockType::Empty => [0, 0],
            BlockType::Type(_) => [0, 1],
            BlockType::FuncType(ty) => self.of_type(ty),
        }
    }
}

/// One function, as far as it was read.
struct Function<'m> {
    module: &'m Signatures,
    work: u64,
    /// The blocks around the place that is read now, from the outside in; the function itself is
    /// the first.
    open: Vec<Block>,
    /// The number of variables, parameters included.
    variables: u64,
    loops: u64,
    blocks: u64,
    calls: u64,
    /// The targets of all branch tables.
    targets: u64,
    sets: u64,
}

/// A target of branches.
struct Block {
    is_loop: bool,
    /// How many values a branch to it passes on.
    values: u64,
    branches: u64,
    /// How often variables had been set before it.
    sets: u64,
}

impl<'m> Function<'m> {
    fn new(module: &'m Signatures, [takes, gives]: [u64; 2]) -> Self {
        let body = Block { is_loop: false, values: gives, branches: 0, sets: u64::MAX };
        let (work, open, variables) = (FUNCTION, vec![body], takes);
        let (loops, blocks, calls, targets, sets) = (0, 0, 0, 0, 0);
        Self { module, work, open, variables, loops, blocks, calls, targets, sets }
    }

    fn work(mut self, body: &FunctionBody<'_>) -> Result<u64, LoadError> {
        for run in body.get_locals_reader().map_err(invalid)? {
            self.variables += u64::from(run.map_err(invalid)?.0);
        }
        for operator in body.get_operators_reader().map_err(invalid)? {
            let more = self.operator(&operator.map_err(invalid)?);
            self.work = self.work.saturating_add(more);
        }
        // A variable that is never set is the same everywhere.
        let variables = self.variables.min(self.sets);
        let squares = [
            square(variables) / 128,
            square(self.blocks) / 1000,
            self.blocks.saturating_mul(variables) / 40,
            self.targets.saturating_mul(variables).saturating_mul(2),
            square(self.calls) / 1000,
        ];
        Ok(squares.into_iter().fold(self.work, u64::saturating_add))
    }

    fn operator(&mut self, operator: &Operator<'_>) -> u64 {
        use Operator as Op;
        match operator {
            Op::Block { blockty } | Op::If { blockty } => self.open(*blockty, false),
            Op::TryTable { try_table } => {
                self.open(try_table.ty, false) + BRANCH * try_table.catches.len() as u64
            }
            Op::Loop { blockty } => self.open(*blockty, true),
            Op::Else => self.branch(0),
            Op::End => self.close(),
            Op::Br { relative_depth: depth }
            | Op::BrIf { relative_depth: depth }
            | Op::BrOnNull { relative_depth: depth }
            | Op::BrOnNonNull { relative_depth: depth } => self.branch(*depth),
            Op::BrTable { targets } => {
                self.targets += u64::from(targets.len());
                u64::from(targets.len()) + self.branch(targets.default())
            }
            Op::Return => {
                let depth = self.open.len().saturating_sub(1);
                self.branch(u32::try_from(depth).unwrap_or(u32::MAX))
            }
            Op::LocalSet { .. } | Op::LocalTee { .. } => {
                self.sets += 1;
                1 + square(self.loops) / 3
            }
            Op::Call { function_index: function } | Op::ReturnCall { function_index: function } => {
                self.call(self.module.of_function(*function))
            }
            Op::CallIndirect { type_index: ty, .. }
            | Op::ReturnCallIndirect { type_index: ty, .. }
            | Op::CallRef { type_index: ty }
            | Op::ReturnCallRef { type_index: ty } => self.call(self.module.of_type(*ty)),
            Op::MemoryCopy { .. }
            | Op::MemoryFill { .. }
            | Op::MemoryInit { .. }
            | Op::MemoryGrow { .. }
            | Op::DataDrop { .. }
            | Op::TableCopy { .. }
            | Op::TableFill { .. }
            | Op::TableInit { .. }
            | Op::TableGrow { .. }
            | Op::TableGet { .. }
            | Op::TableSet { .. }
            | Op::ElemDrop { .. }
            | Op::RefFunc { .. }
            | Op::Throw { .. }
            | Op::ThrowRef
            | Op::MemoryAtomicNotify { .. }
            | Op::MemoryAtomicWait32 { .. }
            | Op::MemoryAtomicWait64 { .. } => self.call([0, 0]),
            Op::GlobalGet { .. } | Op::GlobalSet { .. } => 5,
            _ => 1,
        }
    }

    fn open(&mut self, ty: BlockType, is_loop: bool) -> u64 {
        let [takes, gives] = self.module.of_block(ty);
        let values = if is_loop { takes } else { gives };
        self.open.push(Block { is_loop, values, branches: 1, sets: self.sets });
        self.blocks += 1;
        self.loops += u64::from(is_loop);
        let nested = if is_loop { self.loops } else { 0 };
        BRANCH + nested + HANDED_ON * (takes + gives)
    }

    /// Each branch to a block brings its own version of each variable that was set in between.
    fn close(&mut self) -> u64 {
        let Some(block) = self.open.pop() else { return 1 };
        self.loops -= u64::from(block.is_loop);
        let set = self.sets.saturating_sub(block.sets).min(self.variables);
        1 + square(block.branches.saturating_mul(set + block.values)) / 3000
    }

    fn branch(&mut self, depth: u32) -> u64 {
        self.blocks += 1;
        let at = self.open.len().checked_sub(1).and_then(|last| last.checked_sub(depth as usize));
        let Some(block) = at.map(|at| &mut self.open[at]) else { return BRANCH };
        block.branches += 1;
        BRANCH + HANDED_ON * block.values
    }

    fn call(&mut self, [takes, gives]: [u64; 2]) -> u64 {
        self.calls += 1;
        CALL + takes + gives
    }
}

fn square(of: u64) -> u64 {
    of.saturating_mul(of)
}

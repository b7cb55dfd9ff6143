//! Components that cost their host more than they should, each by one means. They are made here,
//! byte by byte or from text, so that none lies in the repository.

mod functions;
mod parts;
mod shape;

use artifact_store::Backend;
use wasm_encoder::{
    Component, ComponentExportKind, ComponentInstanceSection, ComponentSection as _, Encode,
};

/// The number of the section that holds one nested component.
const COMPONENT: u8 = 4;

/// A component, by what is wrong with it.
pub struct Bomb {
    pub name: &'static str,
    /// The whole component.
    pub make: fn() -> Vec<u8>,
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Bomb> {
    shape::BOMBS.iter().chain(functions::BOMBS).chain(parts::BOMBS)
}

impl Bomb {
    /// The built-in backend with this beside it, instantiated: it offers all that a backend can.
    pub fn in_a_backend(&self) -> Vec<u8> {
        let mut component = Backend::fs_component().to_vec();
        component.push(COMPONENT);
        (*(self.make)()).encode(&mut component);
        let mut instances = ComponentInstanceSection::new();
        let none: [(&str, ComponentExportKind, u32); 0] = [];
        instances.instantiate(nested_components(), none);
        component.push(instances.id());
        instances.encode(&mut component);
        component
    }
}

/// How many components the built-in one holds, which is the number of the next.
fn nested_components() -> u32 {
    use wasmparser::{Parser, Payload};
    let (mut depth, mut count) = (0, 0);
    for payload in Parser::new(0).parse_all(Backend::fs_component()) {
        match payload.expect("it is sound") {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentSection { .. } if depth == 1 => count += 1,
            _ => {}
        }
    }
    count
}

/// A component of this text.
fn text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|e| panic!("{e}"))
}

/// A component of one core module, instantiated.
fn module(fields: &str) -> Vec<u8> {
    text(&format!("(component (core module $m {fields}) (core instance (instantiate $m)))"))
}

/// The same with a function of this body, and so many local variables beside its parameter 0.
fn function(locals: usize, body: &str) -> Vec<u8> {
    let locals = "i32 ".repeat(locals);
    module(&format!("(memory 1) (func (param i32) (local {locals}) {body})"))
}

/// `of(0) of(1) …`
fn many(count: usize, of: impl Fn(usize) -> String) -> String {
    (0..count).map(of).collect()
}

/// A component that consists of these sections.
fn sections(sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut component = Component::HEADER.to_vec();
    for (id, data) in sections {
        component.push(*id);
        (**data).encode(&mut component);
    }
    component
}

/// A component of one core module that consists of these sections.
fn raw_module(of: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    for (id, data) in of {
        module.push(*id);
        (**data).encode(&mut module);
    }
    let (modules, instances) = (1, 2);
    let mut component = Component::HEADER.to_vec();
    component.push(modules);
    (*module).encode(&mut component);
    component.push(instances);
    // One, by instantiating the first module with nothing.
    [1, 0, 0, 0_u8][..].encode(&mut component);
    component
}

/// So many items in a section, each the same.
fn repeated(count: u32, item: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    count.encode(&mut data);
    data.extend(item.repeat(count as usize));
    data
}

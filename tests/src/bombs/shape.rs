//! What is nested, instantiated or aliased too often.

use wasm_encoder::Encode;

use super::{Bomb, many, sections, text};

pub(super) const BOMBS: &[Bomb] = &[
    Bomb { name: "components nested 1000 deep", make: || nested_components(1000) },
    Bomb { name: "components nested 100 000 deep", make: || nested_components(100_000) },
    Bomb { name: "instance types nested 800 deep", make: || nested_types(0x42, 800) },
    Bomb { name: "instance types nested 100 000 deep", make: || nested_types(0x42, 100_000) },
    Bomb { name: "component types nested 2000 deep", make: || nested_types(0x41, 2000) },
    Bomb { name: "tuples of tuples 2000 deep", make: || chain(2000, |n| format!("(tuple $t{n})")) },
    Bomb {
        name: "options of options 90 000 deep",
        make: || chain(90_000, |n| format!("(option $t{n})")),
    },
    Bomb { name: "instance types that export one another 2000 deep", make: exporting_types },
    Bomb { name: "module types nested 5000 deep in type declarations", make: module_types },
    Bomb {
        name: "2^40 instances",
        make: || doubling("(instance (instantiate $c)) (instance (instantiate $c))"),
    },
    Bomb { name: "2^40 core instances", make: core_doubling },
    Bomb { name: "2^40 instances through exports of instances", make: through_exports },
    Bomb { name: "2^40 instances of components that were handed on", make: handed_on },
    Bomb { name: "2^40 instances through aliases of the outside", make: through_outside },
    Bomb { name: "a component that instantiates what it is given, which is itself", make: itself },
    Bomb {
        name: "10 000 core instances",
        make: || {
            text(&format!(
                "(component (core module $m) {})",
                "(core instance (instantiate $m))".repeat(10_000)
            ))
        },
    },
    Bomb { name: "a type of 2^40 parts", make: || chain(40, |n| format!("(tuple $t{n} $t{n})")) },
    Bomb { name: "60 records of 9000 fields each", make: wide_records },
    Bomb { name: "instance types that export two of the one before", make: doubling_types },
    Bomb { name: "100 000 empty components", make: || sections(&vec![(4, empty()); 100_000]) },
    Bomb { name: "100 000 aliases of one type", make: aliases },
    Bomb {
        name: "100 000 resources",
        make: || sections(&[(7, super::repeated(100_000, &[0x3f, 0x7f, 0]))]),
    },
];

fn empty() -> Vec<u8> {
    wasm_encoder::Component::HEADER.to_vec()
}

/// Each one holds the next and nothing else.
fn nested_components(depth: usize) -> Vec<u8> {
    // The sizes come first, and the innermost is known first: written from its end.
    let mut reversed: Vec<u8> = empty().into_iter().rev().collect();
    for _ in 0..depth {
        let mut size = Vec::new();
        reversed.len().encode(&mut size);
        reversed.extend(size.iter().rev());
        reversed.push(4);
        reversed.extend(empty().iter().rev());
    }
    reversed.reverse();
    reversed
}

/// `kind` is that of an instance or component type: each declares one thing, the next.
fn nested_types(kind: u8, depth: usize) -> Vec<u8> {
    let mut data = vec![1];
    data.extend([kind, 1, 1].repeat(depth));
    data.extend([kind, 0]);
    sections(&[(7, data)])
}

/// Types that are made of the one before.
fn chain(length: usize, of: impl Fn(usize) -> String) -> Vec<u8> {
    let types = many(length, |n| format!("(type $t{} {})", n + 1, of(n)));
    text(&format!("(component (type $t0 u8) {types})"))
}

fn exporting_types() -> Vec<u8> {
    let types = many(2000, |n| {
        format!(
            "(type $t{} (instance (alias outer 1 $t{n} (type $a)) (export \"e\" (instance (type $a)))))",
            n + 1
        )
    });
    text(&format!("(component (type $t0 (instance)) {types})"))
}

fn doubling_types() -> Vec<u8> {
    let types = many(40, |n| {
        format!(
            "(type $t{} (instance (alias outer 1 $t{n} (type $a)) \
             (export \"e\" (instance (type $a))) (export \"f\" (instance (type $a)))))",
            n + 1
        )
    });
    text(&format!(
        "(component (type $t0 (instance)) {types} (type (component (import \"i\" (instance (type $t40))))))"
    ))
}

/// Each declares one core type, a module type, and the next.
fn module_types() -> Vec<u8> {
    let mut data = vec![1];
    data.extend([0x42, 2, 0, 0x50, 0, 1].repeat(5000));
    data.extend([0x42, 0]);
    sections(&[(7, data)])
}

/// Each of 40 components does this with the one before.
fn doubling(with: &str) -> Vec<u8> {
    let outer = many(40, |n| {
        format!("(component $c{} (alias outer 1 $c{n} (component $c)) {with})", n + 1)
    });
    text(&format!("(component (component $c0) {outer} (instance (instantiate $c40)))"))
}

fn core_doubling() -> Vec<u8> {
    let twice = "(instance (instantiate $c)) (instance (instantiate $c))";
    let outer = many(40, |n| {
        format!("(component $c{} (alias outer 1 $c{n} (component $c)) {twice})", n + 1)
    });
    let first = "(component $c0 (core module $m) (core instance (instantiate $m)))";
    text(&format!("(component {first} {outer} (instance (instantiate $c40)))"))
}

/// What is instantiated comes out of an instance that exports it.
fn through_exports() -> Vec<u8> {
    let outer = many(40, |n| {
        format!(
            "(component $e{n} (import \"i\" (instance $i (export \"c\" (component)))) \
             (alias export $i \"c\" (component $c)) \
             (instance (instantiate $c)) (instance (instantiate $c))) \
             (component $c{} (alias outer 1 $c{n} (component $c)) \
             (alias outer 1 $e{n} (component $e)) (instance $i (export \"c\" (component $c))) \
             (instance (instantiate $e (with \"i\" (instance $i)))))",
            n + 1
        )
    });
    text(&format!("(component (component $c0) {outer} (instance (instantiate $c40)))"))
}

/// What is instantiated is an argument.
fn handed_on() -> Vec<u8> {
    let outer = many(40, |n| {
        format!(
            "(component $twice{n} (import \"c\" (component $c)) \
             (instance (instantiate $c)) (instance (instantiate $c))) \
             (component $c{} (alias outer 1 $c{n} (component $c)) \
             (alias outer 1 $twice{n} (component $twice)) \
             (instance (instantiate $twice (with \"c\" (component $c)))))",
            n + 1
        )
    });
    text(&format!("(component (component $c0) {outer} (instance (instantiate $c40)))"))
}

/// What is instantiated is that of the outermost component.
fn through_outside() -> Vec<u8> {
    let outer = many(40, |n| {
        format!(
            "(component $c{} (component $in (alias outer 2 $c{n} (component $c)) \
             (instance (instantiate $c)) (instance (instantiate $c))) (instance (instantiate $in)))",
            n + 1
        )
    });
    text(&format!("(component (component $c0) {outer} (instance (instantiate $c40)))"))
}

/// It is not valid, since it has no type, but who only counts does not see that.
fn itself() -> Vec<u8> {
    let body =
        "(import \"c\" (component $c)) (instance (instantiate $c (with \"c\" (component $c))))";
    text(&format!(
        "(component (component $x {body}) (instance (instantiate $x (with \"c\" (component $x)))))"
    ))
}

fn wide_records() -> Vec<u8> {
    let fields = many(9000, |n| format!("(field \"f{n}\" $t0) "));
    let types = many(60, |n| format!("(type $t{} (record {fields}))", n + 1));
    text(&format!("(component (type $t0 u8) {types})"))
}

fn aliases() -> Vec<u8> {
    let mut types = Vec::new();
    // Of the type 0 of this very component.
    types.extend(super::repeated(250_000, &[3, 2, 0, 0]));
    sections(&[(7, vec![1, 0x7d]), (6, types)])
}

//! Modules and components with too many parts of one kind, or too large ones.

use wasm_encoder::Encode;

use super::{Bomb, many, module, raw_module, repeated, sections, text};

pub(super) const BOMBS: &[Bomb] = &[
    Bomb { name: "a custom section of 70 MB", make: || sections(&[(0, custom(70_000_000))]) },
    Bomb { name: "1 000 000 custom sections", make: || sections(&vec![(0, custom(0)); 1_000_000]) },
    Bomb { name: "20 MB of names", make: names },
    Bomb {
        name: "1 000 000 types",
        make: || raw_module(&[(1, repeated(1_000_000, &[0x60, 0, 0]))]),
    },
    Bomb { name: "a recursion group of 900 000 types", make: group },
    Bomb { name: "3000 types of 1000 parameters and results", make: wide_types },
    Bomb { name: "300 000 imports", make: imports },
    Bomb { name: "300 000 exports", make: exports },
    Bomb { name: "300 exports whose names have 100 000 bytes", make: long_names },
    Bomb { name: "980 memories", make: memories },
    Bomb { name: "980 memories of one module after another", make: memories_of_modules },
    Bomb { name: "a memory of 4 GiB at the start", make: || module("(memory 65536)") },
    Bomb {
        name: "a table of 4 000 000 000 elements at the start",
        make: || module("(table 4000000000 funcref)"),
    },
    Bomb {
        name: "90 tables of 9 000 000 elements at the start",
        make: || module(&"(table 9000000 funcref)".repeat(90)),
    },
    Bomb {
        name: "900 000 globals",
        make: || raw_module(&[(6, repeated(900_000, &[0x7f, 0, 0x41, 0, 0x0b]))]),
    },
    Bomb { name: "900 instances of 40 000 functions each", make: functions_of_instances },
    Bomb {
        name: "90 000 segments of data, twice",
        make: || segments("(data (i32.const 0) \"x\")"),
    },
    Bomb {
        name: "90 000 segments of elements, twice",
        make: || segments("(elem (i32.const 0) func $f)"),
    },
    Bomb { name: "a segment of 9 000 000 elements", make: elements },
    Bomb {
        name: "data far outside of its memory",
        make: || module("(memory 1) (data (i32.const -1) \"x\")"),
    },
    Bomb {
        name: "100 000 empty modules",
        make: || sections(&vec![(1, b"\0asm\x01\0\0\0".to_vec()); 100_000]),
    },
    Bomb { name: "100 functions handed between components with 4000 texts each", make: adapters },
    Bomb {
        name: "50 functions handed between components with 3000 lists of lists each",
        make: lists,
    },
    Bomb {
        name: "sections that say they have 4 000 000 000 items",
        make: || sections(&[(7, vec![0xff, 0xff, 0xff, 0xff, 0x0e])]),
    },
    Bomb { name: "a cut section", make: || [&sections(&[])[..], &[7, 100, 1]].concat() },
];

fn custom(size: usize) -> Vec<u8> {
    let mut data = vec![1, b'n'];
    data.resize(data.len() + size, 0);
    data
}

/// The name section of a module: each of 200 functions has a name of 100 000 bytes.
fn names() -> Vec<u8> {
    let mut functions = Vec::new();
    200_u32.encode(&mut functions);
    for n in 0..200_u32 {
        n.encode(&mut functions);
        "n".repeat(100_000).encode(&mut functions);
    }
    let mut section = Vec::new();
    "name".encode(&mut section);
    section.push(1);
    (*functions).encode(&mut section);
    let bodies = (10, repeated(200, &[2, 0, 0x0b]));
    raw_module(&[(1, vec![1, 0x60, 0, 0]), (3, repeated(200, &[0])), bodies, (0, section)])
}

fn group() -> Vec<u8> {
    let mut data = vec![1, 0x4e];
    data.extend(repeated(900_000, &[0x60, 0, 0]));
    raw_module(&[(1, data)])
}

fn wide_types() -> Vec<u8> {
    let mut ty = vec![0x60];
    for _ in 0..2 {
        1000_u32.encode(&mut ty);
        ty.extend([0x7f; 1000]);
    }
    raw_module(&[(1, repeated(3000, &ty))])
}

fn imports() -> Vec<u8> {
    raw_module(&[(1, vec![1, 0x60, 0, 0]), (2, repeated(300_000, &[1, b'm', 1, b'f', 0, 0]))])
}

fn exports() -> Vec<u8> {
    let mut data = Vec::new();
    300_000_u32.encode(&mut data);
    for n in 0..300_000 {
        n.to_string().encode(&mut data);
        data.extend([0, 0]);
    }
    let body = (10, repeated(1, &[2, 0, 0x0b]));
    raw_module(&[(1, vec![1, 0x60, 0, 0]), (3, vec![1, 0]), (7, data), body])
}

fn long_names() -> Vec<u8> {
    let long = "n".repeat(99_000);
    let exports = many(300, |n| format!("(export \"{long}{n}\" (type $t))"));
    text(&format!("(component (type $t u8) {exports})"))
}

fn memories() -> Vec<u8> {
    let modules = "(core module (memory 1) (memory 1) (memory 1) (memory 1) (memory 1))";
    let instances = many(196, |n| format!("(core instance (instantiate {n}))"));
    text(&format!("(component {} {instances})", modules.repeat(196)))
}

fn memories_of_modules() -> Vec<u8> {
    let instances = "(core instance (instantiate $m))".repeat(98);
    let memories = "(memory 1)".repeat(10);
    text(&format!("(component (core module $m {memories}) {instances})"))
}

fn functions_of_instances() -> Vec<u8> {
    let instances = "(core instance (instantiate $m))".repeat(900);
    text(&format!("(component (core module $m {}) {instances})", "(func)".repeat(40_000)))
}

fn segments(segment: &str) -> Vec<u8> {
    let fields = format!("(memory 1) (table 1 funcref) (func $f) {}", segment.repeat(90_000));
    let modules = format!("(core module $a {fields}) (core module $b {fields})");
    text(&format!(
        "(component {modules} (core instance (instantiate $a)) (core instance (instantiate $b)))"
    ))
}

fn elements() -> Vec<u8> {
    let mut segment = vec![1, 0, 0x41, 0, 0x0b];
    segment.extend(repeated(9_000_000, &[0]));
    raw_module(&[
        (1, vec![1, 0x60, 0, 0]),
        (3, vec![1, 0]),
        (4, vec![1, 0x70, 0, 1]),
        (9, segment),
        (10, repeated(1, &[2, 0, 0x0b])),
    ])
}

/// What is handed from one component to another is copied by code that is made for its type.
/// Parameters of that type are handed to code as `lowered`.
fn handed(ty: &str, lowered: &str, functions: usize) -> Vec<u8> {
    let allocates = "(func (export \"realloc\") (param i32 i32 i32 i32) (result i32) i32.const 0)";
    let memory = "(memory (export \"memory\") 1)";
    let lifts = many(functions, |n| {
        format!(
            "(func (export \"f{n}\") (param \"p\" $t) (canon lift (core func $i \"f\") \
             (memory (core memory $i \"memory\")) (realloc (core func $i \"realloc\"))))"
        )
    });
    let lowers = many(functions, |n| {
        format!(
            "(core func $f{n} (canon lower (func $one \"f{n}\") (memory (core memory $i \"memory\")) \
             (realloc (core func $i \"realloc\"))))"
        )
    });
    let imports = many(functions, |n| format!("(import \"m\" \"f{n}\" (func (param {lowered})))"));
    let given = many(functions, |n| format!("(export \"f{n}\" (func $f{n}))"));
    text(&format!(
        "(component
            (component $one
                {ty}
                (core module $m {memory} {allocates} (func (export \"f\") (param {lowered})))
                (core instance $i (instantiate $m))
                {lifts})
            (instance $one (instantiate $one))
            (component $two
                {ty}
                (import \"one\" (instance $one {}))
                (core module $m {memory} {allocates})
                (core instance $i (instantiate $m))
                {lowers}
                (core module $n {imports})
                (core instance (instantiate $n (with \"m\" (instance {given})))))
            (instance (instantiate $two (with \"one\" (instance $one)))))",
        many(functions, |n| format!("(export \"f{n}\" (func (param \"p\" $t)))")),
    ))
}

fn adapters() -> Vec<u8> {
    let fields = "string ".repeat(4000);
    handed(&format!("(type $t (tuple {fields}))"), "i32", 100)
}

fn lists() -> Vec<u8> {
    let lists = "(list (tuple string (list (option u64)))) ".repeat(3000);
    handed(&format!("(type $t (list (tuple {lists})))"), "i32 i32", 50)
}

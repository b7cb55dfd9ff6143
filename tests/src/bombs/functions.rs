//! Functions that take their compiler long, and modules with many of them.

use wasm_encoder::Encode;

use super::{Bomb, function, many, module, raw_module, repeated, text};

pub(super) const BOMBS: &[Bomb] = &[
    Bomb { name: "300 nested loops with 1000 variables", make: || loops(300, 1000) },
    Bomb { name: "2000 nested loops", make: || loops(2000, 1) },
    Bomb { name: "500 nests of 20 loops with 50 variables", make: nests },
    Bomb {
        name: "100 000 nested blocks",
        make: || function(0, &nest(100_000, "block (br_if 0 (local.get 0)) ")),
    },
    Bomb { name: "100 000 nested ifs", make: || function(0, &nest(100_000, "(local.get 0) if ")) },
    Bomb { name: "20 000 nested try tables", make: || function(0, &nest(20_000, "try_table ")) },
    Bomb { name: "4000 branches to one block, between sets of 400 variables", make: branches },
    Bomb { name: "16 000 variables that are set in an if each", make: variables },
    Bomb { name: "a table of 1 000 000 branches to a loop with 400 variables", make: table },
    Bomb { name: "500 tables of 1000 branches", make: tables },
    Bomb { name: "50 000 variables", make: || function(50_000, "") },
    Bomb { name: "4 000 000 000 variables in 12 bytes", make: run_length },
    Bomb { name: "200 000 indirect calls", make: indirect },
    Bomb { name: "200 000 calls with 1000 arguments and results", make: || values("call $f ") },
    Bomb {
        name: "20 000 blocks with 1000 parameters and results",
        make: || values_of_blocks("block"),
    },
    Bomb {
        name: "20 000 loops with 1000 parameters and results",
        make: || values_of_blocks("loop"),
    },
    Bomb {
        name: "100 000 copies of memory",
        make: || {
            function(0, &"(memory.copy (local.get 0) (local.get 0) (local.get 0))".repeat(100_000))
        },
    },
    Bomb {
        name: "7 MB of straight code",
        make: || {
            function(0, &format!("local.get 0 {} drop", "local.get 0 i32.add ".repeat(2_300_000)))
        },
    },
    Bomb { name: "900 000 empty functions", make: || many_functions(900_000, &[2, 0, 0x0b]) },
    Bomb { name: "200 000 functions of 40 divisions", make: divisions },
    Bomb { name: "300 000 functions of the canonical ABI", make: canonical },
    Bomb { name: "a start that never ends", make: || module("(func $s (loop (br 0))) (start $s)") },
    Bomb {
        name: "a start that takes all memory",
        make: || {
            module(
                "(memory 1) (func $s (loop (drop (memory.grow (i32.const 100))) (br 0))) (start $s)",
            )
        },
    },
    Bomb { name: "a start that calls itself", make: || module("(func $s (call $s)) (start $s)") },
];

fn nest(depth: usize, begin: &str) -> String {
    format!("{}{}", begin.repeat(depth), "end ".repeat(depth))
}

/// The innermost sets all variables.
fn loops(depth: usize, variables: usize) -> Vec<u8> {
    let sets = many(variables, |n| {
        format!("(local.set {} (i32.add (local.get {}) (local.get 0)))", n + 1, n + 1)
    });
    let (begin, end) = ("loop ".repeat(depth), "end ".repeat(depth));
    function(variables, &format!("{begin} {sets} (br_if 0 (local.get 0)) {end}"))
}

fn nests() -> Vec<u8> {
    let sets = many(50, |n| {
        format!("(local.set {} (i32.add (local.get {}) (local.get 0)))", n + 1, n + 1)
    });
    let (begin, end) = ("loop ".repeat(20), "end ".repeat(20));
    function(50, &format!("{begin} {sets} (br_if 0 (local.get 0)) {end}").repeat(500))
}

/// What is in the variables depends on which branch was taken.
fn branches() -> Vec<u8> {
    let branches = many(4000, |n| {
        format!("(local.set {} (i32.const {n})) (br_if 0 (local.get 0))", n % 400 + 1)
    });
    function(400, &format!("block {branches} end {}", uses(400)))
}

fn uses(variables: usize) -> String {
    many(variables, |n| format!("(i32.store (i32.const 0) (local.get {}))", n + 1))
}

fn variables() -> Vec<u8> {
    let ifs =
        many(16_000, |n| format!("(if (local.get 0) (then (local.set {} (i32.const 1))))", n + 1));
    function(16_000, &format!("{ifs} {}", uses(16_000)))
}

fn table() -> Vec<u8> {
    let sets = many(400, |n| {
        format!("(local.set {} (i32.add (local.get {}) (i32.const {n})))", n + 1, n + 1)
    });
    let targets = "0 1 ".repeat(500_000);
    let body = format!("block loop {sets} (br_table {targets} (local.get 0)) end end");
    function(400, &format!("{body} {}", uses(400)))
}

fn tables() -> Vec<u8> {
    let table = format!("block (br_table {} (local.get 0)) end ", "0 1 ".repeat(500));
    function(0, &format!("block block {} end end", table.repeat(500)))
}

/// One type of one result, one function, one body: one run of variables.
fn run_length() -> Vec<u8> {
    let body = [8, 1, 0xff, 0xff, 0xff, 0xff, 0x0e, 0x7f, 0x0b];
    raw_module(&[(1, vec![1, 0x60, 0, 0]), (3, vec![1, 0]), (10, [&[1][..], &body].concat())])
}

fn indirect() -> Vec<u8> {
    let calls = "(call_indirect (type $t) (local.get 0))".repeat(200_000);
    let ty = "(type $t (func (param i32) (result i32))) (table 10 funcref)";
    module(&format!("{ty} (func (param i32) local.get 0 {calls} drop)"))
}

fn values(call: &str) -> Vec<u8> {
    let ty = format!("(param {0}) (result {0})", "i32 ".repeat(1000));
    let gets = many(1000, |n| format!("local.get {n} "));
    let given = "i32.const 1 ".repeat(1000);
    let (calls, drops) = (call.repeat(200_000), "drop ".repeat(1000));
    module(&format!("(func $f {ty} {gets}) (func {given} {calls} {drops})"))
}

fn values_of_blocks(kind: &str) -> Vec<u8> {
    let ty = format!("(type $t (func (param {0}) (result {0})))", "i32 ".repeat(1000));
    let blocks = format!("{kind} (type $t) (br_if 0 (local.get 0)) end ").repeat(20_000);
    let (given, drops) = ("i32.const 1 ".repeat(1000), "drop ".repeat(1000));
    module(&format!("{ty} (func (param i32) {given} {blocks} {drops})"))
}

fn many_functions(count: u32, body: &[u8]) -> Vec<u8> {
    let types = vec![1, 0x60, 0, 0];
    raw_module(&[(1, types), (3, repeated(count, &[0])), (10, repeated(count, body))])
}

fn divisions() -> Vec<u8> {
    // `i32.const 7`, then dividing by 3 and again.
    let mut body = vec![0, 0x41, 7];
    body.extend([0x41, 3, 0x6d].repeat(40));
    body.extend([0x1a, 0x0b]);
    let size = u8::try_from(body.len()).expect("it has one byte of length") | 0x80;
    body.splice(0..0, [size, 0]);
    many_functions(200_000, &body)
}

/// Each makes code of its own out of a handful of bytes.
fn canonical() -> Vec<u8> {
    let mut component = text("(component (type $r (resource (rep i32))))");
    component.push(8);
    // `resource.drop` of the first type.
    (*repeated(300_000, &[3, 0])).encode(&mut component);
    component
}

//! Components without a toolchain's runtime: what they do when they start, where the host asks them for
//! memory, and answers that are no values of their types.

use super::Row;
use super::Verb::{Delete, Get, Open, Put};

const SPIN: &str = "(loop $again (br $again))";
const TRAP: &str = "unreachable";

/// Writes a number to the memory.
macro_rules! store {
    ($at:literal, $value:literal) => {
        concat!("(i32.store (i32.const ", $at, ") (i32.const ", $value, "))")
    };
}

/// The name, the word of `guests/bare.wat` whose place the code takes, the code, the call, and the
/// right outcomes.
type Bare = (&'static str, &'static str, &'static str, super::Verb, &'static str);

const BARE: &[Bare] = &[
    // At its start.
    ("starts-with-a-spin", "START", SPIN, Open, "timeout"),
    ("starts-with-a-trap", "START", TRAP, Open, "trap"),
    (
        "starts-with-all-memory",
        "START",
        "(loop $again (if (i32.lt_s (memory.grow (i32.const 500)) (i32.const 0)) (then unreachable)) (br $again))",
        Open,
        "exhausted bytes of memory",
    ),
    // What it only declares.
    ("a-large-memory", "MODULE", "(memory 5000)", Open, "exhausted bytes of memory"),
    ("the-largest-memory", "MODULE", "(memory 65536)", Open, "exhausted bytes of memory"),
    (
        "some-memories",
        "MODULE",
        "(memory 500) (memory 500) (memory 500)",
        Open,
        "exhausted bytes of memory",
    ),
    ("a-large-table", "MODULE", "(table 2000000 funcref)", Open, "exhausted table elements"),
    (
        "some-tables",
        "MODULE",
        "(table 400000 funcref) (table 400000 funcref) (table 400000 funcref)",
        Open,
        "exhausted table elements",
    ),
    (
        "a-table-that-grows",
        "MODULE",
        "(table $t 1 funcref) (func $s (loop $again (if (i32.lt_s (table.grow $t (ref.null func) (i32.const 100000)) (i32.const 0)) (then unreachable)) (br $again))) (start $s)",
        Open,
        "exhausted table elements",
    ),
    ("data-beyond-its-memory", "MODULE", "(data (i32.const 65530) \"0123456789\")", Open, "trap"),
    (
        "elements-beyond-its-table",
        "MODULE",
        "(table 1 funcref) (func $f) (elem (i32.const 5) $f)",
        Open,
        "trap",
    ),
    // In its code.
    ("divides-by-zero", "DELETE", "(drop (i32.div_s (i32.const 1) (i32.const 0)))", Delete, "trap"),
    (
        "overflows-a-division",
        "DELETE",
        "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
        Delete,
        "trap",
    ),
    ("converts-not-a-number", "DELETE", "(drop (i32.trunc_f32_s (f32.const nan)))", Delete, "trap"),
    ("loads-from-nowhere", "DELETE", "(drop (i32.load (i32.const -4)))", Delete, "trap"),
    (
        "stores-to-nowhere",
        "DELETE",
        "(i64.store offset=0xffffffff (i32.const -1) (i64.const 7))",
        Delete,
        "trap",
    ),
    (
        "fills-all",
        "DELETE",
        "(memory.fill (i32.const 0) (i32.const 7) (i32.const -1))",
        Delete,
        "trap",
    ),
    (
        "calls-no-function",
        "DELETE-TABLE",
        "(call_indirect $t (type $f) (i64.const 0) (i32.const 0))",
        Delete,
        "trap",
    ),
    (
        "calls-another-type",
        "DELETE-TABLE",
        "(call_indirect $t (type $f) (i64.const 0) (i32.const 1))",
        Delete,
        "trap",
    ),
    (
        "calls-beyond-its-table",
        "DELETE-TABLE",
        "(call_indirect $t (type $f) (i64.const 0) (i32.const 99))",
        Delete,
        "trap",
    ),
    // Where the host asks it for memory.
    ("spins-for-memory", "REALLOC", SPIN, Get, "timeout"),
    ("traps-for-memory", "REALLOC", TRAP, Get, "trap"),
    ("memory-beyond-its-end", "REALLOC", "(return (i32.const -16))", Get, "trap"),
    ("memory-at-the-last-byte", "REALLOC", "(return (i32.const 65535))", Put, "trap"),
    (
        "memory-that-grows",
        "REALLOC",
        "(drop (memory.grow (i32.const 500)))",
        Put,
        "ok 1048576 | trap | exhausted*",
    ),
    // Answers that are no values of their types.
    ("an-answer-beyond-its-end", "GET", "(return (i32.const -4))", Get, "trap"),
    ("an-answer-between-words", "GET", "(return (i32.const 3))", Get, "trap"),
    ("no-case-of-a-result", "GET", store!("0", "7"), Get, "trap"),
    ("no-case-of-an-error", "DELETE", concat!(store!("0", "1"), store!("8", "99")), Delete, "trap"),
    (
        "a-list-beyond-its-end",
        "GET",
        concat!(store!("8", "65000"), store!("12", "100000")),
        Get,
        "trap",
    ),
    (
        "a-list-of-all-there-can-be",
        "GET",
        "(i64.store (i32.const 8) (i64.const 0x7fffffff00000000)) (i64.store (i32.const 0) (i64.const 0))",
        Get,
        "trap | exhausted*",
    ),
    (
        "a-text-that-is-none",
        "DELETE",
        concat!(
            store!("0", "1"),
            store!("8", "10"),
            store!("16", "64"),
            store!("20", "4"),
            store!("64", "-1")
        ),
        Delete,
        "trap",
    ),
    (
        "a-text-beyond-its-end",
        "DELETE",
        concat!(store!("0", "1"), store!("8", "10"), store!("16", "-8"), store!("20", "100")),
        Delete,
        "trap",
    ),
    (
        "a-text-of-all-there-can-be",
        "DELETE",
        concat!(store!("0", "1"), store!("8", "10"), store!("16", "0"), store!("20", "-1")),
        Delete,
        "trap | exhausted*",
    ),
];

/// More of them than can be written down here.
const MADE: &[(&str, &str, usize, &str)] = &[
    ("forty-memories", "(memory 0)", 40, "exhausted memories"),
    ("many-tables", "(table 0 funcref)", 300, "exhausted tables | load"),
];

/// Files that are no backends.
const OTHERS: &[Row] = &[
    ("other_world", Open, "", "load"),
    ("asks_for_more", Open, "", "load"),
    ("wrong_types", Open, "", "load"),
];

pub fn rows() -> Vec<Row> {
    let bare = BARE.iter().map(|(name, _, _, verb, allowed)| (*name, *verb, "k", *allowed));
    let made = MADE.iter().map(|(name, _, _, allowed)| (*name, Open, "k", *allowed));
    bare.chain(made).chain(OTHERS.iter().copied()).collect()
}

/// What stands in the places of the words, for one of these.
pub fn code(name: &str) -> Option<Vec<(&'static str, String)>> {
    if let Some((_, part, times, _)) = MADE.iter().find(|(made, ..)| *made == name) {
        return Some(vec![("MODULE", part.repeat(*times))]);
    }
    let (_, word, code, ..) = BARE.iter().find(|(bare, ..)| *bare == name)?;
    Some(match *word {
        "START" => vec![("MODULE", format!("(func $s {code}) (start $s)"))],
        "DELETE-TABLE" => {
            let table = "(type $f (func (param i64))) (table $t 3 funcref) (func $g) (elem (i32.const 1) $g)";
            vec![("DELETE", (*code).into()), ("MODULE", table.into())]
        }
        word => vec![(word, (*code).into())],
    })
}

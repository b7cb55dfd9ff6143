//! The machine itself: traps, memory, handles, and the functions of the component model that no
//! toolchain calls like this.

use super::Row;
use super::Verb::{Delete, Get, Put, Read};

const ALL: super::Verb = Read(0, None);

pub const ROWS: &[Row] = &[
    // Traps.
    ("hostile", Delete, "trap", "trap"),
    ("hostile", Delete, "overflow", "trap"),
    ("intruder", Get, "exit", "trap"),
    ("intruder", Get, "abort", "trap"),
    ("unready", Put, "k", "trap"),
    ("rogue", Delete, "trap-after-the-answer", "trap"),
    // Memory.
    ("hostile", Delete, "exhaust", "exhausted bytes of memory"),
    ("rogue", Delete, "many-small", "exhausted bytes of memory | timeout"),
    ("rogue", Delete, "one-large", "exhausted bytes of memory"),
    // Handles.
    ("hostile", Delete, "hoard-streams", "exhausted handles"),
    ("hostile", Delete, "hoard-futures", "exhausted handles"),
    ("hostile", Delete, "hoard-files", "exhausted handles"),
    ("rogue", Delete, "hoard-sets", "exhausted handles"),
    ("rogue", Delete, "hoard-calls", "exhausted handles"),
    // Streams and futures that are not treated by their rules.
    ("rogue", Delete, "drop-nobodys-stream", "trap"),
    ("rogue", Delete, "write-nobodys-stream", "trap"),
    ("rogue", Delete, "drop-a-stream-twice", "trap"),
    ("rogue", Delete, "read-a-dropped-stream", "trap"),
    ("rogue", Delete, "write-twice-at-once", "trap"),
    ("rogue", Delete, "write-after-the-end", "trap"),
    ("rogue", Delete, "drop-a-busy-stream", "trap"),
    ("rogue", Delete, "cancel-what-was-not-begun", "trap"),
    ("rogue", Delete, "read-into-nowhere", "trap"),
    ("rogue", Delete, "write-from-nowhere", "trap"),
    ("rogue", Delete, "write-more-than-there-can-be", "trap"),
    ("rogue", Delete, "take-one-end-for-the-other", "trap"),
    ("rogue", Delete, "take-a-stream-for-a-set", "trap"),
    ("rogue", Delete, "take-a-set-for-a-stream", "trap"),
    ("rogue", ALL, "busy-reader", "trap"),
    ("rogue", ALL, "spent-reader", "trap"),
    ("rogue", ALL, "read-before", "corrupt"),
    ("rogue", Delete, "stream-storm", "ok | timeout"),
    ("rogue", Delete, "future-storm", "exhausted handles"),
    // Sets, calls and tasks.
    ("rogue", Delete, "join-nobodys-set", "trap"),
    ("rogue", Delete, "wait-for-nothing", "timeout | trap"),
    ("rogue", Delete, "poll-for-ever", "timeout"),
    ("rogue", Delete, "wait-to-nowhere", "trap"),
    ("rogue", Delete, "drop-a-set-in-use", "trap"),
    ("rogue", Delete, "cancel-nobodys-call", "trap"),
    ("rogue", Delete, "drop-nobodys-call", "trap"),
    ("rogue", Delete, "cancel-itself", "trap"),
    ("rogue", Delete, "answer-twice", "trap"),
    ("rogue", Delete, "answer-with-no-case", "trap"),
    ("rogue", Delete, "answer-from-nowhere", "trap"),
    ("rogue", Delete, "backpressure", "trap"),
    ("rogue", Delete, "other-context", "ok | trap"),
    ("rogue", Delete, "cancel-storm", "ok | timeout"),
];

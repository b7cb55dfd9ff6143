//! What never ends, or only looks busy; and many of them at once.

use super::Row;
use super::Verb::{Delete, Get, List, Put, Read, ReadSome, Write, WriteSome};

const ALL: super::Verb = Read(0, None);

pub const ROWS: &[Row] = &[
    ("hostile", Delete, "spin", "timeout"),
    ("hostile", Get, "endless", "timeout"),
    ("hostile", Get, "late-spin", "timeout"),
    ("hostile", ALL, "flood-spin", "timeout"),
    ("hostile", ReadSome, "flood", "ok"),
    ("hostile", ReadSome, "flood-spin", "ok"),
    ("hostile", Put, "unread", "timeout"),
    ("hostile", WriteSome, "unread", "timeout"),
    ("stalls", ALL, "no-bytes", "timeout"),
    ("stalls", ALL, "byte-each-100", "timeout"),
    ("stalls", ALL, "byte-and-compute-50", "timeout"),
    ("stalls", ALL, "silent", "timeout"),
    ("stalls", ALL, "no-end", "timeout"),
    ("stalls", ALL, "after-the-end", "timeout"),
    ("stalls", Write, "no-bytes", "timeout"),
    ("stalls", Write, "byte-each-100", "timeout"),
    ("stalls", Write, "asks-again-50", "timeout"),
    ("stalls", Write, "silent", "timeout"),
    ("stalls", Write, "no-answer", "timeout"),
    ("stalls", Write, "compute-at-the-end-100000", "timeout"),
    ("stalls", Write, "after-the-answer", "timeout"),
    ("stalls", Delete, "silent", "timeout"),
    ("stalls", Delete, "compute-100000", "timeout"),
    ("stalls", Delete, "sleep-100000", "timeout"),
    ("rogue", Write, "spin-after-a-byte", "timeout"),
    ("rogue", Write, "never-answers", "timeout"),
    ("rogue", ALL, "spin-before-a-byte", "timeout"),
    ("rogue", ALL, "self-talk", "timeout"),
    ("rogue", ALL, "unclosed", "timeout"),
    ("rogue", ALL, "unreported", "timeout"),
    ("rogue", ALL, "silent-after-the-bytes", "timeout"),
    ("rogue", Delete, "yield-for-ever", "timeout"),
    ("rogue", Delete, "yield-politely", "timeout"),
    ("rogue", Delete, "wait-for-itself", "timeout | trap"),
    ("rogue", Delete, "calls-after-the-answer", "timeout"),
    ("rogue", Delete, "spin-after-the-answer", "timeout"),
    ("hostile", Delete, "say", "ok"),
    ("hostile", Delete, "chatter", "ok | timeout"),
];

/// A row, and how many calls of it there are at once.
pub const AT_ONCE: &[(Row, usize)] = &[
    (("hostile", Delete, "trap", "trap"), 64),
    (("hostile", Delete, "spin", "timeout"), 64),
    (("hostile", Delete, "overflow", "trap | timeout"), 64),
    (("hostile", Get, "endless", "timeout"), 64),
    (("hostile", Delete, "hoard-streams", "exhausted handles | timeout"), 64),
    (("hostile", Delete, "hoard-files", "exhausted handles | timeout"), 64),
    (("hostile", ReadSome, "flood", "ok | timeout"), 64),
    (("hostile", Delete, "exhaust", "exhausted bytes of memory | timeout"), 8),
    (("hostile", List, "huge", "exhausted* | timeout"), 8),
    (("hostile", List, "circle", "protocol | timeout"), 64),
    (("stalls", ALL, "byte-each-100", "timeout"), 64),
    (("stalls", Write, "no-bytes", "timeout"), 64),
    (("stalls", Delete, "sleep-100000", "timeout"), 64),
    (("rogue", Delete, "answer-twice", "trap | timeout"), 64),
    (("rogue", Delete, "cancel-storm", "ok | timeout"), 64),
    (("raids", Get, "2 hoard-sockets", "other* | exhausted* | trap | timeout"), 64),
    (("raids", Get, "3 end-of-time", "timeout"), 64),
    (("raids", Get, "web ask {granted}/hang", "timeout"), 64),
];

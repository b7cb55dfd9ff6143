//! What is measured: operations, sizes, threads, modes.

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Get,
    Put,
    Read,
    Write,
    Range,
    Stat,
    Delete,
    /// Within the store.
    Copy,
    List,
    /// What is directly in one of a hundred folders.
    Level,
    /// The last artifacts of a listing, behind a key.
    After,
    /// The first artifacts behind a key.
    Page,
    /// `Get` and `Put` of a bucket on the same machine.
    BucketGet,
    BucketPut,
    /// [`TASKS`] gets at once, by as many tasks.
    Together,
    BucketTogether,
}

impl Op {
    const ALL: [Self; 16] = [
        Self::Get,
        Self::Read,
        Self::Range,
        Self::Stat,
        Self::Put,
        Self::Write,
        Self::Delete,
        Self::Copy,
        // For a while after so many files were removed, ext4 takes a millisecond to make one.
        Self::List,
        Self::Level,
        Self::After,
        Self::Page,
        Self::Together,
        Self::BucketGet,
        Self::BucketPut,
        Self::BucketTogether,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Read => "read",
            Self::Write => "write",
            Self::Range => "range",
            Self::Stat => "stat",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::List => "list",
            Self::Level => "list-level",
            Self::After => "list-after",
            Self::Page => "list-page",
            Self::BucketGet => "s3-get",
            Self::BucketPut => "s3-put",
            Self::Together => "get-64",
            Self::BucketTogether => "s3-get-64",
        }
    }

    /// Whether it is about a bucket, and not a directory.
    pub fn is_remote(self) -> bool {
        matches!(self, Self::BucketGet | Self::BucketPut | Self::BucketTogether)
    }

    /// Whether it goes by the size of a store, and not of an artifact.
    pub fn lists(self) -> bool {
        matches!(self, Self::List) || self.needs_order()
    }

    /// Whether only those that list by folders and from keys on have it.
    pub fn needs_order(self) -> bool {
        matches!(self, Self::Level | Self::After | Self::Page)
    }

    /// Whether only those that have tasks have it.
    pub fn needs_tasks(self) -> bool {
        matches!(self, Self::Together | Self::BucketTogether)
    }

    /// Whether it makes a difference what survives a crash.
    pub fn changes(self) -> bool {
        matches!(self, Self::Put | Self::Write | Self::Delete | Self::Copy)
    }
}

pub struct Case {
    pub op: Op,
    /// Bytes of an artifact, or artifacts in a listing.
    pub size: usize,
    pub threads: usize,
    pub durable: bool,
}

impl Case {
    /// How many artifacts the operations of one thread go round.
    pub fn keys(&self) -> usize {
        match (self.op, self.size) {
            (op, _) if op.lists() => self.size,
            (_, ..=0x1_0000) => 16,
            (_, ..=0x10_0000) => 4,
            _ => 1,
        }
    }

    /// Bytes of one artifact.
    pub fn bytes(&self) -> usize {
        if self.op.lists() { 16 } else { self.size }
    }
}

/// How many gets run at once in [`Op::Together`].
pub const TASKS: usize = 64;

/// How much of a large artifact a range read takes.
pub const RANGE: usize = 4096;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// All cases, or those of the operation `only` and the size `size`.
pub fn all(
    quick: bool,
    listed: Option<usize>,
    only: Option<&str>,
    only_size: Option<usize>,
) -> Vec<Case> {
    let mut cases = Vec::new();
    let chosen = Op::ALL.into_iter().filter(|op| only.is_none_or(|only| only == op.name()));
    for op in chosen {
        let sizes: &[usize] = match op {
            Op::Get | Op::Put => &[KIB, 64 * KIB, MIB, 64 * MIB],
            Op::Read | Op::Write if quick => &[MIB, 64 * MIB],
            Op::Read | Op::Write => &[KIB, 64 * KIB, MIB, 64 * MIB],
            Op::Range => &[64 * MIB],
            Op::Stat | Op::Delete | Op::Together => &[KIB],
            Op::BucketTogether => &[MIB],
            Op::BucketGet | Op::BucketPut => &[KIB, MIB, 64 * MIB],
            Op::Copy => &[16 * MIB],
            Op::Level => &[10_000],
            Op::After | Op::Page => &[1000],
            Op::List => match &listed {
                Some(listed) => std::slice::from_ref(listed),
                None if quick => &[1000],
                None => &[1000, 10_000],
            },
        };
        for &size in sizes.iter().filter(|size| only_size.is_none_or(|only| only == **size)) {
            for threads in [1, 4] {
                let is_wanted = match op {
                    Op::BucketGet | Op::BucketPut | Op::Copy => threads == 1,
                    op if op.lists() || op.needs_tasks() => threads == 1,
                    Op::Get => threads == 1 || !quick || size == KIB,
                    _ => threads == 1 || !quick,
                };
                if !is_wanted {
                    continue;
                }
                cases.push(Case { op, size, threads, durable: false });
                if op.changes() {
                    cases.push(Case { op, size, threads, durable: true });
                }
            }
        }
    }
    cases
}

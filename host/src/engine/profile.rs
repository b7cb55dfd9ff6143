//! The size of a component, in the units of its limits.

use super::LoadLimits;
use crate::error::LoadError;

/// Declares the counted items: for each its name in the configuration, its field in the limits, and
/// its unit.
macro_rules! counts {
    ($($count:ident $name:literal $field:ident $unit:literal,)*) => {
        #[derive(Clone, Copy)]
        pub(super) enum Count { $($count,)* }

        impl Count {
            const ALL: &[Self] = &[$(Self::$count,)*];

            fn limit(self, limits: &LoadLimits) -> u64 {
                match self { $(Self::$count => limits.$field,)* }
            }

            fn name(self) -> &'static str {
                match self { $(Self::$count => $name,)* }
            }

            fn unit(self) -> &'static str {
                match self { $(Self::$count => $unit,)* }
            }
        }

        impl LoadLimits {
            /// Those that count something: the name in the configuration, whether it is a number
            /// of bytes, and the value.
            #[cfg(feature = "config")]
            pub(crate) fn counts(&mut self) -> impl Iterator<Item = (&'static str, bool, &mut u64)> {
                let Self { $($field,)* .. } = self;
                [$(($name, $unit.starts_with("bytes"), $field),)*].into_iter()
            }
        }
    };
}

counts! {
    FileSize "file-size" file_size "bytes",
    Nesting "nesting" nesting "levels of components and types",
    Modules "modules" modules "modules and components",
    Instances "instances" instances "instances",
    Definitions "definitions" definitions "definitions",
    Functions "functions" functions "functions",
    FunctionSize "function-size" function_size "bytes in one function",
    Locals "locals" locals "local variables in one function",
    Types "types" types "types",
    Imports "imports" imports "imports",
    Exports "exports" exports "exports",
    Memories "memories" memories "memories",
    Tables "tables" tables "tables",
    Parts "parts" parts "functions, globals and imports of all instances of modules",
    Segments "segments" segments "segments",
    Elements "elements" elements "elements of segments",
    Work "work" work "units of the compiler's work",
    FunctionWork "function-work" function_work "units of the compiler's work in one function",
}

/// The counts so far. They are stored with compiled code, so that limits apply to cached code too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Profile([u64; Count::ALL.len()]);

impl Profile {
    pub(super) const BYTES: usize = 8 * Count::ALL.len();

    /// Counts `more`.
    pub(super) fn add(
        &mut self,
        count: Count,
        more: u64,
        limits: &LoadLimits,
    ) -> Result<(), LoadError> {
        let found = self.0[count as usize].saturating_add(more);
        self.0[count as usize] = found;
        within(count, found, limits)
    }

    /// Notes a size of which only the largest counts.
    pub(super) fn note(
        &mut self,
        count: Count,
        found: u64,
        limits: &LoadLimits,
    ) -> Result<(), LoadError> {
        let largest = &mut self.0[count as usize];
        *largest = found.max(*largest);
        within(count, found, limits)
    }

    /// Whether all counts are within these limits.
    pub(super) fn check(&self, limits: &LoadLimits) -> Result<(), LoadError> {
        Count::ALL.iter().zip(self.0).try_for_each(|(count, found)| within(*count, found, limits))
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|found| found.to_le_bytes()).collect()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut profile = Self::default();
        let (found, []) = bytes.as_chunks() else { return None };
        if found.len() != profile.0.len() {
            return None;
        }
        for (to, found) in profile.0.iter_mut().zip(found) {
            *to = u64::from_le_bytes(*found);
        }
        Some(profile)
    }
}

fn within(count: Count, found: u64, limits: &LoadLimits) -> Result<(), LoadError> {
    let limit = count.limit(limits);
    if found <= limit {
        return Ok(());
    }
    Err(LoadError::Limit { name: count.name(), limit, found: Some(found), unit: count.unit() })
}

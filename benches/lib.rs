//! Only benchmarks: see `peers`.

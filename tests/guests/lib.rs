//! Small backends for the tests, each an example of this package: one that is independent of
//! the built-in one, others that are wrong on purpose.

# Shortcuts; plain cargo does the same.

default:
    @just --list

# The command line: `just run put readme README.md`.
[positional-arguments]
run *arguments:
    @cargo run -- "$@"

test:
    cargo test --workspace

# Formatting, lints and documentation.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# All that a change must pass.
ci:
    .ci/run

# A dead link in the pages of this repository, in the guide on docs.rs, or in a published README.
links:
    .ci/links

# Records the public items of the library.
public-api:
    .ci/public-api

# The crates as they are published, built from what is in them.
package:
    host/package.sh

# The built-in backend as a file.
fs:
    cargo run -- extract fs -o fs.wasm

# The backends in other languages, built and put through the contract's rules.
languages:
    guest/build-languages.sh
    ARTIFACT_STORE_LANGUAGE_BACKENDS="{{justfile_directory()}}/target/languages" cargo test --workspace --test languages

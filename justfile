# Shortcuts; plain cargo does the same.

default:
    @just --list

# Store and read back this project's README.
demo:
    cargo run -- put readme README.md
    cargo run -- get readme

test:
    cargo test --workspace

# What a change must pass.
ci:
    .ci/run

# The built-in backend as a file.
extract:
    cargo run -- extract fs -o fs.wasm

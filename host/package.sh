#!/usr/bin/env bash
# Packages the library and the command line as they are published, then builds the command line
# from the two packages, far from this tree, and stores an artifact with it.
#
# The sources of the components are in no package: the built ones are, beside the manifests. The
# pages of `docs` are in the library's documentation.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo run --quiet -- extract fs -o host/fs.wasm
cargo run --quiet -- extract s3 -o host/s3.wasm
cargo run --quiet -- extract command -o host/cli/command.wasm
host/guide.py
rm -rf target/package
# To cargo they are changes that nobody committed.
cargo package --quiet --no-verify --allow-dirty --target-dir target --package artifact-store --package artifact-store-cli

unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
for crate in target/package/*.crate; do
    tar -xzf "$crate" -C "$unpacked"
done
# Nothing but the documentation needs it.
test -f "$(echo "$unpacked"/artifact-store-[0-9]*)/guide.rs"
# With the profile of this workspace, so that few dependencies are built again.
awk '/^\[/ { wanted = /^\[profile\.dev/ } wanted' Cargo.toml >"$unpacked/profile.toml"
# The library comes from its package, too, since the registry has no such version yet.
cargo build --quiet --target-dir target --manifest-path "$unpacked"/artifact-store-cli-*/Cargo.toml \
    --config "patch.crates-io.artifact-store.path='$(echo "$unpacked"/artifact-store-[0-9]*)'" --config "$unpacked/profile.toml"
cd "$unpacked"
echo "some bytes" | "$OLDPWD/target/debug/artifact-store" put k
test "$("$OLDPWD/target/debug/artifact-store" get k)" = "some bytes"

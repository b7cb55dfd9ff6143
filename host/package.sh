#!/usr/bin/env bash
# Packages the library, the server, the command line and the adapter as they are published, then
# builds the last two from their packages, far from this tree, and stores an artifact.
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
cargo package --quiet --no-verify --allow-dirty --target-dir target --package artifact-store --package artifact-store-cli \
    --package artifact-store-object-store --package artifact-store-server

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
packaged=(--target-dir target --config "$unpacked/profile.toml"
    --config "patch.crates-io.artifact-store.path='$(echo "$unpacked"/artifact-store-[0-9]*)'"
    --config "patch.crates-io.artifact-store-server.path='$(echo "$unpacked"/artifact-store-server-*)'")
cargo check --quiet "${packaged[@]}" --manifest-path "$unpacked"/artifact-store-object-store-*/Cargo.toml
cargo build --quiet "${packaged[@]}" --manifest-path "$unpacked"/artifact-store-cli-*/Cargo.toml
cd "$unpacked"
echo "some bytes" | "$OLDPWD/target/debug/artifact-store" put k
test "$("$OLDPWD/target/debug/artifact-store" get k)" = "some bytes"

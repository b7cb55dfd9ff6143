#!/usr/bin/env bash
# Packages the library and the command line as they are published, then builds the command line
# from the two packages, far from this tree, and stores an artifact with it.
#
# The sources of the components are in no package: the built ones are, beside the manifests.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo run --quiet -- extract fs -o host/fs.wasm
cargo run --quiet -- extract s3 -o host/s3.wasm
cargo run --quiet -- extract command -o host/cli/command.wasm
rm -rf target/package
# To cargo they are changes that nobody committed.
cargo package --quiet --no-verify --allow-dirty --target-dir target --package artifact-store --package artifact-store-cli

unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
for crate in target/package/*.crate; do
    tar -xzf "$crate" -C "$unpacked"
done
# The library comes from its package, too, since the registry has no such version yet. With the
# profile of this workspace, so that the dependencies need not be built again.
cargo build --quiet --target-dir target --manifest-path "$unpacked"/artifact-store-cli-*/Cargo.toml \
    --config "patch.crates-io.artifact-store.path='$(echo "$unpacked"/artifact-store-[0-9]*)'" \
    --config 'profile.dev.package."*".opt-level=2' --config 'profile.dev.package."*".debug=false'
cd "$unpacked"
echo "some bytes" | "$OLDPWD/target/debug/artifact-store" put k
test "$("$OLDPWD/target/debug/artifact-store" get k)" = "some bytes"

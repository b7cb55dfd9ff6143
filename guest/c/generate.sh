#!/usr/bin/env bash
# Makes `bindings/` anew, after a change of the contract. Needs `wit-bindgen` 0.61.1 on the PATH
# (`cargo install --locked wit-bindgen-cli --version 0.61.1`); a build does not.
set -euo pipefail
cd "$(dirname "$0")"
wit=$(mktemp -d)
trap 'rm -rf "$wit"' EXIT
cp -R wit/. "$wit/"
mkdir -p "$wit/deps/artifact-storage"
cp ../../wit/*.wit "$wit/deps/artifact-storage/"
cp ../javascript/wit/deps/*.wit "$wit/deps/"
wit-bindgen c "$wit" --world backend --out-dir bindings

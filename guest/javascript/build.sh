#!/usr/bin/env bash
# Builds the component, in a copy below `target`, where its packages go: ./build.sh [OUTPUT]
set -euo pipefail
here=$(realpath "$(dirname "$0")")
languages=$here/../../target/languages
output=$(realpath --canonicalize-missing "${1:-$languages/javascript.wasm}")
cd "$here"
copy=$languages/javascript

mkdir -p "$copy/wit/deps/artifact-storage" "$(dirname "$output")"
cp -R ./*.js ./*.json wit "$copy/"
cp ../../wit/*.wit "$copy/wit/deps/artifact-storage/"
cd "$copy"
npm ci --silent --no-fund --no-audit
npm run --silent build "$output"

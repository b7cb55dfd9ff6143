#!/usr/bin/env bash
# Builds the component, with its tools below `target` or in a directory of your own:
# ./build.sh [OUTPUT [TOOLS]]
set -euo pipefail
here=$(realpath "$(dirname "$0")")
languages=$here/../../target/languages
output=$(realpath --canonicalize-missing "${1:-$languages/c.wasm}")
tools=$(realpath --canonicalize-missing "${2:-$languages/c}")
cd "$here"

mkdir -p "$tools" "$(dirname "$output")"
[ -x "$tools/venv/bin/pip" ] || python3 -m venv "$tools/venv"
"$tools/venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt

# C's library speaks WASI preview 1; this adapter, a file of the npm package jco, turns that into
# WASI 0.2. Only the package itself is fetched, not what it depends on.
adapter=$tools/wasi_snapshot_preview1.reactor.wasm
checksum=b857310c4753c8fafaa0f890e9ccf978dc3d9dbe8804b1125291a627485041d0
if ! echo "$checksum  $adapter" | sha256sum --check --status 2>/dev/null; then
    (cd "$tools" && npm pack --silent @bytecodealliance/jco@1.35.0 >/dev/null)
    tar --extract --gzip --file "$tools/bytecodealliance-jco-1.35.0.tgz" --directory "$tools" \
        --strip-components=2 package/lib/wasi_snapshot_preview1.reactor.wasm
    echo "$checksum  $adapter" | sha256sum --check --quiet
fi

"$tools/venv/bin/python" -m ziglang cc -target wasm32-wasi -mexec-model=reactor \
    -std=c11 -Os -Wall -Wextra -Werror -o "$tools/core.wasm" \
    component.c files.c crc64.c sha256.c bindings/backend.c bindings/backend_component_type.o
"$tools/venv/bin/wasm-tools" component new "$tools/core.wasm" \
    --adapt "wasi_snapshot_preview1=$adapter" --output "$output"
echo "$output"

#!/usr/bin/env bash
# Builds the component, with its tools in a virtual environment below `target`: ./build.sh [OUTPUT]
set -euo pipefail
here=$(realpath "$(dirname "$0")")
languages=$here/../../target/languages
output=$(realpath --canonicalize-missing "${1:-$languages/python.wasm}")
cd "$here"
venv=$languages/python/venv

mkdir -p "$languages" "$(dirname "$output")"
[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
"$venv/bin/componentize-py" --quiet --wit-path ../../wit --world full-backend \
    componentize app --output "$output"
echo "$output"

#!/usr/bin/env bash
# Builds the component, with the tools of the backend in Python: ./build.sh [OUTPUT]
set -euo pipefail
here=$(realpath "$(dirname "$0")")
languages=$here/../../target/languages
output=$(realpath --canonicalize-missing "${1:-$languages/layers/read-only.wasm}")
cd "$here"
venv=$languages/python/venv

mkdir -p "$(dirname "$output")"
[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement ../python/requirements.txt
"$venv/bin/componentize-py" --quiet --wit-path ../../wit --world layer \
    componentize app --output "$output"
echo "$output"

#!/usr/bin/env bash
# Builds the backends in other languages into `target/languages`, and the layer in Python into
# `target/languages/layers`.
#
# Needs Python 3.11 or later with venv, and Node 20 or later with npm; all other tools are fetched
# below `target`, in pinned versions.
set -euo pipefail
cd "$(dirname "$0")"
for component in python javascript c read-only; do
    echo "building $component" >&2
    "$component/build.sh" >&2
done

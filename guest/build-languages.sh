#!/usr/bin/env bash
# Builds the backends in other languages into `target/languages`.
#
# Needs Python 3.11 or later with venv, and Node 20 or later with npm; all other tools are fetched
# below `target`, in pinned versions.
set -euo pipefail
cd "$(dirname "$0")"
for language in python javascript c; do
    echo "building $language" >&2
    "$language/build.sh" >&2
done

#!/usr/bin/env bash
# Pin every Python package with the hashes of its files: ci/locked/*.txt from pyproject.toml and ci/locked/build.in.
#
# What is pinned already stays as it is, as long as it fits: UPGRADE=1 takes the newest of all. Needs a package
# registry; ci/setup.sh then installs nothing else. Afterwards: make test, and docs/LICENCES.md if a package is new.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly UV=0.13.9 TOOLS=build/lock-venv OLDEST_PYTHON=3.11

[ -x "$TOOLS/bin/uv" ] || { "${PYTHON:-python3}" -m venv "$TOOLS" && "$TOOLS/bin/pip" install -q "uv==$UV"; }

# pin NAME SOURCE [OPTION...]: each file is for all Pythons that we run on.
pin() {
    local name=$1 source=$2
    shift 2
    "$TOOLS/bin/uv" pip compile --quiet --no-config --universal --python-version "$OLDEST_PYTHON" --generate-hashes \
        --custom-compile-command 'make lock' ${UPGRADE:+--upgrade} "$@" "$source" --output-file "ci/locked/$name.txt"
}

pin development pyproject.toml --extra dev
pin daemon pyproject.toml --constraint ci/locked/development.txt
pin build ci/locked/build.in --constraint ci/locked/development.txt

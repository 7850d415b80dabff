#!/usr/bin/env bash
# wheels.sh DIRECTORY: build all that the daemon and its tools are made of as wheels, and pip to install them, into it.
#
# What comes from others is pinned with its hashes (ci/locked). PYTHON=python3 says for which Python. Theirs are
# built once; ours every time, but for the compiled form as long as its sources are the same.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly INTO=$1 PYTHON=${PYTHON:-python3}
readonly PIP=$INTO/venv/bin/pip
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore

# rrdtool asks for a function that Python 3.13 has no more; it said yes on all that we run on.
if "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then
    export CFLAGS="${CFLAGS:-} -DPyEval_ThreadsInitialized()=1"
fi

wanted() { cat ci/locked/build.txt ci/locked/daemon.txt packaging/wheels.sh | sha256sum; "$PYTHON" --version; }

if [ "$(cat "$INTO/done" 2>/dev/null)" != "$(wanted)" ]; then
    rm -rf "$INTO"
    mkdir -p "$INTO"
    "$PYTHON" -m venv "$INTO/venv"
    "$PIP" install -q --require-hashes -r ci/locked/build.txt
    "$PIP" wheel -q --no-deps --no-build-isolation --require-hashes -r ci/locked/daemon.txt -w "$INTO"
    wanted >"$INTO/done"
fi
# What every change runs through, compiled against what it will run with.
"$PIP" install -q --no-index --no-deps $(ls "$INTO"/*.whl | grep -v /pmxcfs-)
[ ! -d "$INTO/compiled" ] || { rm -rf pmxcfs/_compiled && cp -a "$INTO/compiled" pmxcfs/_compiled; }
if ! "$INTO/venv/bin/python" -c 'import sys; from pmxcfs import compiled; sys.exit(not compiled.is_current())'; then
    "$INTO/venv/bin/python" -m pmxcfs.compile_build
    rm -rf "$INTO/compiled" && cp -a pmxcfs/_compiled "$INTO/compiled"
fi
rm -f "$INTO"/pmxcfs-*.whl
rm -rf build/lib build/bdist.* build/temp.*
"$PIP" wheel -q --no-deps --no-build-isolation . -w "$INTO"

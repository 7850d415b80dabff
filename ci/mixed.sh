#!/usr/bin/env bash
# Every scenario of the labs in clusters of both daemons; see docs/MIXED.md. Arguments go to pytest.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

if [ ! -x "${PMXCFS_REFERENCE:-}" ]; then
    cat >&2 <<'TEXT'
make mixed: nothing was tested. Mixed clusters need the C daemon, which is not part of this repository.
  Say where its executable is:  PMXCFS_REFERENCE=/path/to/pmxcfs make mixed
  How to get one: docs/MIXED.md.
TEXT
    [ -z "${PMXCFS_REFERENCE:-}" ] || echo "  There is no executable at $PMXCFS_REFERENCE." >&2
    exit 2
fi

SCENARIOS=(cluster exclusive_create status soak locks corosync_conf healing)
FILES=("${SCENARIOS[@]/#/tests/e2e/test_}")
exec .venv/bin/pytest --mixed --require=root,fuse,corosync,reference \
    tests/e2e/test_mixed.py tests/e2e/test_mixed_databases.py tests/e2e/test_mixed_ghosts.py tests/e2e/test_mixed_hostile.py tests/e2e/test_upgrade.py \
    "${FILES[@]/%/.py}" "$@"

#!/usr/bin/env bash
# What can be said about the code without running it. All of it runs, even after a failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
bin=$PWD/.venv/bin
failed=()

# look TITLE COMMAND...
look() {
    local title=$1
    shift
    printf -- '--- %s\n' "$title"
    "$@" || failed+=("$title")
}

look 'ruff check' "$bin/ruff" check .
look 'ruff format' "$bin/ruff" format --check .
look 'mypy --strict' "$bin/mypy" --strict
look 'mypy --strict, tests' "$bin/mypy" --strict tests
look 'import layers' "$bin/lint-imports" --no-logo

if [ ${#failed[@]} -gt 0 ]; then
    printf 'check: failed: %s\n' "${failed[*]}" >&2
    exit 1
fi
printf 'check: all is well in %s s\n' "$SECONDS"

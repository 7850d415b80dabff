#!/usr/bin/env bash
# Make sure of a command that only some targets need: want.sh COMMAND PACKAGE...
#
# Installs the Debian packages if the command is missing (root). What every target needs is in ci/apt-packages.txt;
# these are large: chromium is 60 MB to fetch and 300 MB on disk.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
command=$1
shift
export DEBIAN_FRONTEND=noninteractive

say() { printf 'want: %s\n' "$*" >&2; }

command -v "$command" >/dev/null && exit 0
command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || {
    say "there is no $command here, and only root on Debian gets it from us: $*"
    exit 1
}
say "installing $*"
mkdir -p build
{ apt-get -q update; apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@"; } \
    >"build/$command-apt.log" 2>&1 || {
    say "apt-get could not install $*: build/$command-apt.log"
    exit 1
}

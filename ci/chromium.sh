#!/usr/bin/env bash
# A browser for the tests of the lab's report: installs chromium and its driver where they are missing (Debian, root).
#
# Not in ci/apt-packages.txt: 60 MB to fetch, 300 MB on disk, and nothing but these tests needs it.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export DEBIAN_FRONTEND=noninteractive

say() { printf 'chromium: %s\n' "$*" >&2; }

command -v chromium >/dev/null && command -v chromedriver >/dev/null && exit 0
command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || {
    say "there is no chromium with chromedriver here, and only root on Debian gets them from us"
    exit 1
}
say "installing chromium and chromium-driver"
mkdir -p build
{ apt-get -q update; apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install \
    chromium chromium-driver fonts-dejavu-core; } >build/chromium-apt.log 2>&1 || {
    say "apt-get could not install them: build/chromium-apt.log"
    exit 1
}

#!/usr/bin/env bash
# build-deb.sh [RELEASE]: build/deb/pmxcfs_VERSION~debN_ARCH.deb for Debian 12 (bookworm) or 13 (trixie), of what is committed.
#
# Without RELEASE, or with this machine's, it is built here, else in a new Debian of that release (mmdebstrap). Building
# needs root, apt and a registry of Python packages; what comes from there is pinned with its hashes (ci/locked).
set -euo pipefail
cd "$(dirname "$0")/.."
readonly HERE=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
readonly RELEASE=${1:-$HERE} OUT=${OUT:-$PWD/build/deb}
readonly TOOLS="debhelper dpkg-dev fakeroot"

fail() { printf 'build-deb: %s\n' "$*" >&2; exit 1; }
apt_list() { sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' ci/apt-packages.txt; }

case $RELEASE in
bookworm) readonly NUMBER=12 PYTHON=/usr/bin/python3.11 ;;
trixie) readonly NUMBER=13 PYTHON=/usr/bin/python3.13 ;;
*) fail "this is \"$RELEASE\", not a Debian 12 or 13; say which to build for: make deb RELEASE=bookworm" ;;
esac

# Commits are counted, so that a later one is a later version for apt.
version() {
    local base
    base=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' pmxcfs/__init__.py)
    echo "$base+r$(git rev-list --count HEAD).g$(git rev-parse --short=7 HEAD)~deb$NUMBER"
}

lay_out() {
    rm -rf "$1"
    mkdir -p "$1"
    git archive HEAD | tar -x -C "$1"
    cp -r packaging/debian "$1/debian"
    rm "$1/debian/control.in" "$1/debian/paths.sh"
    sed "s/@PYTHON@/${PYTHON##*/}/" packaging/debian/control.in >"$1/debian/control"
    sed -i -e '/@PATHS@/{r packaging/debian/paths.sh' -e 'd}' "$1/debian/preinst" "$1/debian/postrm"
    cat >"$1/debian/changelog" <<CHANGELOG
pmxcfs ($VERSION) $RELEASE; urgency=medium

  * Built from revision $(git rev-parse --short=12 HEAD), see CHANGELOG.md.

 -- pmxcfs developers <pmxcfs@localhost.localdomain>  $(git log -1 --format=%aD)
CHANGELOG
}

# build_in SOURCE: in the Debian that this runs in.
build_in() {
    cd "$1"
    export PYTHON DEBIAN_RELEASE=$NUMBER WHEELS=$OUT/wheels-$RELEASE
    packaging/wheels.sh "$WHEELS"
    dpkg-buildpackage -b -us -uc -d  # what a build needs is listed in ci/apt-packages.txt, and was installed
}

# A Debian of that release with what a build needs, kept for the next time.
build_root() {
    local packages
    packages=$(printf '%s,' $TOOLS $(apt_list | grep -v -e corosync$ -e rrdcached -e sqlite3 -e iproute2 -e procps))
    [ -e "$OUT/$RELEASE-build.tar" ] || {
        mmdebstrap --variant=minbase --include="$packages" "$RELEASE" "$OUT/new.tar" </dev/null
        mv "$OUT/new.tar" "$OUT/$RELEASE-build.tar"
    }
    rm -rf "$1" && mkdir -p "$1"
    tar -x -C "$1" -f "$OUT/$RELEASE-build.tar" --exclude=./dev
    # Names and certificates are those of this machine.
    cp -L /etc/resolv.conf "$1/etc/resolv.conf"
    cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"
}

build_there() {
    local root=$OUT/$RELEASE-root
    ci/want.sh mmdebstrap mmdebstrap
    build_root "$root"
    mkdir -p "$root$OUT"
    unshare --mount --pid --fork --propagation private bash -euc '
        mkdir -p "$0/dev" && mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc"
        mount --bind "$1" "$0$1" && DEB_SOURCE=$2 exec chroot "$0" "$2/packaging/build-deb.sh" "$3"
    ' "$root" "$OUT" "$1" "$RELEASE"
    rm -rf --one-file-system "$root"
}

if [ -n "${DEB_SOURCE:-}" ]; then
    build_in "$DEB_SOURCE"
    exit
fi
VERSION=$(version)  # of this moment: somebody may commit while it is built
readonly VERSION
mkdir -p "$OUT"
exec 8>"$OUT/lock" && flock 8
if compgen -G "$OUT/pmxcfs_${VERSION}_*.deb"; then exit; fi
[ -z "$(git status --porcelain)" ] || echo "build-deb: what is not committed is not built" >&2
PMXCFS_REVISION=$(git describe --always --exclude='*')
SOURCE_DATE_EPOCH=$(git log -1 --format=%at)
export PMXCFS_REVISION SOURCE_DATE_EPOCH OUT DEB_BUILD_OPTIONS=noautodbgsym
lay_out "$OUT/source-$RELEASE"
if [ "$RELEASE" = "$HERE" ]; then
    # shellcheck disable=SC2086  # one argument a package
    ci/want.sh dh $TOOLS
    (build_in "$OUT/source-$RELEASE")
else
    build_there "$OUT/source-$RELEASE"
fi
rm -rf "$OUT/source-$RELEASE" "$OUT"/*.buildinfo "$OUT"/*.changes
ls -l "$OUT/pmxcfs_$VERSION"_*.deb

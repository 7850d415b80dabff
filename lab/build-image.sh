#!/usr/bin/env bash
# Build the image of the lab's nodes from this checkout, unless it is there: prints its name, writes lab/.env.
#
# BASE=image chooses what it starts from. Otherwise: a base made here before, else Debian from a registry, else a
# base that mmdebstrap makes from this machine's apt sources. With a base of ours the wheels are made here too, for
# a machine without a registry rarely lets a build reach a package index. Progress goes to standard error.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly PULL_WITHIN_S=${PULL_WITHIN_S:-120}
export DEBIAN_FRONTEND=noninteractive

say() { printf '%s\n' "$*" >&2; }
fail() { say "build-image: $1"; shift; [ $# = 0 ] || say "$@"; exit 1; }

release() { (. /etc/os-release; [ "$ID" = debian ] && printf '%s' "${VERSION_CODENAME:-bookworm}" || printf bookworm); }
packages() { sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' lab/image-packages.txt; }
sources() { find pmxcfs lab/pmxcfs_lab -name '*.py' -print0 | sort -z | xargs -0 cat; }
fingerprint() { cat "$@" | sha256sum | cut -c1-12; }
has_image() { docker image inspect "$1" >/dev/null 2>&1; }

make_base() {
    local name=$1 packages
    [ "$(. /etc/os-release; echo "$ID")" = debian ] ||
        fail "no registry gives debian:$RELEASE-slim, and only on Debian a base can be made without one." \
            "Load one: docker load <image.tar, then BASE=name lab/build-image.sh"
    command -v mmdebstrap >/dev/null || apt-get -q -y --no-install-recommends install mmdebstrap >&2 ||
        fail "mmdebstrap is missing and could not be installed."
    say "no registry is to be reached: making a base of this machine's packages (a minute)"
    packages=$(packages | paste -sd,)
    nice mmdebstrap --quiet --variant=minbase --include="$packages" "$RELEASE" - | docker import - "$name" >/dev/null ||
        fail "mmdebstrap could not make a base for $RELEASE."
}

choose_base() {
    local ours
    ours=pmxcfs-lab-base:$RELEASE-$(fingerprint lab/image-packages.txt)
    if [ -n "${BASE:-}" ]; then printf '%s' "$BASE"
    elif has_image "$ours"; then printf '%s' "$ours"
    elif has_image "debian:$RELEASE-slim" || timeout "$PULL_WITHIN_S" docker pull -q "debian:$RELEASE-slim" >/dev/null 2>&1
    then printf 'debian:%s-slim' "$RELEASE"
    else make_base "$ours" && printf '%s' "$ours"
    fi
}

# The base's Python is this release's own, and so must be the one that makes the wheels.
ensure_pip() {
    [ -x build/image-venv/bin/pip ] || /usr/bin/python3 -m venv build/image-venv >&2 || fail "python3-venv is missing."
    build/image-venv/bin/pip install -q --require-hashes -r ci/locked/build.txt >&2 || fail "pip could not install ci/locked/build.txt."
}

# Dependencies are made anew when other ones are pinned, our own wheel whenever its sources have changed.
make_wheels() {
    local stamp=$WHEELS/dependencies/.made-for wanted
    wanted=$(fingerprint ci/locked/daemon.txt)
    ensure_pip
    rm -f "$WHEELS"/pmxcfs/*.whl
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        say "making wheels of what the daemon needs (a minute)"
        rm -f "$WHEELS"/dependencies/*.whl
        nice build/image-venv/bin/pip wheel -q --progress-bar off --no-build-isolation --require-hashes \
            -r ci/locked/daemon.txt -w "$WHEELS/dependencies" >&2 || fail "pip could not make the wheels."
        printf '%s' "$wanted" >"$stamp"
    fi
    nice build/image-venv/bin/pip wheel -q --no-build-isolation --no-deps -w "$WHEELS/pmxcfs" . >&2 || fail "pip could not make our wheel."
}

exec 9>>lab/wheelhouse/.lock && flock 9
readonly WHEELS=lab/wheelhouse RELEASE=$(release)
docker info >/dev/null 2>&1 || fail "no container engine answers." "ci/docker.sh start installs and starts one."
IMAGE=pmxcfs-lab:$({ sources; cat lab/Dockerfile lab/image-packages.txt ci/locked/*.txt pyproject.toml setup.py pmxcfs/ffi_build.py; printf '%s' "${BASE:-}"; } | fingerprint -)
if ! has_image "$IMAGE"; then
    BASE=$(choose_base)
    case $BASE in
    pmxcfs-lab-base:*) make_wheels ;;
    *) rm -f "$WHEELS"/pmxcfs/*.whl ;;
    esac
    say "building $IMAGE from $BASE"
    mkdir -p build
    nice docker build -q --build-arg BASE="$BASE" --build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL \
        --build-arg PIP_TRUSTED_HOST -t "$IMAGE" -f lab/Dockerfile . >build/image.log 2>&1 ||
        { tail -n 20 build/image.log >&2; fail "the image could not be built; all of it: build/image.log"; }
fi
printf 'IMAGE=%s\nBASE=%s\n' "$IMAGE" "${BASE:-$(sed -n 's/^BASE=//p' lab/.env 2>/dev/null)}" >lab/.env.new
mv lab/.env.new lab/.env
printf '%s\n' "$IMAGE"

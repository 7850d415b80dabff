#!/usr/bin/env bash
# make install, make uninstall: pmxcfs with a Python environment of its own in PREFIX/lib/pmxcfs.
#
# PREFIX=/usr/local, DESTDIR= (in front of every path), PYTHON=python3, UNITDIR=PREFIX/lib/systemd/system.
# COMMANDS: which are put into the path. WHEELS: a directory from packaging/wheels.sh, else they are made here.
# Installing twice is an upgrade. What uninstall leaves: data, and /etc/default/pmxcfs if it was changed.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly PREFIX=${PREFIX:-/usr/local} DESTDIR=${DESTDIR:-}
readonly UNITDIR=${UNITDIR-$PREFIX/lib/systemd/system} COMMANDS=${COMMANDS:-pmxcfs pmxcfs-db pmxcfs-ctl}
readonly HOME_DIR=$PREFIX/lib/pmxcfs DEFAULTS=$DESTDIR/etc/default/pmxcfs
readonly TARGET=$DESTDIR$HOME_DIR
readonly LIST=$TARGET/installed-files

say() { printf '%s\n' "$*"; }
fail() { printf 'install: %s\n' "$*" >&2; exit 1; }

# place SOURCE PATH MODE: put a file where it belongs, and write down where.
place() {
    install -D -m "$3" "$1" "$DESTDIR$2"
    printf '%s\n' "$2" >>"$LIST"
}

entry_point() {
    case $1 in
    pmxcfs) echo pmxcfs.__main__ ;;
    *) echo "pmxcfs.tools.${1#pmxcfs-}" ;;
    esac
}

make_environment() {
    local python
    # What is called python3 may be a script that chooses one.
    python=$("${PYTHON:-python3}" -c 'import os, sys; print(os.path.realpath(sys.executable))')
    rm -rf "$TARGET"
    mkdir -p "$TARGET"
    "$python" -m venv --without-pip "$TARGET"
    rm -f "$TARGET/.gitignore" # Python 3.13 makes one, and this is no checkout
    rm -f "$TARGET"/bin/*ctivate*
    sed -i '/^command = /d' "$TARGET/pyvenv.cfg"
    ln -sf "$python" "$TARGET/bin/python"
    ln -sf python "$TARGET/bin/python3"
    "$TARGET/bin/python" -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)' ||
        fail "$python does not take $TARGET for its environment"
    "$1/venv/bin/pip" --quiet --python "$TARGET/bin/python" --disable-pip-version-check \
        install --no-index --no-deps --no-compile --no-warn-script-location "$1"/*.whl
    find "$TARGET/bin" -type f -delete
    find "$TARGET" -name direct_url.json -delete
    # Tests of others, and SQLite's tools and loadable extensions: nobody here loads them.
    find "$TARGET/lib" -depth -type d \( -name _tests -o -name sqlite_extra_binaries \) -exec rm -rf {} +
    rmdir "$TARGET/include"/* "$TARGET/include" 2>/dev/null || true
}

# Isolated: nothing in root's environment or home decides what the daemon imports.
add_commands() {
    local name
    for name in $COMMANDS; do
        cat >"$TARGET/bin/$name" <<LAUNCHER
#!$HOME_DIR/bin/python -I
from $(entry_point "$name") import main

main()
LAUNCHER
        chmod 755 "$TARGET/bin/$name"
        mkdir -p "$DESTDIR$PREFIX/bin"
        ln -sf "../lib/pmxcfs/bin/$name" "$DESTDIR$PREFIX/bin/$name"
        printf '%s\n' "$PREFIX/bin/$name" >>"$LIST"
    done
}

add_manual() {
    local made name
    made=$(mktemp -d)
    PYTHONPATH=packaging PYTHONDONTWRITEBYTECODE=1 "$TARGET/bin/python" -m manual "$made" $COMMANDS
    for name in "$made"/man/*; do
        place "$name" "$PREFIX/share/man/man${name##*.}/${name##*/}" 644
    done
    for name in $COMMANDS; do
        place "$made/bash/$name" "$PREFIX/share/bash-completion/completions/$name" 644
        place "$made/zsh/_$name" "$PREFIX/share/zsh/${ZSH_DIR:-site-functions}/_$name" 644
        place "$made/fish/$name.fish" "$PREFIX/share/fish/vendor_completions.d/$name.fish" 644
    done
    rm -rf "$made"
}

add_unit() {
    [ -n "$UNITDIR" ] || return 0
    sed "s|@BINDIR@|$PREFIX/bin|" packaging/systemd/pve-cluster.service >"$TARGET/pve-cluster.service"
    place "$TARGET/pve-cluster.service" "$UNITDIR/pve-cluster.service" 644
    rm "$TARGET/pve-cluster.service"
}

install_all() {
    local wheels=${WHEELS:-$PWD/build/wheels}
    [ -n "$DESTDIR" ] || [ ! -e /var/lib/dpkg/info/pmxcfs.list ] ||
        fail "the Debian package pmxcfs is installed here: remove it first, or use it"
    [ -n "${WHEELS:-}" ] || packaging/wheels.sh "$wheels"
    make_environment "$wheels"
    : >"$LIST"
    add_commands
    add_manual
    add_unit
    [ -e "$DEFAULTS" ] || install -D -m 644 packaging/default/pmxcfs "$DEFAULTS"
    [ -n "$DESTDIR" ] || "$TARGET/bin/python" -m compileall -q "$TARGET/lib"
    say "pmxcfs is installed in $DESTDIR$PREFIX. Next: docs/INSTALL.md, \"The first start\"."
}

uninstall_all() {
    local path
    [ -f "$LIST" ] || fail "nothing of ours is installed in $DESTDIR$PREFIX"
    if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
        systemctl disable --now pve-cluster.service 2>/dev/null || true
    fi
    while read -r path; do rm -f "$DESTDIR$path"; done <"$LIST"
    rm -rf "$TARGET"
    if cmp -s packaging/default/pmxcfs "$DEFAULTS"; then rm "$DEFAULTS"; fi
    if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
    say "pmxcfs is removed from $DESTDIR$PREFIX. Left: what is in /var/lib/pve-cluster$([ ! -e "$DEFAULTS" ] || echo ", and $DEFAULTS")."
}

case ${1:-} in
install) install_all ;;
uninstall) uninstall_all ;;
*) sed -n '2,7s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac

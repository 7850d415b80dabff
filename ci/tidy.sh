#!/usr/bin/env bash
# Leave the machine as CI found it. Usage: tidy.sh remember FILE, and at the end tidy.sh restore FILE MARK.
#
# What the tests leave behind is a defect of theirs: `restore` removes it, names it, and fails. A run's processes
# are told from others by PMXCFS_CI_RUN=MARK, which they inherited; this script must not have it itself.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
lab=$PWD/.venv/bin/pmxcfs-lab
found=0

labs() { [ ! -x "$lab" ] || "$lab" list 2>/dev/null; }
mounts() { awk '$3 ~ /^fuse/ { print "mount", $2 }' /proc/self/mounts; }
present() { { labs | sed 's/^/lab /'; mounts; } | sort; }

processes() { # MARK
    local directory
    for directory in /proc/[0-9]*; do
        tr '\0' '\n' <"$directory/environ" | grep -qxF "PMXCFS_CI_RUN=$1" && printf '%s\n' "${directory#/proc/}"
    done 2>/dev/null
}

report() {
    printf 'tidy: left behind: %s\n' "$1" >&2
    found=1
}

restore() { # FILE MARK
    local kind name pid
    while read -r kind name; do
        report "$kind $name"
        case $kind in
        lab) "$lab" --lab "$name" down >&2 ;;
        mount) umount -l "$name" ;;
        esac
    done < <(comm -13 "$1" <(present))
    for pid in $(processes "$2"); do
        report "process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-120)"
        kill -9 "$pid" 2>/dev/null
    done
    return "$found"
}

case ${1:-} in
remember) present >"$2" ;;
restore) restore "$2" "$3" ;;
*)
    echo "usage: tidy.sh remember FILE | restore FILE MARK" >&2
    exit 2
    ;;
esac

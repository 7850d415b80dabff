#!/usr/bin/env bash
# Stop what a CI run left behind, and nothing else: tidy.sh MARK DIRECTORY
#
# MARK: the run's processes inherited PMXCFS_CI_RUN=MARK; this script must not have it itself.
# DIRECTORY: the run's TMPDIR; mounts below it are the run's.
# What the tests leave is a defect of theirs: it is named, removed, and makes this script fail.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
mark=$1
directory=$2
found=0

report() {
    printf 'tidy: left behind: %s\n' "$1" >&2
    found=1
}

processes() {
    local process
    for process in /proc/[0-9]*; do
        tr '\0' '\n' <"$process/environ" | grep -qxF "PMXCFS_CI_RUN=$mark" && printf '%s\n' "${process#/proc/}"
    done 2>/dev/null
}

command_line() { tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null; }

# A lab's processes name its folder.
labs() {
    local pid
    for pid in $(processes); do command_line "$pid"; done |
        grep -oE '/run/pmxcfs-lab/[a-z0-9-]+/' | cut -d/ -f4 | sort -u
}

for lab in $(labs); do
    report "lab $lab"
    .venv/bin/pmxcfs-lab --lab "$lab" down >&2
done
for pid in $(processes); do
    report "process $pid: $(command_line "$pid" | cut -c1-120)"
    kill -9 "$pid" 2>/dev/null
done
while read -r _ mount_point _; do
    report "mount $mount_point"
    umount -l "$mount_point"
done < <(awk -v below="$directory/" 'index($2, below) == 1' /proc/self/mounts)
exit "$found"

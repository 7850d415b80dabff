#!/usr/bin/env bash
# machine.sh ROOT [NAME]: boot the Debian in the directory ROOT, systemd as process 1, until it is told to end (TERM).
#
# It has namespaces of its own for everything but users, a loopback device and no other, and /dev/fuse. Needs root and
# cgroup2 (beside cgroup 1 too). Commands run in it with nsenter, by the process id that the first line of output tells.
set -euo pipefail
readonly ROOT=$1 NAME=${2:-pve1}
CGROUPS=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
readonly CGROUP=${CGROUPS:?there is no cgroup2 here}/pmxcfs-machine-$$

mkdir "$CGROUP"
before=$(cut -d: -f3 <(grep ^0: /proc/self/cgroup))
echo $$ >"$CGROUP/cgroup.procs"
unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child --propagation private bash -euc '
    root=$0
    hostname "$1"
    mount --bind "$root" "$root"
    cd "$root"
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o mode=755 tmpfs dev
    for device in null zero full random urandom tty fuse; do
        : >"dev/$device"
        mount --bind "/dev/$device" "dev/$device"
    done
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
    mount -t tmpfs tmpfs dev/shm
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    ip link set lo up
    mkdir -p .old
    pivot_root . .old
    umount -l /.old
    rmdir /.old
    mount --make-rshared /
    exec env -i container=other TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=journal
' "$ROOT" "$NAME" </dev/null &
unshare=$!
echo $$ >"$CGROUPS$before/cgroup.procs"
machine=
until [ -n "$machine" ]; do
    sleep 0.05
    machine=$(cat "/proc/$unshare/task/$unshare/children") || exit 1
done
echo "${machine% }"

finish() {
    trap - EXIT
    kill -9 "$unshare" 2>/dev/null || true
    wait "$unshare" 2>/dev/null || true
    for _ in $(seq 100); do
        find "$CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.05
    done
}
trap finish EXIT
trap 'exit 0' TERM INT
wait "$unshare"

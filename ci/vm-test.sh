#!/usr/bin/env bash
# lab/provision.sh in real virtual machines: vm-test.sh, with NODES=1 (default) to 3. Needs root, no /dev/kvm.
#
# Makes a Debian disk with mmdebstrap, boots it in qemu without KVM, runs provision.sh there as Vagrant would, and
# looks whether the nodes are quorate and share a file. They run in a network namespace of their own, where they
# reach each other and nobody else; the packages that provision.sh installs are brought along.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly NODES=${NODES:-1} SUBNET=192.168.56 FOLDER=$PWD/build/vm
readonly PORT=22100 GROUP=230.0.0.1 BOOTED_WITHIN_S=600 QUORATE_WITHIN_S=300
export DEBIAN_FRONTEND=noninteractive
pids=()

say() { printf 'vm-test: %5s s  %s\n' "$SECONDS" "$*" >&2; }
fail() { say "$@"; exit 1; }

finish() {
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -f "$FOLDER"/node*.ext4
}
install_tools() {
    command -v qemu-system-x86_64 >/dev/null && command -v mmdebstrap >/dev/null && command -v ssh >/dev/null && return
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || fail "this needs root on Debian, or qemu, mmdebstrap and ssh"
    say "installing qemu and mmdebstrap"
    { apt-get -q update; apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install \
        qemu-system-x86 mmdebstrap openssh-client; } >"$FOLDER/apt.log" 2>&1 || fail "apt-get failed: $FOLDER/apt.log"
}

packages() { sed -e 's/#.*//' ci/apt-packages.txt lab/image-packages.txt | xargs -n 1 | sort -u | paste -sd,; }

# The disk that every node starts from: a plain Debian with what provision.sh would have installed, for speed.
make_disk() {
    local root=$FOLDER/root made_for
    made_for=$(packages | sha256sum)
    [ "$(cat "$FOLDER/made-for" 2>/dev/null)" = "$made_for" ] && return
    say "making a Debian disk (a minute or two)"
    rm -rf "$root" "$FOLDER/disk.ext4"
    mmdebstrap --quiet --variant=minbase \
        --include="linux-image-cloud-amd64,systemd-sysv,udev,dbus,openssh-server,$(packages)" \
        "$(. /etc/os-release; printf '%s' "${VERSION_CODENAME:-bookworm}")" "$root"
    mkdir -p "$root/root/.ssh"
    cp "$FOLDER/key.pub" "$root/root/.ssh/authorized_keys"
    : >"$root/etc/apt/sources.list"
    printf '[Match]\nType=ether\n[Network]\nDHCP=ipv4\n' >"$root/etc/systemd/network/10-lab.network"
    chroot "$root" systemctl enable -q systemd-networkd ssh
    chroot "$root" systemctl disable -q corosync rrdcached || true
    cp "$root"/boot/vmlinuz-* "$FOLDER/vmlinuz"
    cp "$root"/boot/initrd.img-* "$FOLDER/initrd"
    mke2fs -q -t ext4 -d "$root" "$FOLDER/disk.ext4" 4G
    rm -rf --one-file-system "$root"
    printf '%s' "$made_for" >"$FOLDER/made-for"
}

# Files with the hashes that provision.sh asks for, so that the machines need no package index.
bring_packages() {
    say "fetching the Python packages"
    .venv/bin/pip download -q --no-deps --require-hashes -d "$FOLDER/packages" -r ci/locked/build.txt \
        -r ci/locked/daemon.txt
}

on() {
    local number=$1
    shift
    ssh -q -i "$FOLDER/key" -p $((PORT + number)) -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o ConnectTimeout=20 -o ServerAliveInterval=30 root@127.0.0.1 "$@"
}

boot() {
    local number=$1
    cp --sparse=always "$FOLDER/disk.ext4" "$FOLDER/node$number.ext4"
    qemu-system-x86_64 -M q35 -cpu max -accel tcg,thread=multi -smp 2 -m 1024 -nographic -no-reboot -serial "file:$FOLDER/node$number.log" \
        -monitor none -kernel "$FOLDER/vmlinuz" -initrd "$FOLDER/initrd" \
        -append "root=/dev/vda rw console=ttyS0 systemd.hostname=node$number net.ifnames=0 mitigations=off" \
        -drive "file=$FOLDER/node$number.ext4,format=raw,if=virtio,cache=unsafe" \
        -netdev "user,id=out,restrict=on,hostfwd=tcp:127.0.0.1:$((PORT + number))-:22" -device virtio-net-pci,netdev=out \
        -netdev "socket,id=lab,mcast=$GROUP:$PORT,localaddr=127.0.0.1" \
        -device "virtio-net-pci,netdev=lab,mac=52:54:00:00:00:0$number" </dev/null >"$FOLDER/qemu$number.log" 2>&1 &
    pids+=($!)
}

wait_for() {
    local number=$1 deadline=$((SECONDS + BOOTED_WITHIN_S))
    until on "$number" true 2>/dev/null; do
        [ $SECONDS -lt $deadline ] || fail "node$number does not answer: $FOLDER/node$number.log"
        kill -0 "${pids[number - 1]}" 2>/dev/null || fail "qemu ended: $(tail -n 1 "$FOLDER/qemu$number.log")"
        sleep 1
    done
}

# What vagrant does for its machines: names, the second interface, the sources; then the same script. Without CFLAGS
# the compiler takes most of the time here.
provision() {
    local number=$1
    on "$number" "ip addr add $SUBNET.$((10 + number))/24 dev eth1 && ip link set eth1 up && mkdir -p /srv/pmxcfs"
    git ls-files -z | tar --null --files-from - -c | on "$number" tar -x -C /srv/pmxcfs
    tar -C "$FOLDER" -c packages | on "$number" tar -x -C /srv
    on "$number" NODES="$NODES" SUBNET="$SUBNET" PIP_NO_INDEX=1 PIP_FIND_LINKS=/srv/packages CFLAGS=-O0 \
        bash /srv/pmxcfs/lab/provision.sh >"$FOLDER/provision$number.log" 2>&1 ||
        fail "provision.sh failed on node$number: $FOLDER/provision$number.log"
}

wait_until_writable() {
    local deadline=$((SECONDS + QUORATE_WITHIN_S))
    until on 1 'echo hello >/etc/pve/greeting' 2>/dev/null; do
        [ $SECONDS -lt $deadline ] || fail "not quorate: $(on 1 'corosync-quorumtool -s; journalctl -n 20 -u pmxcfs')"
        sleep 1
    done
}

prepare() {
    mkdir -p "$FOLDER/packages"
    install_tools
    [ -f "$FOLDER/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$FOLDER/key"
    make_disk
    bring_packages
}

run_nodes() {
    local number
    trap finish EXIT
    ip link set lo up multicast on
    ip route add "$GROUP" dev lo
    for ((number = 1; number <= NODES; number++)); do boot "$number"; done
    for ((number = 1; number <= NODES; number++)); do
        wait_for "$number"
        say "node$number has booted"
    done
    for ((number = 1; number <= NODES; number++)); do
        provision "$number"
        say "provision.sh has ended well on node$number"
    done
    wait_until_writable
    say "quorate and writable"
    for ((number = 1; number <= NODES; number++)); do look_at "$number"; done
    on 1 'corosync-quorumtool -s' | sed -n '/Membership information/,$p' >&2
    printf '%s passed, 0 failed\n' "$NODES"
}

look_at() {
    [ "$(on "$1" cat /etc/pve/greeting)" = hello ] || fail "node$1 does not have what node1 wrote"
    on "$1" systemctl is-active -q corosync pmxcfs || fail "a service does not run on node$1"
}

if [ "${1:-}" = in-namespace ]; then
    run_nodes
else
    prepare
    unshare --net "$0" in-namespace
fi

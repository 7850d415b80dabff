#!/usr/bin/env bash
# Make a Debian machine a node: packages, /opt/pmxcfs, corosync.conf, services. Run as root by lab/Vagrantfile.
#
# NODES, SUBNET (three octets; nodeN has .10+N) and CLUSTER describe the cluster; the repository is in SOURCE.
# AUTOSTART=no leaves corosync.conf and the services to the lab, which asks the node's first program for them.
# May be run again: it installs what has changed, and leaves the database and a newer corosync.conf alone.
set -euo pipefail
readonly NODES=${NODES:-3} SUBNET=${SUBNET:-192.168.56} CLUSTER=${CLUSTER:-lab} SOURCE=${SOURCE:-/srv/pmxcfs} AUTOSTART=${AUTOSTART:-yes}
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1

address() { printf '%s.%s' "$SUBNET" $((10 + $1)); }

install_packages() {
    local packages
    packages=$(sed -e 's/#.*//' "$SOURCE/ci/apt-packages.txt" "$SOURCE/lab/image-packages.txt" | sort -u)
    apt-get -q update
    # shellcheck disable=SC2086  # one argument per package is meant
    RUNLEVEL=1 apt-get -q -y --no-install-recommends install $packages
}

install_pmxcfs() {
    [ -x /opt/pmxcfs/bin/python ] || python3 -m venv /opt/pmxcfs
    /opt/pmxcfs/bin/pip install -q --require-hashes -r "$SOURCE/ci/locked/build.txt"
    /opt/pmxcfs/bin/pip install -q --no-build-isolation --require-hashes -r "$SOURCE/ci/locked/daemon.txt"
    /opt/pmxcfs/bin/pip install -q --no-build-isolation --force-reinstall --no-deps "$SOURCE"
}

# A node's own name must lead to its address, never to 127.x.
write_hosts() {
    local number
    [ -e /etc/hosts ] || printf '127.0.0.1 localhost\n' >/etc/hosts
    sed -i -E '/\snode[1-5](\s|$)/d' /etc/hosts
    for ((number = 1; number <= NODES; number++)); do
        printf '%s node%s\n' "$(address "$number")" "$number"
    done >>/etc/hosts
}

node_sections() {
    local number
    for ((number = 1; number <= NODES; number++)); do
        printf '  node {\n    name: node%s\n    nodeid: %s\n    quorum_votes: 1\n    ring0_addr: %s\n  }\n' \
            "$number" "$number" "$(address "$number")"
    done
}

write_corosync_conf() {
    grep -qs "cluster_name: $CLUSTER\$" /etc/corosync/corosync.conf && return
    mkdir -p /etc/corosync /var/log/corosync
    cat >/etc/corosync/corosync.conf <<CONF
totem {
  version: 2
  cluster_name: $CLUSTER
  config_version: 1
  transport: knet
  ip_version: ipv4
  link_mode: passive
  secauth: off
  interface {
    linknumber: 0
  }
}

nodelist {
$(node_sections)
}

quorum {
  provider: corosync_votequorum
}

logging {
  to_syslog: yes
  to_logfile: yes
  logfile: /var/log/corosync/corosync.log
}
CONF
}

write_service() {
    cat >/etc/systemd/system/pmxcfs.service <<UNIT
[Unit]
Description=The Proxmox cluster file system
Wants=corosync.service
After=corosync.service

[Service]
ExecStart=/opt/pmxcfs/bin/pmxcfs -f
KillMode=mixed
TimeoutStopSec=20

[Install]
WantedBy=multi-user.target
UNIT
}

# The lab writes what this node is into /etc/default, and starts the unit; after a boot it starts by itself.
write_node_program() {
    cat >/etc/systemd/system/pmxcfs-lab-node.service <<UNIT
[Unit]
Description=A node of the lab, which starts corosync and pmxcfs when it is asked to
After=network-online.target
Wants=network-online.target
ConditionPathExists=/etc/default/pmxcfs-lab-node

[Service]
EnvironmentFile=/etc/default/pmxcfs-lab-node
Environment=PATH=/opt/pmxcfs/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/opt/pmxcfs/bin/python3 -m pmxcfs_lab.docker.node
KillMode=mixed
TimeoutStopSec=40

[Install]
WantedBy=multi-user.target
UNIT
    # Debian's corosync.conf is nobody's cluster; one of ours may be newer than what we would write.
    grep -qs "cluster_name: $CLUSTER\$" /etc/corosync/corosync.conf || rm -f /etc/corosync/corosync.conf
    systemctl daemon-reload
    systemctl disable -q --now corosync
    systemctl enable -q pmxcfs-lab-node
}

start_services() {
    systemctl daemon-reload
    systemctl enable -q corosync pmxcfs
    systemctl restart corosync pmxcfs
}

install_packages
install_pmxcfs
write_hosts
mkdir -p /etc/pve /var/lib/pve-cluster
if [ "$AUTOSTART" = no ]; then
    write_node_program
else
    write_corosync_conf
    write_service
    start_services
fi
printf '%s is a node of "%s"\n' "$(hostname)" "$CLUSTER"

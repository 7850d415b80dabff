"""A node of a cluster of C daemons gets our package while it is in use, and gives it back."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.package.c_daemon import pack_the_c_daemon
from tests.package.machines import REPOSITORY, WITHIN_S, Machine, wire

pytestmark = [pytest.mark.needs("root"), pytest.mark.needs("fuse"), pytest.mark.needs("reference")]

INSTALL = "apt-get -q -y --no-install-recommends"
NAMES = ("node1", "node2", "node3")
ADDRESSES = ("10.98.0.1", "10.98.0.2", "10.98.0.3")
CONF = """\
totem {{
  version: 2
  cluster_name: wired
  config_version: 1
  transport: knet
  ip_version: ipv4
  crypto_cipher: none
  crypto_hash: none
}}
nodelist {{
{nodes}}}
quorum {{
  provider: corosync_votequorum
}}
logging {{
  to_syslog: yes
}}
"""
NODE = """\
  node {{
    name: {name}
    nodeid: {number}
    quorum_votes: 1
    ring0_addr: {address}
  }}
"""
# Writes a file five times a second, and notes what was acknowledged.
WRITER = """\
i=0
while [ ! -e /run/enough ]; do
    i=$((i + 1))
    echo $i >/etc/pve/written/$i && echo $i >>/root/written
    sleep 0.2
done
touch /run/has-ended
"""


@pytest.fixture
def cluster(bare: Callable[[str], Machine]) -> Iterator[tuple[Machine, ...]]:
    """Three machines on which the C daemons of a quorate cluster run."""
    machines = tuple(bare(name) for name in NAMES)
    try:
        for machine in machines:
            machine.start()
        wire(machines, ADDRESSES)
        for machine in machines:
            configure(machine)
        for machine in machines:
            package = pack_the_c_daemon(machine)
            machine.run(f"dpkg -i {package}")
            machine.run("systemctl restart corosync")
        for machine in machines:
            machine.until(all_are_online)
        yield machines
    finally:
        for machine in machines:
            machine.remove()


all_are_online = (
    "grep -q '\"quorate\": 1' /etc/pve/.members && "
    "[ $(grep -c '\"online\": 1' /etc/pve/.members) = 3 ]"
)


def configure(machine: Machine) -> None:
    """Install corosync, with the configuration of the three."""
    nodes = "".join(
        NODE.format(name=name, number=number, address=address)
        for number, (name, address) in enumerate(zip(NAMES, ADDRESSES, strict=True), start=1)
    )
    hosts = "".join(f"{address} {name}\n" for name, address in zip(NAMES, ADDRESSES, strict=True))
    (machine.disk / "etc/corosync").mkdir()
    (machine.disk / "etc/corosync/corosync.conf").write_text(CONF.format(nodes=nodes))
    (machine.disk / "etc/hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
    machine.run(f"{INSTALL} -o Dpkg::Options::=--force-confold install corosync")


def content_of(machine: Machine) -> str:
    """Return the digests of all files of the tree, but for those that the daemon makes."""
    return machine.run(
        "cd /etc/pve && find * -type f ! -path 'written/*' -print | sort | xargs sha256sum"
    )


def wait_for_content(machine: Machine, wanted: str) -> None:
    """Wait until a node has taken in what others have written."""
    give_up_s = time.monotonic() + WITHIN_S
    while content_of(machine) != wanted:
        assert time.monotonic() < give_up_s, content_of(machine)
        time.sleep(0.2)


def test_a_member_is_taken_over_under_load_and_given_back(cluster: Sequence[Machine]) -> None:
    first, second, third = cluster
    first.run("mkdir -p /etc/pve/written /etc/pve/priv /etc/pve/nodes/node1/qemu-server")
    first.run("echo 'name: one' >/etc/pve/nodes/node1/qemu-server/100.conf")
    second.run("head -c 300000 /dev/urandom | base64 >/etc/pve/priv/large")
    (third.disk / "root/writer.sh").write_text(WRITER)
    third.run("systemd-run --quiet --unit=writer sh /root/writer.sh")
    before = content_of(second)
    for machine in cluster:
        wait_for_content(machine, before)
    assert before.count("\n") >= 2
    began = first.run("date +@%s")
    corosyncs = [pid_of_corosync(machine) for machine in cluster]

    first.run(f"{INSTALL} install /root/pmxcfs.deb")
    assert first.unit("Type") == "notify"
    first.until("pmxcfs-ctl status | grep -q 'sync *synced'")
    assert "changes   taken" in first.run("pmxcfs-ctl status || true")
    for machine in cluster:
        machine.until(all_are_online)
        wait_for_content(machine, before)
    first.run("echo ours >/etc/pve/by-ours")
    second.until("grep -q ours /etc/pve/by-ours")
    second.run("echo theirs >/etc/pve/by-theirs")
    first.until("grep -q theirs /etc/pve/by-theirs")

    first.run("apt-get -q -y purge pmxcfs")
    assert first.unit("Type") == "forking"
    assert first.run("readlink /proc/$(cat /run/pve-cluster.pid)/exe") == "/root/reference"
    for machine in cluster:
        machine.until(all_are_online)
    first.run("rm /etc/pve/by-ours /etc/pve/by-theirs")

    third.run("touch /run/enough")
    third.until("[ -e /run/has-ended ]")
    assert [pid_of_corosync(machine) for machine in cluster] == corosyncs
    acknowledged = third.run("cat /root/written").split()
    assert len(acknowledged) > 20
    for machine in cluster:
        machine.until("[ ! -e /etc/pve/by-theirs ]")
        wait_for_content(machine, before)
        assert set(acknowledged) <= set(machine.run("cat /etc/pve/written/*").split())
    for machine in (second, third):
        assert "lost quorum" not in machine.run(f"journalctl --no-pager --since={began}")
    assert differences(first, second) == ""


def pid_of_corosync(machine: Machine) -> str:
    return machine.run("systemctl show --value -p MainPID corosync")


def differences(one: Machine, other: Machine) -> str:
    """Return in what the databases of two machines differ."""
    tool = REPOSITORY / ".venv" / "bin" / "pmxcfs-db"
    one_db, other_db = (machine.disk / "var/lib/pve-cluster/config.db" for machine in (one, other))
    ended = subprocess.run(
        [tool, "diff", "--brief", one_db, other_db], capture_output=True, text=True, check=False
    )
    return ended.stdout + ended.stderr

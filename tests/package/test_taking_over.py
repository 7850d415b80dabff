"""On a node with the C daemon's package: ours takes its place, and gives it back; data stays."""

import pytest

from tests.package.c_daemon import pack, pack_the_c_daemon
from tests.package.machines import Machine

pytestmark = [pytest.mark.needs("root"), pytest.mark.needs("fuse")]

OURS = "apt-get -q -y --no-install-recommends install /root/pmxcfs.deb"
PATHS = (
    "/usr/bin/pmxcfs",
    "/usr/share/man/man8/pmxcfs.8.gz",
    "/lib/systemd/system/pve-cluster.service",
)


def fingerprint(machine: Machine) -> str:
    return machine.run(f"sha256sum {' '.join(PATHS)}; dpkg-divert --list '*pve*' '*pmxcfs*'")


def test_it_takes_over_from_a_running_daemon_and_gives_back(machine: Machine) -> None:
    machine.run(f"dpkg -i {pack(machine, '1')}")
    before = fingerprint(machine)
    assert machine.run("systemctl is-active pve-cluster") == "active"

    machine.run(OURS)
    assert machine.unit("Type") == "notify"
    assert machine.run("systemctl is-active pve-cluster") == "active"
    machine.run("echo ours >/etc/pve/file && mountpoint /etc/pve && pmxcfs --version")
    assert "# 1" in machine.run("cat /usr/bin/pmxcfs.pve-cluster")

    machine.run("apt-get -q -y purge pmxcfs")
    assert fingerprint(machine) == before
    assert machine.unit("Type") == "forking"
    assert machine.run("systemctl is-active pve-cluster") == "active"
    assert machine.run("systemctl is-enabled pve-cluster") == "enabled"
    machine.run("test -s /var/lib/pve-cluster/config.db")


@pytest.mark.parametrize("unit_directory", ["lib", "usr/lib"])
def test_its_upgrades_go_aside_and_come_back(machine: Machine, unit_directory: str) -> None:
    machine.run(OURS)
    machine.run("echo kept >/etc/pve/file")
    for version in ("1", "2"):
        machine.run(f"dpkg -i {pack(machine, version, unit_directory=unit_directory)}")
        assert machine.run("pmxcfs --version").startswith("pmxcfs ")
        assert machine.unit("Type") == "notify"
        assert machine.run("cat /etc/pve/file") == "kept"
        assert f"# {version}" in machine.run("cat /usr/bin/pmxcfs.pve-cluster")
    machine.run("dpkg -i /root/pmxcfs.deb")
    machine.run("apt-get -q -y remove pmxcfs")
    assert "# 2" in machine.run("cat /usr/bin/pmxcfs")
    assert machine.run("cat /usr/share/man/man8/pmxcfs.8.gz") == "2"
    assert machine.unit("Description") == "a C daemon's unit"
    assert (
        machine.run("find / -xdev -name '*.pve-cluster' -o -xdev -name '*.dpkg-divert.tmp'") == ""
    )


def test_a_daemon_that_runs_is_left_alone_if_ours_would_refuse_the_database(
    machine: Machine,
) -> None:
    machine.run(f"dpkg -i {pack(machine, '1')}")
    machine.run("mkdir -p /var/lib/pve-cluster; echo junk >/var/lib/pve-cluster/config.db")
    running = machine.run("cat /run/pve-cluster.pid")
    ended = machine.try_to(OURS)
    assert ended.returncode == 0
    assert "the daemon that runs was left running" in ended.stdout + ended.stderr
    machine.run(f"kill -0 {running}")
    assert machine.run("cat /var/lib/pve-cluster/config.db") == "junk"


@pytest.mark.needs("reference")
def test_the_c_daemon_itself_reads_what_ours_has_written_and_back(machine: Machine) -> None:
    package = pack_the_c_daemon(machine)
    machine.run(f"echo 10.0.0.1 pve1 >>/etc/hosts; dpkg -i {package}")
    machine.run("mkdir /etc/pve/priv && echo by the C daemon >/etc/pve/priv/first")

    machine.run(OURS)
    assert machine.run("cat /etc/pve/priv/first") == "by the C daemon"
    machine.run("echo by ours >/etc/pve/priv/second")

    machine.run("apt-get -q -y purge pmxcfs")
    assert machine.run("readlink /proc/$(cat /run/pve-cluster.pid)/exe") == "/root/reference"
    assert machine.run("cat /etc/pve/priv/first /etc/pve/priv/second") == "by the C daemon\nby ours"

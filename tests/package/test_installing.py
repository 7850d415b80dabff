"""From a bare Debian to a standalone node, and back to a Debian with nothing of ours but data."""

import time

import pytest

from tests.package.machines import Machine

pytestmark = [pytest.mark.needs("root"), pytest.mark.needs("fuse")]

INSTALL = "apt-get -q -y --no-install-recommends install /root/pmxcfs.deb"
# What dpkg, apt, the journal and the loader's cache write of any package.
OTHERS = (
    "/proc /sys /dev /run /tmp /root /var/lib/dpkg /var/lib/apt /var/cache /var/log "
    "/etc/ld.so.cache"
)


def files(machine: Machine) -> set[str]:
    skipped = " -o ".join(f"-path {path}" for path in OTHERS.split())
    names = machine.run(f"find / \\( {skipped} \\) -prune -o -print")
    return set(names.splitlines())


def test_a_bare_debian_has_a_node_within_a_minute_and_nothing_but_data_after_it(
    machine: Machine,
) -> None:
    # Not ours: what we need stays until somebody calls autoremove.
    machine.run(
        "apt-get -q -y --no-install-recommends install "
        "$(dpkg-deb -f /root/pmxcfs.deb Depends | sed 's/([^)]*)//g; s/,/ /g')"
    )
    before = files(machine)
    began_s = time.monotonic()
    machine.run(INSTALL)
    machine.run("echo hello >/etc/pve/greeting")
    taken_s = time.monotonic() - began_s
    print(f"\ninstalled, started and written to in {taken_s:.1f} s")
    assert taken_s < 60
    assert machine.run("cat /etc/pve/greeting") == "hello"
    assert machine.run("stat -c '%U:%G %a' /etc/pve/greeting") == "root:www-data 640"
    assert machine.run("pmxcfs-ctl status | head -2").startswith("pve1  no cluster")

    machine.run("apt-get -q -y remove pmxcfs")
    assert "pmxcfs" not in machine.run("mount") + machine.run("ls /run")
    kept = {"/var/lib/pve-cluster", "/var/lib/pve-cluster/config.db"}
    # systemd's note of who is enabled, and the configuration: for whoever installs it again.
    remembered = {
        "/etc/default/pmxcfs",
        "/etc/systemd/system/multi-user.target.wants/pve-cluster.service",
    }
    assert {
        path for path in files(machine) - before if "deb-systemd" not in path
    } <= kept | remembered
    machine.run("apt-get -q -y purge pmxcfs")
    assert files(machine) - before == kept
    assert before <= files(machine)

    machine.run(INSTALL)
    assert machine.run("cat /etc/pve/greeting") == "hello"


def test_it_is_back_after_a_power_loss(machine: Machine) -> None:
    machine.run(INSTALL)
    machine.run("echo kept >/etc/pve/file && sync /etc/pve/file")
    machine.stop()
    machine.start()
    machine.until("systemctl is-active pve-cluster")
    assert machine.run("cat /etc/pve/file") == "kept"


def test_installing_again_restarts_it_and_loses_nothing(machine: Machine) -> None:
    machine.run(INSTALL)
    machine.run("echo here >/etc/pve/file")
    first = machine.unit("MainPID")
    machine.run("sed -i 's/^DAEMON_OPTS=.*/DAEMON_OPTS=--debug/' /etc/default/pmxcfs")
    machine.run("dpkg -i /root/pmxcfs.deb && dpkg-reconfigure pmxcfs")
    assert machine.unit("MainPID") not in (first, "0")
    assert machine.run("cat /etc/pve/file") == "here"
    assert "--debug" in machine.run("cat /etc/default/pmxcfs")


def test_it_can_be_installed_where_no_systemd_runs(machine: Machine) -> None:
    # As in the building of an image: nothing is started, all is enabled.
    machine.run(
        "unshare --mount sh -c 'mount -t tmpfs tmpfs /run && " + INSTALL + "' && "
        "systemctl daemon-reload && systemctl is-enabled pve-cluster"
    )
    assert machine.try_to("mountpoint /etc/pve").returncode != 0
    machine.run("systemctl start pve-cluster && mountpoint /etc/pve")

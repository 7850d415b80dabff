"""The unit, under a real systemd."""

import json

import pytest

from tests.package.machines import Machine

pytestmark = [pytest.mark.needs("root"), pytest.mark.needs("fuse")]

DATABASE = "/var/lib/pve-cluster/config.db"
DROP_IN = "/run/systemd/system/pve-cluster.service.d"


def restart_with(node: Machine, *settings: str) -> None:
    text = "\\n".join(("[Service]", *settings))
    node.run(
        f"mkdir -p {DROP_IN} && printf '{text}\\n' >{DROP_IN}/test.conf && systemctl daemon-reload "
        "&& systemctl reset-failed pve-cluster && systemctl restart pve-cluster"
    )


def back_to_normal(node: Machine) -> None:
    node.run(
        f"rm -rf {DROP_IN}; systemctl daemon-reload; systemctl reset-failed pve-cluster; "
        "systemctl restart pve-cluster"
    )


def test_it_is_started_once_the_mount_answers(node: Machine) -> None:
    node.run("systemctl restart pve-cluster && ls /etc/pve")
    assert node.unit("StatusText") == "standalone, mounted on /etc/pve"
    assert node.unit("Type") == "notify"
    assert node.run("cat /run/pve-cluster.pid") == node.unit("MainPID")


def test_it_is_known_by_both_names(node: Machine) -> None:
    assert set(node.unit("Names").split()) == {"pve-cluster.service", "pmxcfs.service"}
    assert node.run("systemctl is-active pmxcfs") == "active"


def test_others_are_ordered_as_behind_the_reference(node: Machine) -> None:
    assert {"corosync.service", "cron.service", "shutdown.target"} <= set(
        node.unit("Before").split()
    )
    assert {"network.target", "rrdcached.service", "time-sync.target"} <= set(
        node.unit("After").split()
    )


def test_systemd_finds_nothing_to_complain_about(node: Machine) -> None:
    ended = node.try_to(
        "systemd-analyze verify $(systemctl show --value -p FragmentPath pve-cluster)"
    )
    said = [line for line in ended.stderr.splitlines() if "pve-cluster.service" in line]
    # A bare machine has no man to look the page up with.
    assert [line for line in said if "man pmxcfs" not in line] == []


def test_the_mount_is_seen_by_all(node: Machine) -> None:
    assert node.run("findmnt -n -o FSTYPE /etc/pve") == "fuse"
    ours = node.run("readlink /proc/1/ns/mnt")
    assert node.run(f"readlink /proc/{node.unit('MainPID')}/ns/mnt") == ours


def test_the_daemon_has_no_capability_that_it_does_not_need(node: Machine) -> None:
    status = node.run(f"cat /proc/{node.unit('MainPID')}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    needed = 1 << 21 | 1 << 0 | 1 << 1 | 1 << 3  # SYS_ADMIN, CHOWN, DAC_OVERRIDE, FOWNER
    assert int(fields["CapBnd"], 16) == int(fields["CapEff"], 16) == needed
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")


def test_the_porter_is_confined_within_these_walls_too(node: Machine) -> None:
    assert "not confined" not in node.run("journalctl -u pve-cluster --no-pager")
    porter = node.run(f"cat /proc/{node.unit('MainPID')}/task/*/children | tr -d '\\n'")
    ours = node.run("readlink /proc/1/ns/mnt")
    assert node.run(f"readlink /proc/{porter.split()[0]}/ns/mnt") != ours


def test_the_journal_has_facts_as_fields(node: Machine) -> None:
    lines = node.run("journalctl -o json --no-pager PMXCFS_SENTENCE=ready").splitlines()
    entry = json.loads(lines[-1])
    assert entry["PMXCFS_MODE"] == "standalone"
    assert entry["_SYSTEMD_UNIT"] == "pve-cluster.service"


def test_a_daemon_that_hangs_is_ended_by_the_watchdog_and_comes_back(node: Machine) -> None:
    restart_with(node, "WatchdogSec=2")
    hanging = node.unit("MainPID")
    node.run(f"kill -STOP {hanging}")
    node.until(f"[ $(systemctl show --value -p MainPID pve-cluster) != {hanging} ]")
    node.until("systemctl is-active pve-cluster && ls /etc/pve")
    assert "watchdog" in node.run("journalctl -u pve-cluster --no-pager").lower()
    back_to_normal(node)


def test_a_daemon_whose_loop_turns_is_left_alone(node: Machine) -> None:
    restart_with(node, "WatchdogSec=2")
    first = node.unit("MainPID")
    node.run("for i in 1 2 3 4 5 6; do echo $i >/etc/pve/file; sleep 1; done")
    assert (node.unit("MainPID"), node.unit("NRestarts")) == (first, "0")
    back_to_normal(node)


def test_a_killed_daemon_comes_back_over_its_dead_mount(node: Machine) -> None:
    node.run("echo there >/etc/pve/file")
    killed = node.unit("MainPID")
    node.run(f"kill -KILL {killed}")
    node.until(f"[ $(systemctl show --value -p MainPID pve-cluster) -gt {killed} ]")
    node.until("systemctl is-active pve-cluster")
    assert node.run("cat /etc/pve/file") == "there"


def test_a_damaged_database_is_not_tried_again_and_again(node: Machine) -> None:
    node.run(f"systemctl stop pve-cluster && cp -a {DATABASE} /root/good.db")
    node.run(f"printf 'this is no database' >{DATABASE}")
    assert node.try_to("systemctl start pve-cluster").returncode != 0
    assert (node.unit("ExecMainStatus"), node.unit("NRestarts")) == ("65", "0")
    assert node.unit("ActiveState") == "failed"
    node.run(f"cp -a /root/good.db {DATABASE} && systemctl start pve-cluster")


def test_what_fails_again_and_again_is_given_up(node: Machine) -> None:
    # Not empty below the mount: a failure that another try might mend.
    node.run("systemctl stop pve-cluster && touch /etc/pve/in-the-way")
    node.try_to("systemctl start pve-cluster")
    node.until("[ $(systemctl show --value -p Result pve-cluster) = start-limit-hit ] || "
               "[ $(systemctl show --value -p ActiveState pve-cluster) = failed ]")  # fmt: skip
    assert int(node.unit("NRestarts")) <= 5
    node.run(
        "rm /etc/pve/in-the-way; systemctl reset-failed pve-cluster; systemctl start pve-cluster"
    )


def test_options_are_read_from_etc_default(node: Machine) -> None:
    node.run("echo 'DAEMON_OPTS=\"--metrics-listen=127.0.0.1:9221 --debug\"' >/etc/default/pmxcfs")
    node.run("systemctl restart pve-cluster")
    assert node.run("cat /etc/pve/.debug") == "1"
    assert "PMXCFS_ADDRESS=127.0.0.1:9221" in node.run("journalctl -o export -u pve-cluster") or (
        node.run("cat /proc/net/tcp | grep -c 0100007F:2405") == "1"
    )
    node.run("echo 'DAEMON_OPTS=\"\"' >/etc/default/pmxcfs && systemctl restart pve-cluster")


def test_it_stops_within_the_patience_of_the_unit(node: Machine) -> None:
    node.run("timeout 10 systemctl stop pve-cluster")
    assert node.unit("Result") == "success"
    assert node.try_to("mountpoint /etc/pve").returncode != 0
    assert node.try_to(f"ls {DATABASE}-wal").returncode != 0
    node.run("systemctl start pve-cluster")

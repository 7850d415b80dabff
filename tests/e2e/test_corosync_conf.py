"""The tree's corosync.conf reaches the hosts of all nodes, unless it is older, or broken."""

import re
from collections.abc import Iterator

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service

from .mixture import Mixture
from .mounts import SETTLES_WITHIN_S, Nodes, read, run, wait_for_text
from .services import end

HOST_FILE = "/etc/corosync/corosync.conf"


def host_text(lab: Lab, node: str) -> str:
    return lab.exec(node, "cat", HOST_FILE).stdout.decode()


def with_version(text: str, version: int) -> str:
    return re.sub(r"config_version: \d+", f"config_version: {version}", text)


def version_of(text: str) -> int:
    found = re.search(r"config_version: (\d+)", text)
    assert found is not None
    return int(found[1])


def version_in_use(lab: Lab, node: str) -> int:
    """Return the version that a node's corosync works with."""
    shown = lab.exec(node, "corosync-cmapctl", "-g", "totem.config_version").stdout.decode()
    return int(shown.rpartition("=")[2])


def publish(lab: Lab, node: str, text: str) -> None:
    """Replace the tree's file as the tools do: write beside it, and rename."""
    command = (
        "cat > /etc/pve/corosync.conf.new && mv /etc/pve/corosync.conf.new /etc/pve/corosync.conf"
    )
    done = lab.exec(node, "sh", "-c", command, stdin=text.encode())
    assert done.exit_status == 0, done.stderr


@pytest.fixture
def good(lab: Lab, nodes: Nodes) -> Iterator[str]:
    """The text that all hosts have. Afterwards they get it again, as a newer version."""
    text = host_text(lab, "node1")
    yield text
    newest = max(version_of(host_text(lab, name)) for name in nodes)
    publish(lab, "node1", with_version(text, newest + 10))
    wait_for_hosts(lab, with_version(text, newest + 10))
    lab.trees_are_equal()


def wait_for_hosts(lab: Lab, text: str) -> None:
    def check() -> None:
        for name in lab.plan.names:
            assert host_text(lab, name) == text, f"{name} has another file"

    eventually(check, within_s=SETTLES_WITHIN_S)


@pytest.mark.parametrize("writer", ["node1", "node2", "node3"])
def test_a_newer_one_is_on_all_hosts_and_all_corosyncs_use_it(
    lab: Lab, good: str, writer: str
) -> None:
    version = version_of(good) + 1
    publish(lab, writer, with_version(good, version))
    wait_for_hosts(lab, with_version(good, version))

    def is_in_use() -> None:
        assert {version_in_use(lab, name) for name in lab.plan.names} == {version}

    eventually(is_in_use, within_s=SETTLES_WITHIN_S)


def test_one_that_was_missed_reaches_the_host_with_the_next_start(
    lab: Lab, nodes: Nodes, good: str
) -> None:
    """Its corosync has run on: one that starts with an older version than the others' just ends."""
    text = with_version(good, version_of(good) + 1)
    lab.kill("node2", [Service.PMXCFS])
    lab.wait(["node1", "node3"], within_s=SETTLES_WITHIN_S)
    publish(lab, "node3", text)
    lab.start("node2", [Service.PMXCFS])
    lab.wait(within_s=SETTLES_WITHIN_S)
    wait_for_hosts(lab, text)


def test_what_is_no_newer_version_replaces_no_hosts_file(lab: Lab, nodes: Nodes, good: str) -> None:
    base = with_version(good, version_of(good) + 1)
    publish(lab, "node1", base)
    wait_for_hosts(lab, base)
    for text in (good, re.sub(r" *config_version: \d+\n", "", good)):
        for writer in nodes:
            publish(lab, writer, text + f"# by {writer}\n")
            for reader in nodes.values():
                wait_for_text(reader, "corosync.conf", text + f"# by {writer}\n")
    after_all_that_was_published(lab, nodes)
    wait_for_hosts(lab, base)


def test_a_broken_one_replaces_no_good_one_on_hosts_of_ours(
    lab: Lab, nodes: Nodes, mixture: Mixture, good: str
) -> None:
    """The reference writes whatever has a higher version; then its host needs a new one too."""
    broken = with_version(good, version_of(good) + 1)[:-3] + "\nnonsense\n"
    publish(lab, "node3", broken)
    for name in mixture.ours:

        def is_said(name: str = name) -> None:
            assert "corosync could not read" in lab.logs(name)["pmxcfs"].read_text()

        eventually(is_said, within_s=SETTLES_WITHIN_S)
        assert host_text(lab, name) == good


def after_all_that_was_published(lab: Lab, nodes: Nodes) -> None:
    """Return when no daemon can still be about to write a host's file: all have started anew."""
    for name in nodes:
        end(lab, name, [Service.PMXCFS])
        lab.start(name, [Service.PMXCFS])
        lab.wait(within_s=SETTLES_WITHIN_S)
    for node in nodes.values():
        assert "node1" in run(node, "cat /etc/pve/.members")
        assert "totem" in read(node, "corosync.conf")

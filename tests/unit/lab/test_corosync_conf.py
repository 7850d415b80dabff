"""corosync.conf and /etc/hosts of a lab."""

import re

from pmxcfs_lab.corosync_conf import corosync_conf, hosts
from pmxcfs_lab.options import Options
from pmxcfs_lab.plan import make_plan


def test_every_node_stands_in_the_node_list_with_name_id_and_address() -> None:
    text = corosync_conf(make_plan("lab", 3))
    assert re.findall(r"name: (node\d)\n    nodeid: (\d)", text) == [
        ("node1", "1"),
        ("node2", "2"),
        ("node3", "3"),
    ]
    assert re.findall(r"ring0_addr: (\S+)", text) == ["10.97.0.1", "10.97.0.2", "10.97.0.3"]


def test_the_lab_gives_the_cluster_its_name_and_the_version_is_never_zero() -> None:
    text = corosync_conf(make_plan("two", 1))
    assert "cluster_name: two\n" in text
    assert "config_version: 1\n" in text


def test_braces_are_balanced() -> None:
    text = corosync_conf(make_plan("lab", 9))
    assert text.count("{") == text.count("}") == 6 + 9


def test_no_node_name_resolves_to_a_loopback_address() -> None:
    for line in hosts(make_plan("lab", 3)).splitlines():
        address, *names = line.split()
        if any(name.startswith("node") for name in names):
            assert not address.startswith("127.")


def test_a_quorum_device_is_on_a_host_that_is_no_node() -> None:
    plan = make_plan("lab", 2, network="10.97.7", options=Options(qdevice=True))
    text = corosync_conf(plan)
    assert "model: net" in text
    assert "host: 10.97.7.100" in text
    assert text.count("ring0_addr") == 2
    assert "device" not in corosync_conf(make_plan("lab", 2))
    assert plan.hosts == ("node1", "node2", "qnetd")


def test_two_links_and_encryption_are_written_for_all_nodes() -> None:
    text = corosync_conf(make_plan("lab", 2, options=Options(crypto=True, token_ms=700, links=2)))
    assert text.count("ring1_addr: 10.98.0.") == 2
    assert text.count("linknumber") == 2
    assert "crypto_cipher: aes256" in text
    assert "token: 700" in text

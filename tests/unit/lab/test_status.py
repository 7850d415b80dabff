"""Rows of the status table, and the verdict whether a lab has settled."""

from dataclasses import replace
from typing import Any

import pytest
from pmxcfs_lab.status import (
    NodeStatus,
    equality,
    read_probe,
    tree_digest,
    why_not_settled,
)

SERVICES = {
    "corosync": {"pid": 11, "exit_status": None},
    "pmxcfs": {"pid": 72, "exit_status": None},
}
COROSYNC = {"quorate": True, "members": [1, 2]}
MOUNT = {"quorate": True, "members": {"node1": {"online": 1}, "node2": {"online": 0}}}
DAEMON = {
    "quorate": True,
    "members": [{"node_id": 2, "name": "node2"}, {"node_id": 1, "name": "node1"}],
    "sync": "synced",
    "tree_version": 7,
    "tree_checksum": "abc",
}
TREE = {"a": {"mode": "0o100640", "size": 1}}


def probe(**changed: object) -> dict[str, Any]:
    seen = {"services": SERVICES, "corosync": COROSYNC, "mount": MOUNT, "daemon": DAEMON}
    return {**seen, **changed}


def settled(name: str) -> NodeStatus:
    return NodeStatus(name, "up", "up", True, ("node1", "node2"), "synced", 7, "abc", "checksum")


PAIR = ("node1", "node2")


def test_our_daemon_tells_everything_itself() -> None:
    assert read_probe("node1", probe()) == settled("node1")


def test_another_daemon_is_read_from_its_mount() -> None:
    row = read_probe("node1", probe(daemon=None, tree=TREE))
    assert (row.quorate, row.members, row.sync) == (True, ("node1",), None)
    assert (row.fingerprint, row.fingerprint_kind) == (tree_digest(TREE), "digest")


def test_with_a_tree_at_hand_our_daemon_is_compared_by_it_too() -> None:
    row = read_probe("node1", probe(tree=TREE))
    assert (row.fingerprint, row.fingerprint_kind) == (tree_digest(TREE), "digest")


def test_a_digest_does_not_depend_on_quorum_but_on_all_else() -> None:
    without_quorum = {"a": {"mode": "0o100440", "size": 1}}
    assert tree_digest(TREE) == tree_digest(without_quorum)
    assert tree_digest(TREE) != tree_digest({"a": {"mode": "0o100640", "size": 2}})


@pytest.mark.parametrize(
    ("pmxcfs", "mount", "word"),
    [
        ({"pid": None, "exit_status": None}, None, "down"),
        ({"pid": None, "exit_status": 0}, None, "down"),
        ({"pid": None, "exit_status": 255}, None, "exited 255"),
        ({"pid": 5, "exit_status": None}, None, "no mount"),
        ({"pid": 5, "exit_status": None}, MOUNT, "up"),
    ],
)
def test_a_service_is_up_only_if_it_serves(pmxcfs: object, mount: object, word: str) -> None:
    services = {**SERVICES, "pmxcfs": pmxcfs}
    row = read_probe("node1", probe(services=services, mount=mount, daemon=None))
    assert row.pmxcfs == word


def test_a_node_that_gives_no_answer_is_shown_as_that() -> None:
    row = read_probe("node1", None)
    assert (row.corosync, row.pmxcfs, row.fingerprint) == ("no answer", "no answer", None)


def test_a_daemon_that_stands_alone_is_a_member_of_nothing() -> None:
    alone = {**DAEMON, "members": [{"node_id": 0, "name": None}]}
    assert read_probe("node1", probe(daemon=alone)).members == ()


def test_two_nodes_that_agree_have_settled() -> None:
    assert why_not_settled([settled("node1"), settled("node2")], PAIR) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"pmxcfs": "exited 255"}, "node2: pmxcfs exited 255"),
        ({"corosync": "down"}, "node2: corosync down"),
        ({"quorate": False}, "node2: not quorate"),
        ({"quorate": None}, "node2: not quorate"),
        ({"sync": "update"}, "node2: sync state update"),
        ({"members": ("node2",)}, "node2: members are node2"),
        ({"members": ("node1", "node2", "node3")}, "node2: members are node1, node2, node3"),
        ({"fingerprint": "other"}, "the trees differ"),
        ({"fingerprint": None}, "node2: its tree is not known yet"),
    ],
)
def test_whatever_is_missing_is_named(changed: dict[str, Any], reason: str) -> None:
    rows = [settled("node1"), replace(settled("node2"), **changed)]
    assert str(why_not_settled(rows, PAIR)).startswith(reason)


def test_another_daemon_need_not_list_ours_but_its_own_kind() -> None:
    other = replace(settled("node2"), sync=None, members=("node2",))
    assert why_not_settled([settled("node1"), other], PAIR) is None
    both = [replace(other, name="node1", members=("node1",)), other]
    assert why_not_settled(both, PAIR) == "node1: members are node1"


def test_a_daemon_that_lists_somebody_who_should_be_away_has_not_settled() -> None:
    other = replace(settled("node2"), sync=None, members=("node2", "node3"))
    reason = why_not_settled([settled("node1"), other], PAIR)
    assert reason == "node2: members are node2, node3"


def test_nodes_that_stand_alone_need_only_be_mounted() -> None:
    alone = replace(settled("node1"), corosync="down", members=(), fingerprint="a")
    other = replace(alone, name="node2", fingerprint="b")
    assert why_not_settled([alone, other], PAIR, local=True) is None
    assert why_not_settled([alone, replace(other, pmxcfs="down")], PAIR, local=True) is not None


def test_nodes_that_are_written_to_meanwhile_need_not_be_equal_but_all_else() -> None:
    other = replace(settled("node2"), fingerprint="other")
    assert why_not_settled([settled("node1"), other], PAIR, busy=True) is None
    cut_off = replace(other, quorate=False)
    assert why_not_settled([settled("node1"), cut_off], PAIR, busy=True) == "node2: not quorate"


def test_a_node_without_a_row_is_missed() -> None:
    assert why_not_settled([settled("node1")], PAIR) == "node2: not running"


def test_the_odd_one_out_is_not_equal() -> None:
    odd = replace(settled("node3"), fingerprint="other")
    silent = replace(settled("node4"), fingerprint=None)
    rows = [settled("node1"), settled("node2"), odd, silent]
    verdicts = {"node1": True, "node2": True, "node3": False, "node4": None}
    assert equality(rows) == verdicts

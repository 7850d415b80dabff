"""What the validators of bounds, equality and crashes find, and what they let pass."""

import hashlib
from typing import Any

import pytest
from pmxcfs_lab.runs.final import Exit
from pmxcfs_lab.runs.traffic import BOUNDS_S
from pmxcfs_lab.runs.validators.bounds import DIED

from tests.unit.lab.runs.story import Story

BOUND_S = BOUNDS_S["change"]


def test_calls_that_are_answered_within_their_bounds_are_fine() -> None:
    story = Story()
    story.call("lock", "x", 1.0, 1.0 + BOUND_S - 1)
    assert story.finding("bounds").examined == 1
    assert story.violations("bounds") == ()


def test_a_call_that_is_answered_too_late_is_found() -> None:
    story = Story()
    story.call("lock", "x", 1.0, 1.5 + BOUND_S, outcome="fail")
    assert "was answered after" in story.complaint("bounds")


def test_a_call_that_is_never_answered_is_found() -> None:
    story = Story()
    story.call("lock", "x", 1.0, None, outcome="unknown")
    assert "is not answered" in story.complaint("bounds")


def test_while_the_daemon_of_its_node_hangs_a_call_may_wait() -> None:
    story = Story()
    story.call("lock", "x", 1.0, 2 * BOUND_S, outcome="unknown")
    story.fault(2.0, 2 * BOUND_S, "hang", node="node1", service="pmxcfs")
    assert story.violations("bounds") == ()


@pytest.mark.parametrize(
    ("node", "service"), [("node2", "pmxcfs"), ("node1", "corosync")], ids=["peer", "corosync"]
)
def test_that_something_else_hangs_is_no_excuse(node: str, service: str) -> None:
    story = Story()
    story.call("lock", "x", 1.0, 2 * BOUND_S, outcome="unknown")
    story.fault(2.0, 2 * BOUND_S, "hang", node=node, service=service)
    assert len(story.violations("bounds")) == 1


def test_a_client_that_died_waits_for_nothing() -> None:
    story = Story()
    story.call("lock", "x", 1.0, 2 * BOUND_S, outcome="unknown", errno=DIED)
    assert story.violations("bounds") == ()


@pytest.mark.parametrize("place", ["tree", "kept"])
def test_what_a_node_wrote_alone_is_in_its_tree_or_in_one_that_it_kept(place: str) -> None:
    story = Story()
    story.fault(10.0, 20.0, "edit_alone", node="node1", files=2)
    assert "are nowhere" in story.complaint("keeping")
    digests = {
        f"edits-node1/{number}": hashlib.sha256(f"edit {number}".encode()).hexdigest()
        for number in (1, 2)
    }
    if place == "tree":
        story.trees["node1"] = {path: {"sha256": digest} for path, digest in digests.items()}
    else:
        story.kept["node1"] = {"config.db.lost-1": digests}
    assert story.finding("keeping").examined == 2
    assert story.violations("keeping") == ()


def test_nodes_that_show_the_same_are_equal() -> None:
    story = Story()
    story.ends_with("c1.1.3")
    assert story.finding("equality").examined == 3
    assert story.violations("equality") == ()


@pytest.mark.parametrize("what", ["trees", "views", "rows", "not_settled"])
def test_any_difference_is_found(what: str) -> None:
    story = Story()
    story.ends_with("c1.1.3")
    if what == "trees":
        story.ends_with("c1.2.3", "node3")
    elif what == "views":
        story.views["node3"] = {".vmlist": "{}"}
    elif what == "rows":
        story.rows["node3"] = "other"
    else:
        story.not_settled = "node3: sync state update"
    assert "node3" in repr(story.violations("equality"))
    assert len(story.violations("equality")) == 1


@pytest.mark.parametrize(
    ("published_at_s", "is_found"),
    [(100.0, False), (200.5, False), (202.0, True)],
    ids=["before the end of its daemon", "in the second of the start", "by its last daemon"],
)
def test_values_must_be_equal_if_the_last_daemon_of_their_node_published(
    published_at_s: float, *, is_found: bool
) -> None:
    story = Story()
    for name in story.names:
        story.views[name] = {"values of node1": "{}", "values of node2": "{}"}
    story.views["node3"]["values of node1"] = '{"node1/lab-status": "0badc0de"}'
    story.daemons_since = {"node1": 200.0, "node2": 0.0}
    story.call("publish", "lab-status", published_at_s, published_at_s + 0.1)
    story.call("publish", "lab-status", 20.0, 20.1, node="node2")
    finding = story.finding("equality")
    assert [violation.node for violation in finding.violations] == ["node3"] * is_found
    assert finding.excused == (not is_found)


def test_a_value_that_was_refused_or_is_another_nodes_says_nothing_of_the_last_daemon() -> None:
    story = Story()
    story.views["node3"] = {"values of node1": "{}"}
    story.daemons_since = {"node1": 200.0}
    story.call("publish", "lab-status", 210.0, 210.1, outcome="fail")
    story.call("publish", "lab-status", 210.0, 210.1, node="node2")
    assert story.violations("equality") == ()
    story.daemons_since = {}
    assert "values of node1" in story.violations("equality")[0].text


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "[main] error: a request of the kernel failed (request=setattr)",
        "[database] crit: the database failed: no more changes until a restart (error=x)",
        "pmxcfs: file.c:7: function: Assertion `x' failed.",
    ],
)
def test_a_line_that_should_never_be_logged_is_found(line: str) -> None:
    story = Story()
    story.logs["node2"]["pmxcfs.log"] = f"[main] info: ready\n{line}\n[main] info: ended\n"
    assert line in story.complaint("crashes")


def test_lines_of_other_daemons_are_judged_by_what_no_daemon_may_say() -> None:
    story = Story()
    story.binaries["node2"] = "/usr/bin/pmxcfs"
    story.logs["node2"]["pmxcfs.log"] = "[quorum] crit: quorum_initialize failed: 2\n"
    assert story.violations("crashes") == ()
    story.logs["node2"]["pmxcfs.log"] += "Segmentation fault\n"
    assert len(story.violations("crashes")) == 1


def test_a_line_that_belongs_to_a_fault_is_expected_with_it_only() -> None:
    story = Story()
    story.logs["node1"]["pmxcfs.log"] = "[main] crit: the end takes too long, leaving at once\n"
    assert len(story.violations("crashes")) == 1
    story.fault(1.0, 9.0, "hang", node="node1", service="corosync")
    assert story.violations("crashes") == ()


def test_a_database_with_flipped_bits_may_be_refused_and_no_other() -> None:
    story = Story()
    refusal = "[main] crit: cannot use /var/lib/pve-cluster/config.db: it is corrupt: page 9\n"
    story.logs["node1"]["pmxcfs.log"] = refusal
    story.fault(1.0, 9.0, "power_off", nodes=["node1"], seed=1, keep=0.5)
    assert len(story.violations("crashes")) == 1
    story.fault(11.0, 19.0, "bit_flips", node="node1", file="config.db-wal", bits=8, seed=1)
    assert story.violations("crashes") == ()


@pytest.mark.parametrize(
    ("status", "fields", "is_found"),
    [
        (137, {"node": "node1", "service": "pmxcfs"}, False),
        (137, {"node": "node2", "service": "pmxcfs"}, True),
        (139, {"node": "node1", "service": "pmxcfs"}, True),
    ],
    ids=["killed by the fault", "killed by nobody", "crashed during the fault"],
)
def test_a_service_may_end_by_a_fault_of_its_node_and_never_crash(
    status: int, fields: dict[str, Any], *, is_found: bool
) -> None:
    story = Story()
    story.fault(10.0, 20.0, "kill", **fields)
    story.exits.append(Exit(10.5, "node1", "pmxcfs", status))
    assert bool(story.violations("crashes")) is is_found

"""What the validator of survival finds, and what it lets pass."""

import hashlib

from pmxcfs_lab.runs.clients import text

from tests.unit.lab.runs.story import Story


def test_the_last_acknowledged_text_must_be_there_in_the_end() -> None:
    story = Story()
    first, last = story.update(1, 1.0), story.update(2, 2.0)
    story.ends_with(last)
    assert story.finding("survival").examined == 1
    assert story.violations("survival") == ()
    story.ends_with(first)
    assert "c1.2.3 was acknowledged" in story.complaint("survival")


def test_one_node_without_it_is_enough_for_a_violation_and_is_named() -> None:
    story = Story()
    story.ends_with(story.update(1, 1.0), "node1", "node3")
    assert "node2 has nothing" in story.complaint("survival")


def test_a_later_text_whose_outcome_nobody_knows_may_be_there() -> None:
    story = Story()
    story.update(1, 1.0)
    story.ends_with(story.update(2, 2.0, outcome="unknown"))
    assert story.violations("survival") == ()


def test_an_earlier_text_whose_outcome_nobody_knows_may_not() -> None:
    story = Story()
    unknown = story.update(1, 1.0, outcome="unknown")
    story.update(2, 2.0)
    story.ends_with(unknown)
    assert len(story.violations("survival")) == 1


def test_what_a_node_acknowledged_while_it_was_cut_off_may_be_lost_but_not_if_it_was_fsynced() -> (
    None
):
    story = Story()
    shared = story.update(1, 1.0)
    story.update(2, 10.5)
    story.fault(10.0, 20.0, "isolate", node="node1")
    story.ends_with(shared)
    assert story.violations("survival") == ()
    assert story.finding("survival").excused == 1
    story.call("fsync", "folder", 10.7, 10.8)
    assert "c1.2.3 was fsynced" in story.complaint("survival")


def test_an_fsync_after_a_node_has_come_back_says_nothing_of_what_it_dropped() -> None:
    story = Story()
    story.update(1, 10.5)
    story.fault(10.0, 20.0, "isolate", node="node1")
    story.call("fsync", "folder", 24.0, 24.1)
    assert story.violations("survival") == ()


def test_what_a_node_acknowledged_a_moment_before_it_was_cut_off_may_be_lost() -> None:
    story = Story()
    story.update(1, 9.5)
    story.fault(10.0, 20.0, "isolate", node="node1")
    assert story.violations("survival") == ()


def test_the_majoritys_side_of_a_cut_loses_nothing() -> None:
    for fault, fields in (
        ("isolate", {"node": "node3"}),
        ("halves", {"one": ["node3"]}),
        ("partition", {"groups": [["node1", "node2"], ["node3"]]}),
    ):
        story = Story()
        story.update(1, 10.5)
        story.fault(10.0, 20.0, fault, **fields)
        assert len(story.violations("survival")) == 1, fault


def test_without_a_majority_nobody_promises_anything() -> None:
    story = Story()
    story.update(1, 10.5)
    story.fault(10.0, 20.0, "partition", groups=[["node1"], ["node2"], ["node3"]])
    assert story.violations("survival") == ()


def test_a_daemon_that_is_killed_has_handed_over_what_it_acknowledged() -> None:
    story = Story()
    story.update(1, 9.8)
    story.fault(10.0, 20.0, "kill", node="node1", service="pmxcfs")
    assert len(story.violations("survival")) == 1


def test_a_corosync_that_is_killed_may_take_its_last_messages_with_it() -> None:
    story = Story()
    story.update(1, 9.8)
    story.fault(10.0, 20.0, "kill", node="node1", service="corosync")
    assert story.violations("survival") == ()


def test_a_node_that_was_seen_without_quorum_promises_nothing_shortly_before() -> None:
    story = Story()
    story.update(1, 8.0)
    for t in (9.0, 14.0):
        story.look(t, "node1")
    story.look(12.0, "node1", quorate=False)
    story.looks.sort(key=lambda look: look.t)
    assert story.violations("survival") == ()


def test_after_a_fault_a_node_promises_nothing_until_it_was_seen_in_sync() -> None:
    story = Story()
    story.fault(10.0, 20.0, "isolate", node="node1")
    story.look(21.0, "node1", sync="update")
    story.look(22.0, "node1")
    story.update(1, 21.5)
    assert story.violations("survival") == ()
    story.update(2, 23.0)
    assert len(story.violations("survival")) == 1


def test_when_all_nodes_lose_power_only_what_was_fsynced_is_owed() -> None:
    story = Story()
    story.update(1, 1.0)
    story.fault(100.0, 110.0, "power_off", nodes=["node1", "node2", "node3"])
    assert story.violations("survival") == ()
    story.call("fsync", "folder", 1.2, 1.3)
    assert len(story.violations("survival")) == 1


def test_a_node_that_somebody_had_work_alone_promises_nothing() -> None:
    story = Story()
    story.update(1, 10.5)
    story.call("fsync", "folder", 10.7, 10.8)
    story.fault(10.0, 20.0, "edit_alone", node="node1", files=1)
    assert story.violations("survival") == ()


def test_a_violation_says_who_keeps_what_was_lost() -> None:
    story = Story()
    token = story.update(1, 1.0)
    digest = hashlib.sha256(text.content(token)).hexdigest()
    story.kept["node2"] = {"config.db.lost-1": {"f": digest}}
    assert "node2 keeps it in config.db.lost-1" in story.complaint("survival")

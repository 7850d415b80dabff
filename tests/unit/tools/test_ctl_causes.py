"""What an operator is told: each fault has its cause, its words and its commands."""

import copy
from typing import Any

import pytest

from pmxcfs.tools.ctl_asking import Value
from pmxcfs.tools.ctl_causes import findings
from pmxcfs.tools.ctl_corosync import Corosync, votes_in
from pmxcfs.tools.ctl_members import votes, what_is_wrong_with

WORKS = Corosync("works", 11, votes={"expected": 3, "present": 3, "needed": 2})
LONELY = Corosync("works", 11, votes={"expected": 3, "present": 1, "needed": 2})
DEAD, HANGS = Corosync("dead"), Corosync("hangs", 11, is_stopped=True)
NOW_S = 1_700_000_000


def member(node_id: int, **changes: object) -> Value:
    return {
        "node_id": node_id,
        "name": f"node{node_id}",
        "is_this_node": node_id == 1,
        "ip": f"10.0.0.{node_id}",
        "votes": 1,
        "in_ring": True,
        "in_group": True,
        "pid": 42,
        "in_status_group": True,
        "awaited": False,
        "answers": True,
        "metrics_age_s": 4,
        **changes,
    }


WELL: dict[str, Any] = {
    "node": "node1",
    "software": "0.1.0",
    "pid": 42,
    "started_s": NOW_S - 100,
    "now_s": NOW_S,
    "mode": "cluster",
    "mountpoint": "/etc/pve",
    "forced_local": False,
    "fsync": "majority",
    "debug": False,
    "watchers": 0,
    "writable": True,
    "quorum": {"quorate": True, "since_s": NOW_S - 90},
    "sync": {
        "mode": "synced",
        "since_s": NOW_S - 90,
        "stuck": False,
        "leader": 1,
        "status_group": "synced",
    },
    "cluster": {"name": "lab", "config_version": 1, "votes": 3, "votes_needed": 2},
    "members": [member(1), member(2), member(3)],
    "tree": {
        "version": 7,
        "mtime_s": NOW_S,
        "entries": 5,
        "entries_max": 262_144,
        "bytes": 1000,
        "bytes_max": 2**27,
    },
    "database": {
        "path": "/var/lib/pve-cluster/config.db",
        "state": "writable",
        "since_s": NOW_S - 100,
        "reason": None,
        "is_final": False,
        "answers": True,
        "size_bytes": 4096,
        "wal_bytes": 0,
        "free_bytes": 2**40,
        "free_bytes_needed": 2**22,
    },
    "locks": {"count": 0, "lifetime_s": 120, "held": []},
    "waits": [],
    "queue": {
        "callers": 0,
        "callers_max": 512,
        "held_back": 0,
        "behind_database": 0,
        "for_quorum": 0,
    },
    "corosync": [{"service": "quorum", "trouble": None, "since_s": None}],
    "kept_trees": [],
    "unshared_since": None,
    "restart_flag": False,
}


def status(**changes: object) -> Value:
    """Return the state of a node that is well, but for changes: ``part__key`` or ``part``."""
    state = copy.deepcopy(WELL)
    for name, value in changes.items():
        part, _, key = name.partition("__")
        if key:
            state[part][key] = value
        else:
            state[part] = value
    return state


def awaited(who: str = "tree", waited_s: float = 5.0) -> Value:
    return {
        "who": who,
        "kind": "states",
        "what": "members have not told their state",
        "waits_for": ["node3 (id 3, pid 42)"],
        "waited_s": waited_s,
    }


def test_a_node_that_is_well_has_nothing_to_say() -> None:
    found = findings(status(), WORKS)
    assert (found.causes, found.concerns, found.notices) == ((), (), ())
    assert found.is_all_well


def test_a_node_without_quorum_names_who_is_missing_and_the_votes() -> None:
    cut_off = [member(1), member(2, in_ring=False), member(3, in_ring=False, votes=2)]
    state = status(writable=False, quorum__quorate=False, members=cut_off)
    [cause] = findings(state, LONELY).causes
    assert cause.code == "no-quorum"
    assert cause.sentence == "no quorum: this node sees 1 of 3 votes and needs 2"
    text = "\n".join(cause.details)
    assert "node2 (id 2, 1 vote): corosync does not reach it" in text
    assert "node3 (id 3, 2 votes)" in text
    assert "becomes writable when 1 more vote of node2 and node3 are back" in text
    assert "ping -c 3 10.0.0.3" in cause.commands


def test_votes_come_from_the_configuration_when_corosync_cannot_be_asked() -> None:
    cut_off = [member(1), member(2, in_ring=False), member(3)]
    assert votes(status(members=cut_off), Corosync("unknown")) == (2, 2, 3)
    assert votes(status(members=cut_off), LONELY) == (1, 2, 3)


@pytest.mark.parametrize(
    ("corosync", "code", "command"),
    [
        (DEAD, "corosync-dead", "systemctl start corosync"),
        (HANGS, "corosync-hangs", "kill -CONT 11"),
    ],
)
@pytest.mark.parametrize("quorate", [True, False])
def test_a_corosync_that_is_away_is_the_one_cause_whatever_the_daemon_still_believes(
    corosync: Corosync, code: str, command: str, quorate: bool
) -> None:
    state = status(quorum__quorate=quorate, writable=quorate)
    state["sync"]["mode"] = "synced" if quorate else "start"
    [cause] = findings(state, corosync).causes
    assert cause.code == code
    assert command in cause.commands


def test_a_lost_connection_is_told_with_its_reason() -> None:
    trouble = {"service": "quorum", "trouble": "it broke", "since_s": NOW_S - 3}
    state = status(writable=False, quorum__quorate=False, corosync=[trouble])
    causes = findings(state, Corosync("unknown")).causes
    assert [cause.code for cause in causes] == ["corosync-connection", "no-quorum"]
    assert causes[0].details == ("quorum: it broke, for 3 s",)


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("start-sync", "not-synced"),
        ("update", "not-synced"),
        ("start", "joining"),
        ("leave", "leaving"),
        ("version-error", "version"),
        ("error", "out"),
    ],
)
def test_a_node_out_of_sync_says_how_and_for_whom_it_waits(mode: str, code: str) -> None:
    state = status(writable=False, waits=[awaited()])
    state["sync"]["mode"] = mode
    [cause] = findings(state, WORKS).causes
    assert cause.code == code
    assert cause.commands


def test_a_hanging_peer_is_named_with_the_way_to_it() -> None:
    state = status(writable=False, waits=[awaited()])
    state["sync"]["mode"] = "start-sync"
    state["members"][2]["awaited"] = True
    found = findings(state, WORKS)
    assert "waits for node3 (id 3, pid 42) since 5 s" in found.causes[0].details[0]
    assert "ssh node3 pmxcfs-ctl status" in found.causes[0].commands
    assert "its pmxcfs has not told its state" in found.concerns[0].details[0]


def test_a_change_under_way_is_no_cause_before_it_takes_long() -> None:
    assert findings(status(waits=[awaited(waited_s=0.5)]), WORKS).is_all_well
    [cause] = findings(status(waits=[awaited(waited_s=5)]), WORKS).causes
    assert cause.code == "slow"


@pytest.mark.parametrize(
    ("state", "code", "word"),
    [
        ("waiting", "database-waits", "df -h"),
        ("refusing", "database-refuses", "df -h"),
        ("failed", "database-failed", "pmxcfs-db check"),
    ],
)
def test_a_database_that_takes_nothing_says_why(state: str, code: str, word: str) -> None:
    value = status(writable=False, database__state=state, database__reason="disk is full")
    value["sync"]["mode"] = {"failed": "error", "refusing": "leave"}.get(state, "synced")
    [cause] = findings(value, WORKS).causes
    assert cause.code == code
    assert "disk is full" in cause.details
    assert any(word in command for command in cause.commands)


def test_missing_nodes_are_a_concern_and_so_is_a_margin_of_no_vote() -> None:
    state = status(members=[member(1), member(2), member(3, in_ring=False)])
    corosync = Corosync("works", 11, votes={"expected": 3, "present": 2, "needed": 2})
    found = findings(state, corosync)
    assert found.causes == ()
    [concern] = found.concerns
    assert concern.code == "members-missing"
    assert "one more lost vote" in concern.details[-1]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"in_ring": False}, "does not reach it"),
        ({"in_group": False}, "its pmxcfs is not"),
        ({"awaited": True}, "has not told its state"),
        ({"in_status_group": False}, "are not seen"),
        ({}, ""),
    ],
)
def test_each_way_of_not_taking_part_has_its_meaning(changes: dict[str, bool], word: str) -> None:
    other = member(2, **changes)
    text = what_is_wrong_with(other, status(members=[member(1), other]))
    assert (word in text) if word else text == ""


def test_who_is_out_of_the_group_does_not_accuse_the_others() -> None:
    others = [member(2, in_group=False), member(3, in_group=False)]
    state = status(members=[member(1, in_group=False), *others])
    assert [what_is_wrong_with(other, state) for other in others] == ["", ""]
    blind = status(members=[member(each, in_ring=False, in_group=False) for each in (1, 2)])
    assert "no word from its own corosync" in what_is_wrong_with(blind["members"][1], blind)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tree__entries": 220_000}, "near-limit"),
        ({"tree__bytes": 2**27}, "near-limit"),
        ({"database__free_bytes": 1000}, "disk-nearly-full"),
        ({"database__answers": False, "database__free_bytes": None}, "disk-slow"),
        ({"waits": [awaited("status")]}, "status-group"),
    ],
)
def test_what_will_be_trouble_soon_is_a_concern(changes: dict[str, object], code: str) -> None:
    found = findings(status(**changes), WORKS)
    assert [concern.code for concern in found.concerns] == [code]
    assert found.causes == ()


def test_notices_are_not_a_fault() -> None:
    kept = ["/var/lib/pve-cluster/config.db.lost-20260101T000000"]
    state = status(kept_trees=kept, unshared_since=5, restart_flag=True, debug=True)
    found = findings(state, WORKS)
    assert found.is_all_well
    codes = [notice.code for notice in found.notices]
    assert codes == ["kept-trees", "unshared", "restart-flag", "debug"]


def test_a_refusal_without_a_known_reason_is_still_told() -> None:
    [cause] = findings(status(writable=False), WORKS).causes
    assert cause.code == "unknown"


def test_a_node_alone_has_no_quorum_to_miss_and_no_corosync() -> None:
    state = status(mode="standalone", members=[], cluster=None)
    assert findings(state, DEAD).is_all_well


def test_quorumtool_is_read_and_half_an_answer_is_none() -> None:
    text = "Expected votes:   3\nHighest expected: 3\nTotal votes:      2\nQuorum:           2  \n"
    assert votes_in(text) == {"expected": 3, "present": 2, "needed": 2}
    assert votes_in("Cannot initialize QUORUM service\n") is None


def test_a_member_that_does_not_answer_while_all_are_in_sync_is_named() -> None:
    state = status(members=[member(1), member(2), member(3, answers=False)])
    found = findings(state, WORKS)
    assert found.causes == ()
    [concern] = found.concerns
    assert concern.sentence == "not all nodes take part: node3"
    assert "its pmxcfs does not answer: it hangs" in concern.details[0]
    assert "ssh node3 pmxcfs-ctl status" in concern.commands


def test_a_member_that_cannot_be_asked_is_noticed_by_metrics_that_end() -> None:
    late = [member(1), member(2, answers=None, metrics_age_s=50)]
    [notice] = findings(status(members=late), WORKS).notices
    assert notice.code == "silent"
    assert "node2 has told no metrics for 50 s" in notice.sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"answers": True, "metrics_age_s": 500},
        {"answers": None, "metrics_age_s": 20},
        {"answers": None, "metrics_age_s": None},
        {"answers": None, "metrics_age_s": 500, "in_group": False, "in_ring": False},
    ],
)
def test_metrics_say_nothing_of_who_answers_or_is_known_to_be_away(changes: Value) -> None:
    state = status(members=[member(1), member(2, **changes)])
    assert findings(state, WORKS).notices == ()


def test_callers_who_wait_in_fsync_are_a_concern_once_it_takes_long() -> None:
    wait = {**awaited("fsync", 3.0), "callers": 2}
    [concern] = findings(status(waits=[wait]), WORKS).concerns
    assert concern.sentence.startswith("2 callers of fsync wait")
    assert "node3 (id 3, pid 42)" in concern.details[0]
    assert findings(status(waits=[{**wait, "waited_s": 0.2}]), WORKS).concerns == ()

"""The cluster log: order, duplicates, merging, restarts, clocks that go wrong."""

from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.status.clusterlog import MERGED_BYTES_MAX, ClusterLog
from pmxcfs.status.entry import LogEntry
from pmxcfs.status.ring import rounded_size

NOW_S = 1_700_000_000
ME, OTHER, THIRD = (Member(NodeId(number), Pid(number)) for number in (1, 2, 3))


def write(to: ClusterLog, text: str, now_s: int = NOW_S, ident: bytes = b"root@pam") -> LogEntry:
    return to.add(priority=6, ident=ident, tag=b"t", text=text.encode(), pid=9, now_s=now_s)


def texts(of: ClusterLog, ident: bytes = b"") -> list[str]:
    return [entry.message.decode() for entry in of.entries(ident)]


def test_the_newest_entry_is_shown_first() -> None:
    log = ClusterLog(b"node1")
    for text in ("a", "b", "c"):
        write(log, text)
    assert texts(log) == ["c", "b", "a"]


def test_a_users_entries_can_be_asked_for() -> None:
    log = ClusterLog(b"node1")
    write(log, "mine", ident=b"me@pam")
    write(log, "other", ident=b"you@pam")
    assert texts(log, b"me@pam") == ["mine"]
    assert texts(log, b"nobody") == []


def test_an_entry_of_another_node_is_taken_once() -> None:
    log, other = ClusterLog(b"node1"), ClusterLog(b"node2")
    first, second = write(other, "first"), write(other, "second")
    for entry in (first, second, second, first):
        log.receive(entry.encode())
    assert texts(log) == ["second", "first"]


def test_what_comes_late_is_no_longer_taken() -> None:
    log, other = ClusterLog(b"node1"), ClusterLog(b"node2")
    early, late = write(other, "early"), write(other, "late", NOW_S + 1)
    log.receive(late.encode())
    log.receive(early.encode())
    assert texts(log) == ["late"]


def test_nothing_of_our_own_is_lost_when_the_clock_steps_back() -> None:
    log, peer = ClusterLog(b"node1"), ClusterLog(b"node2")
    for text, now_s in (("before", NOW_S), ("after", NOW_S - 3600), ("and on", NOW_S - 3599)):
        peer.receive(write(log, text, now_s).encode())
    assert texts(peer) == texts(log) == ["and on", "after", "before"]


def test_all_members_merge_to_the_same_log() -> None:
    logs = {ME: ClusterLog(b"node1"), OTHER: ClusterLog(b"node2"), THIRD: ClusterLog(b"node3")}
    for turn in range(20):
        for member, log in logs.items():
            write(log, f"{turn} of {member.node_id}", NOW_S + turn * (member.node_id % 2))
    states = {member: log.state() for member, log in logs.items()}
    for member, log in logs.items():
        log.merge(states, member)
    assert len(texts(logs[ME])) == 60
    assert len({log.state() for log in logs.values()}) == 1


def test_what_was_logged_after_our_state_was_sent_survives_the_merge() -> None:
    log = ClusterLog(b"node1")
    write(log, "before")
    states = {ME: log.state()}
    write(log, "meanwhile")
    log.merge(states, ME)
    assert texts(log) == ["meanwhile", "before"]


def test_a_merged_log_knows_what_is_a_duplicate() -> None:
    log, other = ClusterLog(b"node1"), ClusterLog(b"node2")
    entry = write(other, "once")
    log.merge({ME: log.state(), OTHER: other.state()}, ME)
    log.receive(entry.encode())
    assert texts(log) == ["once"]


def test_a_full_log_merges_to_the_newest_entries() -> None:
    log, other = ClusterLog(b"node1"), ClusterLog(b"node2")
    for turn in range(200):
        write(log, f"{turn:03}" + "x" * 900, NOW_S + turn)
        write(other, f"{turn:03}" + "y" * 900, NOW_S + turn)
    log.merge({ME: log.state(), OTHER: other.state()}, ME)
    numbers = [int(text[:3]) for text in texts(log)]
    assert numbers == sorted(numbers, reverse=True)
    sizes = [rounded_size(entry) for entry in log.entries()]
    assert MERGED_BYTES_MAX <= sum(sizes) < MERGED_BYTES_MAX + sizes[-1]


def test_a_members_ring_that_makes_no_sense_is_left_out() -> None:
    log, other = ClusterLog(b"node1"), ClusterLog(b"node2")
    write(log, "mine")
    write(other, "theirs")
    junk = (131_072).to_bytes(4, "little") + b"\xff" * 131_068
    log.merge({ME: log.state(), OTHER: junk, THIRD: other.state()}, ME)
    assert sorted(texts(log)) == ["mine", "theirs"]


def test_a_daemon_started_twice_within_a_second_loses_no_entry() -> None:
    peer = ClusterLog(b"node2")
    states = {}
    for member, first_uid in ((Member(NodeId(1), Pid(10)), 200_001), (ME, 700_001)):
        log = ClusterLog(b"node1", first_uid)
        write(log, f"start of {member.pid}")
        states = {member: log.state(), OTHER: peer.state()}
        peer.merge(states, OTHER)
    log.merge(states, ME)
    assert texts(log) == texts(peer) == ["start of 1", "start of 10"]
    peer.receive(write(log, "news").encode())
    assert texts(peer)[0] == "news"


def test_a_successor_that_counts_from_less_catches_up_with_the_merged_log() -> None:
    """The numbers of a predecessor that logged a lot are higher than where we begin."""
    old, peer, new = ClusterLog(b"node1", 900_000), ClusterLog(b"node2"), ClusterLog(b"node1", 5)
    peer.receive(write(old, "last words").encode())
    write(new, "start")
    new.merge({ME: new.state(), OTHER: peer.state()}, ME)
    peer.receive(write(new, "news").encode())
    assert texts(peer)[0] == "news"

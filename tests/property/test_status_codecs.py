"""The cluster log takes any bytes: what is logged can be read, junk is refused and not fatal."""

import json
import struct
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from pmxcfs import views
from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.kvstore import StatusApplication
from pmxcfs.status.clusterlog import ClusterLog
from pmxcfs.status.entry import ENTRY_BYTES_MAX, LogEntry, decode_entry, new_entry
from pmxcfs.status.json_text import quoted
from pmxcfs.status.members import ClusterInfo, ClusterNode
from pmxcfs.status.messages import Update, decode_update, encode_update
from pmxcfs.status.ring import RING_BYTES, Ring, decode_ring
from pmxcfs.status.state import ClusterStatus
from pmxcfs.status.text import converted

NOW_S = 1_700_000_000
ME, OTHER = Member(NodeId(1), Pid(1)), Member(NodeId(2), Pid(2))

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
NAMES = st.binary(max_size=300)
TEXTS = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode(errors="replace")),
    st.text('\\u"aä\x07\U0001f600d8', max_size=2000).map(str.encode),
    st.builds(lambda head, tail: head + tail * 5000, st.binary(max_size=5), st.binary(max_size=5)),
)
RAW = st.binary(max_size=254)
ENTRIES = st.builds(LogEntry, U32, U32, U64, U64, U32, st.integers(0, 255), RAW, RAW, RAW, RAW)


@given(ENTRIES)
def test_an_entry_reads_as_it_was_written(entry: LogEntry) -> None:
    assert len(entry.encode()) == entry.size_bytes
    assert decode_entry(entry.encode()) == entry


@given(NAMES, NAMES, NAMES, TEXTS)
def test_whatever_is_logged_makes_an_entry_that_peers_take(
    node: bytes, ident: bytes, tag: bytes, text: bytes
) -> None:
    entry = new_entry(
        uid=1, time_s=2, pid=3, priority=4, node=node, ident=ident, tag=tag, text=text
    )
    assert entry.size_bytes <= ENTRY_BYTES_MAX
    assert decode_entry(entry.encode()) == entry
    assert all(32 <= byte < 127 for byte in entry.message)


@given(NAMES, NAMES, TEXTS)
def test_whatever_is_logged_is_shown_as_json(ident: bytes, tag: bytes, text: bytes) -> None:
    status = ClusterStatus("node1")
    status.log.add(priority=6, ident=ident, tag=tag, text=text, pid=1, now_s=NOW_S)
    shown = json.loads(views.clusterlog_text(status))["data"]
    assert len(shown) == 1


@given(ENTRIES)
def test_whatever_a_peer_has_logged_is_shown_as_json(entry: LogEntry) -> None:
    status = ClusterStatus("node1")
    status.log.receive(entry.encode())
    (shown,) = json.loads(views.clusterlog_text(status))["data"]
    assert shown["uid"] == entry.uid
    shown["msg"].encode()  # no half of a surrogate pair, which other parsers refuse


@given(st.text('ab \\"#é', max_size=50))
def test_backslashes_and_quotes_read_as_they_were_logged(text: str) -> None:
    status = ClusterStatus("node1")
    status.log.add(priority=6, ident=b"", tag=b"", text=text.encode(), pid=1, now_s=NOW_S)
    assert json.loads(views.clusterlog_text(status))["data"][0]["msg"] == text


@given(st.text('abc DEF 09.,:;/()[]{}<>!$%&=?#+*~-_|^`@"ä€', max_size=50))
def test_ordinary_messages_are_shown_byte_for_byte_like_the_references(text: str) -> None:
    status = ClusterStatus("node1")
    status.log.add(priority=6, ident=b"", tag=b"", text=text.encode(), pid=1, now_s=NOW_S)
    assert b'"msg": "' + converted(text.encode(), 4000) + b'"}' in views.clusterlog_text(status)


@given(st.binary(max_size=50))
def test_any_name_is_quoted_as_json(name: bytes) -> None:
    assert isinstance(json.loads(quoted(name)), str)


@given(st.builds(Update, st.binary(max_size=255).map(lambda key: key.replace(b"\0", b"")), RAW))
def test_an_update_reads_as_it_was_written(update: Update) -> None:
    assert decode_update(encode_update(update)[1]) == update


@given(
    st.binary(max_size=400),
    st.integers(0, 2 * RING_BYTES),
    st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=8)), max_size=20),
)
def test_a_junk_ring_is_refused_or_read_but_never_fatal(
    junk: bytes, newest: int, damage: list[tuple[int, bytes]]
) -> None:
    data = bytearray(struct.pack("<2I", RING_BYTES, newest) + junk)
    data = data.ljust(RING_BYTES, b"\0")
    honest = bytearray(bytes(Ring(_entry(uid) for uid in range(20))))
    for place, replacement in damage:
        honest[place : place + len(replacement)] = replacement
    for ring in (data, honest, junk):
        with suppress(ProtocolError):
            assert sum(entry.size_bytes for entry in decode_ring(bytes(ring))) <= RING_BYTES


@given(st.binary(max_size=400), st.integers(0, RING_BYTES), st.integers(0, 4))
def test_junk_from_a_member_leaves_our_log_as_it_was(
    junk: bytes, newest: int, subtype: int
) -> None:
    application = StatusApplication(ClusterStatus("node1"))
    application.me = ME
    status = application.status
    status.learn_nodes(ClusterInfo("c", 1, (ClusterNode(NodeId(2), "node2"),)))
    status.log.add(priority=6, ident=b"me", tag=b"", text=b"mine", pid=1, now_s=NOW_S)
    application.deliver(OTHER, subtype, junk, NOW_S, NOW_S)
    application.deliver(OTHER, subtype, junk.ljust(300, b"\0"), NOW_S, NOW_S)
    ring = (struct.pack("<2I", RING_BYTES, newest) + junk).ljust(RING_BYTES, b"\0")
    application.compare_states({ME: application.state(), OTHER: ring})
    assert b"mine" in [entry.message for entry in status.log.entries(b"me")]


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=150))
def test_a_ring_keeps_the_newest_entries_without_a_gap(lengths: list[int]) -> None:
    ring = Ring(_entry(uid, length) for uid, length in enumerate(lengths))
    uids = [entry.uid for entry in ring.walk()]
    assert uids == list(range(len(lengths)))[::-1][: len(uids)]
    kept = sum(entry.size_bytes for entry in ring.walk())
    assert len(uids) == len(lengths) or kept > RING_BYTES - 4 * ENTRY_BYTES_MAX


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, 3)), max_size=40))
def test_merging_loses_nothing_that_fits_and_all_come_to_the_same(
    writes: list[tuple[int, int]],
) -> None:
    members = [Member(NodeId(number), Pid(1)) for number in (1, 2, 3)]
    logs = [ClusterLog(b"node%d" % member.node_id) for member in members]
    now_s = NOW_S
    for who, pause_s in writes:
        now_s += pause_s
        logs[who].add(priority=6, ident=b"", tag=b"", text=b"x", pid=1, now_s=now_s)
    states = {member: log.state() for member, log in zip(members, logs, strict=True)}
    for member, log in zip(members, logs, strict=True):
        log.merge(states, member)
    assert len({log.state() for log in logs}) == 1
    assert len(decode_ring(logs[0].state())) == len(writes)


def _entry(uid: int, length: int = 20) -> LogEntry:
    return new_entry(
        uid=uid, time_s=1, pid=1, priority=6, node=b"n", ident=b"i", tag=b"t", text=b"x" * length
    )

"""Any history on a cluster's tree: guests stay unique, and a sync ends with the leader's tree."""

from hypothesis import given
from hypothesis import strategies as st

from pmxcfs.database import Database
from pmxcfs.memdb.entry import Change
from pmxcfs.memdb.guests import GuestList, parse_guest_path
from pmxcfs.memdb.index import index_of
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.messages import decode_update, encode_update
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, SetMtime, Write
from pmxcfs.memdb.sync import catch_up, differing_inodes

DIRECTORIES = [
    b"nodes",
    b"nodes/a",
    b"nodes/a/lxc",
    b"nodes/a/qemu-server",
    b"nodes/b",
    b"nodes/b/lxc",
    b"priv",
    b"priv/lock",
    b"priv/lock/x",
]
CONFIGS = [
    b"nodes/%s/%d.conf" % (place, vmid)
    for place in (b"a/lxc", b"a/qemu-server", b"b/lxc")
    for vmid in (100, 101)
]
FILES = st.sampled_from([*CONFIGS, b"nodes/a/lxc/100.conf.tmp", b"file"])
PATHS = st.one_of(FILES, st.sampled_from(DIRECTORIES))
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Create, FILES),
    st.builds(Mkdir, st.sampled_from(DIRECTORIES)),
    st.builds(Write, FILES, st.integers(0, 5), st.binary(max_size=5), st.booleans()),
    st.builds(SetMtime, PATHS, st.integers(0, 100)),
    st.builds(Delete, PATHS),
    st.builds(Rename, FILES, FILES),
)
HISTORIES = st.lists(OPERATIONS, max_size=25)


def a_memdb() -> Memdb:
    memdb = Memdb(Database.in_memory().load(), now_s=0)
    play(memdb, [Mkdir(path) for path in DIRECTORIES], writer=1)
    return memdb


def play(memdb: Memdb, history: list[Operation], writer: int) -> list[Change]:
    changes: list[Change] = []
    for time, operation in enumerate(history, start=50):
        changes += memdb.apply(operation, writer, time, now_s=time).changes
    return changes


def places(guests: GuestList) -> dict[int, tuple[str, str]]:
    return {guest.vmid: (guest.node, guest.kind) for guest in guests}


@given(HISTORIES)
def test_the_guest_list_is_what_a_restart_would_find(history: list[Operation]) -> None:
    memdb = a_memdb()
    for operation in history:
        play(memdb, [operation], writer=1)
        assert places(memdb.guests) == places(Memdb(memdb.tree, now_s=0).guests)


@given(HISTORIES)
def test_no_guest_is_configured_twice(history: list[Operation]) -> None:
    memdb = a_memdb()
    play(memdb, history, writer=1)
    paths = [parse_guest_path(memdb.tree.path_of(entry.inode)) for entry in memdb.tree.entries()]
    ids = [path.vmid for path in paths if path is not None]
    assert len(ids) == len(set(ids))


@given(HISTORIES, HISTORIES)
def test_undoing_restores_tree_guests_and_locks(
    history: list[Operation], failed: list[Operation]
) -> None:
    memdb = a_memdb()
    play(memdb, history, writer=1)
    before = (list(memdb.tree.entries()), index_of(memdb.tree), places(memdb.guests))
    had_lock = memdb.tree.find(b"priv/lock/x") is not None
    memdb.revert(play(memdb, failed, writer=2), now_s=0)
    assert (list(memdb.tree.entries()), index_of(memdb.tree), places(memdb.guests)) == before
    assert (b"priv/lock/x" in memdb.locks) == had_lock


@given(HISTORIES, HISTORIES, HISTORIES)
def test_a_member_takes_over_the_leaders_tree_and_so_does_its_database(
    common: list[Operation], leaders: list[Operation], own: list[Operation]
) -> None:
    leader, memdb, database = a_memdb(), a_memdb(), Database.in_memory()
    database.commit([Change(None, entry) for entry in memdb.tree.entries() if entry.inode])
    play(leader, common, writer=1)
    database.commit(play(memdb, common, writer=1))
    play(leader, leaders, writer=1)
    database.commit(play(memdb, own, writer=2))

    index = index_of(leader.tree)
    inodes = differing_inodes(index, [index_of(memdb.tree)])
    sent = [entry for inode in inodes if (entry := leader.tree.get(inode)) is not None]
    updates = [decode_update(encode_update(entry)) for entry in sent]
    tree, changes = catch_up(memdb.tree, index, updates)
    assert list(tree.entries()) == list(leader.tree.entries())

    database.commit(changes)
    if all(entry.size == len(entry.data) for entry in tree.entries()) and changes:
        assert list(database.load().entries()) == list(tree.entries())
    database.close()

"""The driver: what is done with effects, in which order, and what a failing database leads to."""

from collections.abc import Callable, Sequence
from errno import EACCES, EBUSY, EEXIST, EIO

import pytest
import trio
import trio.testing

from pmxcfs import driver as driver_module
from pmxcfs.dcdb import KeepLosingTree
from pmxcfs.dfsm.events import ConfigurationChange, Connected, Delivered
from pmxcfs.dfsm.modes import Mode
from pmxcfs.driver import Driver
from pmxcfs.errors import OperationError, StorageError, TemporaryStorageError
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.loopback import LoopbackGroup
from pmxcfs.memdb.entry import Change
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Mkdir, SetMtime, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import QuorumChanged, Replica

NOW_S = 1_700_000_000
BROKEN, LOCKED = StorageError("the disk is broken"), TemporaryStorageError("it is locked")
ALONE = Member(NodeId(0), Pid(42))
ME, OTHER = Member(NodeId(1), Pid(101)), Member(NodeId(2), Pid(202))


class Disk:
    """A storage that remembers commits, and refuses them when told to."""

    def __init__(self) -> None:
        self.commits: list[list[Change]] = []
        self.refusal: StorageError | None = None
        self.probes = 0

    def commit(self, changes: Sequence[Change]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.commits.append(list(changes))

    def probe(self) -> None:
        self.probes += 1
        if self.refusal is not None:
            raise self.refusal


class Outbox:
    """A group whose messages go nowhere until the test delivers them."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.left_for_good: list[bool] = []

    def multicast(self, data: bytes) -> None:
        self.sent.append(data)

    def leave(self, *, for_good: bool) -> None:
        self.left_for_good.append(for_good)


class Cache:
    """A kernel cache that remembers what it was told to forget."""

    def __init__(self) -> None:
        self.forgotten: list[Change | None] = []

    def forget(self, changes: Sequence[Change], *, is_own: bool = False) -> None:
        self.forgotten += changes

    def forget_all(self) -> None:
        self.forgotten.append(None)


def standalone(
    disk: Disk,
    clock: Callable[[], int] = lambda: NOW_S,
    steady_clock: Callable[[], int] | None = None,
) -> Driver:
    replica = Replica(Memdb(Tree.new(), NOW_S), node_name="alone", standalone=True)
    driver = Driver(replica, disk, clock, steady_clock)
    group = LoopbackGroup(ALONE, driver.feed)
    driver.attach(group)
    group.start()
    return driver


def clustered(disk: Disk, outbox: Outbox, me: Member = ME) -> Driver:
    """Return a node, alone in its group, in sync and quorate."""
    replica = Replica(Memdb(Tree.new(), NOW_S), node_name="node1", standalone=False)
    driver = Driver(replica, disk, lambda: NOW_S)
    driver.attach(outbox)
    driver.feed([Connected(me), ConfigurationChange((me,), joined=(me,)), QuorumChanged(True)])
    return driver


async def test_a_standalone_change_is_committed_before_it_is_answered() -> None:
    disk = Disk()
    driver = standalone(disk)
    commits_at_answer: list[int] = []
    driver.begin(Create(b"a"), lambda result: commits_at_answer.append(len(disk.commits)))
    assert commits_at_answer == [1]


async def test_a_standalone_write_returns_its_count_and_is_written_by_nobody() -> None:
    driver = standalone(Disk())
    assert await driver.submit(Create(b"a")) == 0
    assert await driver.submit(Write(b"a", 0, b"hello")) == 5
    entry = driver.replica.memdb.tree.find(b"a")
    assert entry is not None
    assert (entry.data, entry.writer, entry.mtime) == (b"hello", 0, NOW_S)


async def test_a_refused_change_raises_its_errno() -> None:
    driver = standalone(Disk())
    await driver.submit(Mkdir(b"d"))
    with pytest.raises(OperationError) as refusal:
        await driver.submit(Mkdir(b"d"))
    assert refusal.value.errno == EEXIST


async def test_deliveries_of_one_wake_up_are_one_commit() -> None:
    disk, outbox = Disk(), Outbox()
    driver = clustered(disk, outbox)
    results: list[int] = []
    for name in (b"a", b"b", b"c"):
        driver.begin(Create(name), results.append)
    assert (results, disk.commits) == ([], [])
    driver.feed([Delivered(ME, data) for data in outbox.sent])
    assert results == [0, 0, 0]
    assert len(disk.commits) == 1


async def test_a_failed_commit_is_taken_back_in_memory_answered_eio_and_final() -> None:
    disk = Disk()
    driver = standalone(disk)
    await driver.submit(Create(b"kept"))
    disk.refusal = BROKEN
    with pytest.raises(OperationError) as first:
        await driver.submit(Create(b"lost"))
    tree = driver.replica.memdb.tree
    assert first.value.errno == EIO
    assert tree.find(b"lost") is None
    assert tree.root.version == 2
    disk.refusal = None
    with pytest.raises(OperationError) as second:
        await driver.submit(Create(b"later"))
    assert second.value.errno == EIO
    assert tree.find(b"kept") is not None


async def test_a_failed_commit_leaves_the_group_for_good() -> None:
    disk, outbox = Disk(), Outbox()
    driver = clustered(disk, outbox)
    results: list[int] = []
    driver.begin(Create(b"a"), results.append)
    disk.refusal = BROKEN
    driver.feed([Delivered(ME, outbox.sent[0])])
    assert results == [-EIO]
    assert outbox.left_for_good == [True]
    assert driver.replica.mode is Mode.ERROR


async def test_without_quorum_nothing_is_sent_and_the_caller_gets_eacces() -> None:
    outbox = Outbox()
    driver = clustered(Disk(), outbox)
    driver.feed([QuorumChanged(False)])
    with pytest.raises(OperationError) as refusal:
        await driver.submit(Create(b"a"))
    assert refusal.value.errno == EACCES
    assert outbox.sent == []


async def test_a_change_waits_while_the_group_is_not_in_sync_and_is_sent_afterwards() -> None:
    outbox = Outbox()
    driver = clustered(Disk(), outbox)
    driver.feed([ConfigurationChange((ME, OTHER), joined=(OTHER,))])
    sent_by_sync = len(outbox.sent)
    driver.begin(Create(b"a"), lambda result: None)
    assert len(outbox.sent) == sent_by_sync
    driver.feed([ConfigurationChange((ME,), left=(OTHER,))])
    assert len(outbox.sent) == sent_by_sync + 1


async def test_what_was_held_back_is_refused_when_quorum_goes() -> None:
    driver = clustered(Disk(), Outbox())
    driver.feed([ConfigurationChange((ME, OTHER), joined=(OTHER,))])
    results: list[int] = []
    driver.begin(Create(b"a"), results.append)
    driver.feed([QuorumChanged(False)])
    assert results == [-EACCES]


@pytest.mark.parametrize(("is_synced", "errno"), [(True, EIO), (False, EBUSY)])
async def test_a_caller_never_waits_longer_than_the_bound(
    is_synced: bool, errno: int, autojump_clock: trio.testing.MockClock
) -> None:
    driver = clustered(Disk(), Outbox())
    if not is_synced:
        driver.feed([ConfigurationChange((ME, OTHER), joined=(OTHER,))])
    start = trio.current_time()
    with pytest.raises(OperationError) as refusal:
        await driver.submit(Create(b"a"))
    assert refusal.value.errno == errno
    assert trio.current_time() - start == driver_module.ANSWER_WAIT_S_MAX


async def test_the_kernel_forgets_what_changed_and_everything_when_quorum_changes() -> None:
    driver, cache = standalone(Disk()), Cache()
    driver.attach_cache(cache)
    await driver.submit(Create(b"a"))
    tree = driver.replica.memdb.tree
    assert [change and change.after for change in cache.forgotten] == [tree.find(b"a"), tree.root]
    clustered_driver = clustered(Disk(), Outbox())
    clustered_driver.attach_cache(other := Cache())
    clustered_driver.feed([QuorumChanged(False)])
    assert other.forgotten == [None]


async def test_a_standalone_lock_is_deleted_by_mtime_0_once_it_has_expired() -> None:
    now_s = [NOW_S]
    driver = standalone(Disk(), lambda: now_s[0])
    for path in (b"priv", b"priv/lock", b"priv/lock/x"):
        await driver.submit(Mkdir(path))
    now_s[0] += 120
    with pytest.raises(OperationError) as refusal:
        await driver.submit(SetMtime(b"priv/lock/x", 0))
    assert refusal.value.errno == EACCES
    now_s[0] += 1
    await driver.submit(SetMtime(b"priv/lock/x", 0))
    assert driver.replica.memdb.tree.find(b"priv/lock/x") is None


async def test_the_lowest_member_releases_an_expired_lock_when_asked() -> None:
    outbox, now_s = Outbox(), [NOW_S]
    replica = Replica(Memdb(Tree.new(), NOW_S), node_name="node1", standalone=False)
    driver = Driver(replica, Disk(), lambda: now_s[0])
    driver.attach(outbox)
    driver.feed([Connected(ME), ConfigurationChange((ME,), joined=(ME,)), QuorumChanged(True)])

    def deliver_all() -> None:
        while outbox.sent:
            driver.feed([Delivered(ME, outbox.sent.pop(0))])

    for path in (b"priv", b"priv/lock", b"priv/lock/x"):
        driver.begin(Mkdir(path), lambda result: None)
        deliver_all()
    now_s[0] += 121
    results: list[int] = []
    driver.begin(SetMtime(b"priv/lock/x", 0), results.append)
    deliver_all()
    assert results == [-EACCES]
    assert replica.memdb.tree.find(b"priv/lock/x") is None


async def test_a_lock_expires_by_the_steady_clock_however_the_other_one_is_set() -> None:
    wall_s, steady_s = [NOW_S], [1000]
    driver = standalone(Disk(), lambda: wall_s[0], lambda: steady_s[0])
    for path in (b"priv", b"priv/lock", b"priv/lock/a"):
        await driver.submit(Mkdir(path))

    wall_s[0] += 100_000
    with pytest.raises(OperationError) as refusal:
        await driver.submit(SetMtime(b"priv/lock/a", 0))
    assert refusal.value.errno == EACCES

    wall_s[0], steady_s[0] = NOW_S - 100_000, 1121
    await driver.submit(SetMtime(b"priv/lock/a", 0))
    assert driver.replica.memdb.tree.find(b"priv/lock/a") is None


async def test_the_next_fsync_tells_that_answered_changes_were_dropped() -> None:
    driver = standalone(Disk())
    await driver.submit(Create(b"a"))
    await driver.sync()
    driver._perform([KeepLosingTree((), NOW_S)])
    with pytest.raises(OperationError) as refusal:
        await driver.sync()
    assert refusal.value.errno == EIO
    await driver.sync()


async def test_fsync_knows_nothing_of_changes_that_an_earlier_process_answered() -> None:
    driver = standalone(Disk())
    driver._perform([KeepLosingTree((), NOW_S)])
    await driver.sync()


async def test_a_node_is_settled_while_nothing_waits_for_its_disk_and_it_is_in_sync() -> None:
    disk = Disk()
    driver = clustered(disk, outbox := Outbox())
    assert driver.is_settled
    seen: list[bool] = []
    driver.attach_durability(trio.lowlevel.checkpoint, lambda: seen.append(driver.is_settled))
    disk.refusal = LOCKED
    driver.begin(Create(b"a"), lambda result: None)
    driver.feed([Delivered(ME, outbox.sent[-1])])
    assert not driver.is_settled, "the history has a change that the database lacks"
    disk.refusal = None
    driver.retry()
    assert driver.is_settled
    driver.feed([ConfigurationChange((ME, OTHER), joined=(OTHER,))])
    assert not driver.is_settled
    assert seen == [True, False, True, False], "it is told of each"

"""A database that takes nothing for a while: what waits, for how long, and what then."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from errno import EIO

import pytest
import structlog.testing
import trio
import trio.testing

from pmxcfs import driver as driver_module
from pmxcfs.dcdb import DiskState
from pmxcfs.dfsm.events import ConfigurationChange, Connected, Delivered, Disconnected
from pmxcfs.dfsm.modes import Mode
from pmxcfs.driver import Driver
from pmxcfs.errors import OperationError, StorageError, TemporaryStorageError
from pmxcfs.identity import Member
from pmxcfs.memdb.entry import ROOT_INODE, Change, Entry, EntryType, Inode
from pmxcfs.memdb.operations import Create, Mkdir, Operation, Rename, Write
from pmxcfs.patience import PROBE_PERIOD_S, RETRY_S_MAX, WAIT_S_MAX, be_patient
from pmxcfs.replica import QuorumChanged, VerifyDue
from tests.unit.test_driver import (
    BROKEN,
    LOCKED,
    ME,
    OTHER,
    Cache,
    Disk,
    Outbox,
    clustered,
    standalone,
)


def names(driver: Driver) -> list[bytes]:
    """Return what a reader sees at the root."""
    return sorted(entry.name for entry in driver.replica.memdb.tree.children(ROOT_INODE))


def events(lines: list[structlog.typing.EventDict]) -> list[str]:
    return [line["event"] for line in lines if line["log_level"] in ("warning", "critical")]


# what waits


def test_while_the_disk_is_locked_readers_see_what_the_disk_has() -> None:
    disk = Disk()
    driver = standalone(disk)
    results: list[int] = []
    driver.begin(Create(b"kept"), results.append)
    disk.refusal = LOCKED
    driver.begin(Create(b"new"), results.append)
    assert (results, names(driver)) == ([0], [b"kept"])
    assert driver.replica.memdb.tree.root.version == 2
    assert not driver.replica.has_failed


def test_what_waited_is_done_in_its_order_once_the_disk_takes_it() -> None:
    disk = Disk()
    driver, cache = standalone(disk), Cache()
    driver.attach_cache(cache)
    results: list[int] = []
    disk.refusal = LOCKED
    driver.begin(Create(b"a"), results.append)
    driver.begin(Write(b"a", 0, b"text"), results.append)
    driver.begin(Mkdir(b"b"), results.append)
    driver.retry()
    assert (results, names(driver), cache.forgotten) == ([], [], [])
    disk.refusal = None
    driver.retry()
    assert (results, names(driver)) == ([0, 4, 0], [b"a", b"b"])
    assert [len(batch) for batch in disk.commits] == [2, 4]
    assert driver.replica.memdb.tree.root.version == 4
    assert cache.forgotten != []


def pair(disk: Disk) -> tuple[Driver, Driver, Callable[[], None]]:
    """Return us with two files, a leader that moved the first over the second, and the wire.

    Both are alone as yet; the wire delivers to both what either sent.
    """
    boxes = {ME: Outbox(), OTHER: Outbox()}
    us, leader = clustered(disk, boxes[ME]), clustered(Disk(), boxes[OTHER], OTHER)
    works: dict[Member, tuple[Operation, ...]] = {
        ME: (Create(b"tmp"), Create(b"a")),
        OTHER: (Create(b"tmp"), Create(b"a"), Rename(b"tmp", b"a"), Mkdir(b"d")),
    }
    for driver, member in ((us, ME), (leader, OTHER)):
        for operation in works[member]:
            driver.begin(operation, lambda result: None)
            driver.feed([Delivered(member, boxes[member].sent.pop())])

    def deliver_all() -> None:
        while sent := [(member, data) for member in boxes for data in boxes[member].sent]:
            for box in boxes.values():
                box.sent.clear()
            for driver in (us, leader):
                driver.feed([Delivered(member, data) for member, data in sent])

    return us, leader, deliver_all


def test_a_tree_received_in_a_synchronisation_waits_as_a_whole() -> None:
    disk = Disk()
    us, leader, deliver_all = pair(disk)
    before = list(us.replica.memdb.tree.entries())
    disk.refusal = LOCKED
    for driver in (us, leader):
        driver.feed([ConfigurationChange((ME, OTHER), joined=(ME, OTHER))])
    deliver_all()
    assert us.waiting is not None
    assert list(us.replica.memdb.tree.entries()) == before
    assert us.replica.memdb.tree.find(b"tmp") is not None
    disk.refusal = None
    us.retry()
    assert list(us.replica.memdb.tree.entries()) == list(leader.replica.memdb.tree.entries())
    assert names(us) == [b"a", b"d"]
    assert us.replica.mode is Mode.SYNCED


def test_a_tree_that_no_node_could_start_with_is_not_taken_over() -> None:
    disk = Disk()
    us, leader, deliver_all = pair(disk)
    twice = leader.replica.memdb.tree
    for number, name in enumerate((b"nodes", b"x", b"lxc", b"7.conf", b"qemu-server", b"7.conf")):
        parent = {0: 0, 1: 100, 2: 101, 3: 102, 4: 101, 5: 104}[number]
        kind = EntryType.FILE if name == b"7.conf" else EntryType.DIRECTORY
        twice.put(Entry(Inode(100 + number), Inode(parent), 3, 2, 1, kind, name))
    twice.put(replace(twice.root, version=200))
    before, commits = list(us.replica.memdb.tree.entries()), len(disk.commits)
    with structlog.testing.capture_logs() as lines:
        for driver in (us, leader):
            driver.feed([ConfigurationChange((ME, OTHER), joined=(ME, OTHER))])
        deliver_all()
    assert us.replica.mode is Mode.ERROR
    assert (list(us.replica.memdb.tree.entries()), len(disk.commits)) == (before, commits)
    assert "more than one configuration: [7]" in str(lines)


def test_events_that_come_while_the_disk_is_locked_wait_their_turn() -> None:
    disk, outbox = Disk(), Outbox()
    driver = clustered(disk, outbox)
    driver.begin(Create(b"a"), lambda result: None)
    disk.refusal = LOCKED
    driver.feed([Delivered(ME, outbox.sent.pop())])
    driver.feed([VerifyDue(), ConfigurationChange((ME, OTHER), joined=(OTHER,))])
    assert (driver.replica.members, outbox.sent) == ((ME,), [])
    disk.refusal = None
    driver.retry()
    assert driver.replica.members == (ME, OTHER)
    assert names(driver) == [b"a"]


def test_a_failure_while_waiting_is_final() -> None:
    disk = Disk()
    driver = standalone(disk)
    results: list[int] = []
    disk.refusal = LOCKED
    driver.begin(Create(b"a"), results.append)
    disk.refusal = BROKEN
    driver.retry()
    assert (results, names(driver)) == ([-EIO], [])
    assert driver.replica.disk is DiskState.FAILED


def test_too_much_in_the_queue_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "QUEUE_BYTES_MAX", 3000)
    disk, outbox = Disk(), Outbox()
    driver = clustered(disk, outbox)
    driver.begin(Create(b"a"), lambda result: None)
    disk.refusal = LOCKED
    driver.feed([Delivered(ME, outbox.sent.pop())])
    driver.feed([VerifyDue()] * 10)
    assert driver.waiting is not None
    driver.feed([VerifyDue()] * 10)
    assert driver.waiting is None
    assert driver.replica.disk is DiskState.REFUSING


# the end of patience


def test_standalone_the_end_of_patience_refuses_what_waits_and_all_that_follows() -> None:
    disk = Disk()
    driver = standalone(disk)
    results: list[int] = []
    disk.refusal = LOCKED
    driver.begin(Create(b"a"), results.append)
    driver.begin(Create(b"b"), results.append)
    driver.stop_waiting()
    driver.begin(Create(b"c"), results.append)
    assert (results, names(driver)) == ([-EIO] * 3, [])
    driver.retry()
    assert driver.replica.has_failed
    disk.refusal = None
    driver.retry()
    driver.begin(Create(b"d"), results.append)
    assert (results[3:], names(driver)) == ([0], [b"d"])
    assert not driver.replica.has_failed


def test_standalone_nobody_is_forgotten_who_sends_while_another_is_refused() -> None:
    disk = Disk()
    driver = standalone(disk)
    results: list[int] = []

    def next_one(result: int) -> None:
        driver.begin(Create(b"late"), results.append)

    driver.begin(Mkdir(b"d"), next_one)
    disk.refusal = LOCKED
    driver.begin(Create(b"a"), next_one)
    driver.stop_waiting()
    assert results == [0, -EIO]


def test_in_a_cluster_the_end_of_patience_leaves_the_group_and_all_get_eio() -> None:
    disk, outbox = Disk(), Outbox()
    driver = clustered(disk, outbox)
    results: list[int] = []
    driver.begin(Create(b"a"), results.append)
    driver.begin(Create(b"b"), results.append)
    disk.refusal = LOCKED
    driver.feed([Delivered(ME, outbox.sent[0])])
    driver.begin(Create(b"c"), results.append)
    driver.stop_waiting()
    assert results == [-EIO] * 3
    assert outbox.left_for_good == [False]
    assert driver.replica.mode is Mode.LEAVE
    driver.feed([Delivered(ME, outbox.sent[1]), Disconnected()])
    assert names(driver) == []


def test_a_batch_that_wanted_to_leave_the_group_still_does_when_it_is_refused() -> None:
    disk, outbox = Disk(), Outbox()
    driver = clustered(disk, outbox)
    for name in (b"a", b"b"):
        driver.begin(Create(name), lambda result: None)
    first, second = outbox.sent
    disk.refusal = LOCKED
    driver.feed([Delivered(ME, first), QuorumChanged(False), Delivered(ME, second)])
    assert outbox.left_for_good == []
    driver.stop_waiting()
    assert outbox.left_for_good == [False]


async def test_a_group_is_joined_again_only_once_the_disk_is_writable(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    disk, outbox = Disk(), Outbox()
    driver = clustered(disk, outbox)
    await driver.wait_until_writable()
    driver.begin(Create(b"a"), lambda result: None)
    disk.refusal = LOCKED
    driver.feed([Delivered(ME, outbox.sent.pop())])
    driver.stop_waiting()
    driver.feed([Disconnected()])
    with trio.move_on_after(1) as impatience:
        await driver.wait_until_writable()
    assert impatience.cancelled_caught
    nursery.start_soon(driver.wait_until_writable)
    disk.refusal = None
    driver.retry()
    await driver.wait_until_writable()
    driver.feed([Connected(ME), ConfigurationChange((ME,), joined=(ME,))])
    results: list[int] = []
    driver.begin(Create(b"b"), results.append)
    driver.feed([Delivered(ME, outbox.sent.pop())])
    assert (results, names(driver)) == ([0], [b"b"])


def test_joining_while_changes_are_refused_takes_changes_again() -> None:
    """Else we would be in sync and yet not apply what the others apply."""
    disk, outbox = Disk(), Outbox()
    driver = clustered(disk, outbox)
    driver.begin(Create(b"a"), lambda result: None)
    disk.refusal = LOCKED
    driver.feed([Delivered(ME, outbox.sent.pop())])
    driver.stop_waiting()
    driver.feed([Disconnected(), Connected(ME)])
    assert driver.replica.disk is DiskState.WRITABLE


# by the clock


async def test_a_short_lock_costs_its_time_and_no_word(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    disk = Disk()
    driver = standalone(disk)
    nursery.start_soon(be_patient, driver)
    disk.refusal = LOCKED

    async def unlock() -> None:
        await trio.sleep(0.3)
        disk.refusal = None

    nursery.start_soon(unlock)
    start = trio.current_time()
    with structlog.testing.capture_logs() as lines:
        await driver.submit(Create(b"a"))
    assert 0.3 <= trio.current_time() - start <= 0.3 + RETRY_S_MAX
    assert lines == []


async def test_a_lock_that_stays_is_an_error_after_the_bound_and_said_at_both_ends(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    disk = Disk()
    driver = standalone(disk)
    nursery.start_soon(be_patient, driver)
    disk.refusal = LOCKED
    start = trio.current_time()
    with structlog.testing.capture_logs() as lines:
        with pytest.raises(OperationError) as refusal:
            await driver.submit(Create(b"a"))
        assert refusal.value.errno == EIO
        assert trio.current_time() - start == pytest.approx(10)
        await trio.sleep(4.5)
        assert disk.probes == 4
        disk.refusal = None
        await trio.sleep(1.5 * PROBE_PERIOD_S)  # one alone might end just before the probe
        await driver.submit(Create(b"b"))
    assert events(lines) == [
        "the database cannot be written at this moment: changes wait, reads go on",
        "the database cannot be written: changes are refused until it can",
        "the database can be written again: changes are taken again",
    ]


async def test_every_batch_has_the_whole_time(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    disk = Disk()
    driver = standalone(disk)
    nursery.start_soon(be_patient, driver)
    for name in (b"a", b"b", b"c"):
        disk.refusal = LOCKED
        with trio.move_on_after(WAIT_S_MAX - 1):
            await driver.submit(Create(name))
        disk.refusal = None
        await trio.sleep(RETRY_S_MAX)
    assert names(driver) == [b"a", b"b", b"c"]


async def test_what_was_not_tried_while_the_process_stood_still_is_tried_again(
    mock_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    disk = Disk()
    driver = standalone(disk)
    results: list[int] = []
    nursery.start_soon(be_patient, driver)
    disk.refusal = LOCKED
    driver.begin(Create(b"a"), results.append)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(9):  # each counts a second
        mock_clock.jump(60)
        await trio.testing.wait_all_tasks_blocked()
    disk.refusal = None
    mock_clock.jump(RETRY_S_MAX)
    await trio.testing.wait_all_tasks_blocked()
    assert results == [0]


async def test_it_is_tried_again_soon_then_less_often_then_every_tenth_of_a_second(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    disk = Disk()
    driver = standalone(disk)
    nursery.start_soon(be_patient, driver)
    tries_ms: list[int] = []

    def refuse(changes: Sequence[Change]) -> None:
        tries_ms.append(round(1000 * (trio.current_time() - start)))
        raise LOCKED

    disk.commit = refuse  # type: ignore[method-assign]
    start = trio.current_time()
    driver.begin(Create(b"a"), lambda result: None)
    await trio.sleep(0.4)
    assert tries_ms == [0, 2, 6, 14, 30, 62, 126, 226, 326]


async def test_the_last_reason_for_the_waiting_is_the_one_that_is_told(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    disk = Disk()
    driver = standalone(disk)
    nursery.start_soon(be_patient, driver)
    disk.refusal = LOCKED
    with structlog.testing.capture_logs() as lines:
        driver.begin(Create(b"a"), lambda result: None)
        disk.refusal = TemporaryStorageError("full")
        await trio.sleep(2 * WAIT_S_MAX)
    assert [line["error"] for line in lines] == ["full"] * 2


async def test_after_a_failure_nothing_is_tried_again(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    disk = Disk()
    driver = standalone(disk)
    nursery.start_soon(be_patient, driver)
    disk.refusal = LOCKED
    driver.begin(Create(b"a"), lambda result: None)
    await trio.sleep(1)
    disk.refusal = BROKEN
    await trio.sleep(100)
    assert (disk.probes, driver.replica.disk) == (0, DiskState.FAILED)


# syncing


async def test_a_sync_that_fails_is_eio_and_stops_all_changes() -> None:
    driver = standalone(Disk())

    async def fail() -> None:
        raise StorageError("the disk is broken")

    await driver.sync()
    driver.attach_sync(fail)
    for _ in range(2):
        with pytest.raises(OperationError) as refusal:
            await driver.sync()
        assert refusal.value.errno == EIO
    results: list[int] = []
    driver.begin(Create(b"a"), results.append)
    assert results == [-EIO]


async def test_a_sync_that_takes_too_long_is_eio_for_its_caller_only() -> None:
    driver = standalone(Disk())

    async def give_up() -> None:
        raise LOCKED

    driver.attach_sync(give_up)
    with pytest.raises(OperationError):
        await driver.sync()
    assert await driver.submit(Create(b"a")) == 0

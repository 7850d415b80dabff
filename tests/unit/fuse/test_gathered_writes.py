"""Writes are answered before they are made; whoever looks, waits, and hears what became of them."""

from collections.abc import Awaitable, Callable
from errno import EACCES, EFBIG, EINTR, EIO
from typing import Any, cast

import pytest
import structlog.testing
import trio
import trio.testing

from pmxcfs.dfsm.events import Delivered, SendFailed
from pmxcfs.errors import OperationError, StorageError
from pmxcfs.fuse.gathered_writes import HOLD_S_MAX
from pmxcfs.fuse.gathering_operations import GatheringOperations
from pmxcfs.fuse.inodes import KERNEL_ROOT
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX
from pmxcfs.memdb.operations import Create, Delete, Rename, Write
from pmxcfs.stepping import Step
from tests.unit.fuse.scene import Scene, refused

ME = Member(NodeId(0), Pid(42))


class SlowGroup:
    """Brings messages back when told."""

    def __init__(self, scene: "GatheringScene") -> None:
        self._scene = scene
        self.under_way: list[bytes] = []

    def multicast(self, data: bytes) -> None:
        self.under_way.append(data)

    def leave(self, *, for_good: bool) -> None:
        pass

    def deliver(self) -> None:
        self._scene.driver.feed([Delivered(ME, self.under_way.pop(0))])

    def fail(self) -> None:
        self._scene.driver.feed([SendFailed(self.under_way.pop(0))])


class GatheringScene(Scene):
    fs: GatheringOperations

    def __init__(self) -> None:
        super().__init__(GatheringOperations)
        self.told: list[bool] = []
        self.fs.writes.attach(self.told.append)

    def slow(self) -> SlowGroup:
        group = SlowGroup(self)
        self.driver.attach(group)
        return group

    @property
    def writes(self) -> list[tuple[int, bytes]]:
        """Return the writes that were sent by now."""
        sent = self.driver.sent
        return [(each.offset, each.data) for each in sent if isinstance(each, Write)]


@pytest.fixture
def scene() -> GatheringScene:
    return GatheringScene()


async def file(scene: GatheringScene, path: str = "f", content: bytes = b"") -> int:
    await scene.make(path, content)
    number = await scene.find(path)
    scene.driver.sent.clear()
    return number


async def looks_at(scene: GatheringScene, what: str, number: int) -> object:
    """Look at the file ``f``, or change it, in one of all the ways that there are."""
    fs = scene.fs
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "lookup": lambda: fs.lookup(KERNEL_ROOT, b"f"),
        "getattr": lambda: fs.getattr(number),
        "read": lambda: fs.read(number, 0, 10),
        "list": lambda: _list(scene),
        "truncate": lambda: scene.setattr(number, size=1),
        "write through": lambda: fs.write(number, 0, b"page"),
        "rename": lambda: fs.rename(KERNEL_ROOT, b"f", KERNEL_ROOT, b"g", 0),
        "replace": lambda: fs.rename(KERNEL_ROOT, b"other", KERNEL_ROOT, b"f", 0),
        "unlink": lambda: fs.unlink(KERNEL_ROOT, b"f"),
        "flush": lambda: fs.flush(number),
        "fsync": lambda: fs.fsync(number),
        "fsync of another": lambda: fs.fsync(number + 1),
        "fsyncdir": lambda: fs.fsyncdir(KERNEL_ROOT),
    }
    return await ways[what]()


async def _list(scene: GatheringScene) -> list[bytes]:
    names: list[bytes] = []
    handle = await scene.fs.opendir(KERNEL_ROOT)

    def add(name: bytes, *_: object) -> bool:
        names.append(name)
        return True

    await scene.fs.readdir(handle, 0, add)
    return names


LOOKS = ["lookup", "getattr", "read", "list", "replace", "unlink", "fsync of another", "fsyncdir"]
ASKS = ["truncate", "write through", "rename", "flush", "fsync"]


async def test_small_writes_are_one_change(scene: GatheringScene) -> None:
    number = await file(scene)
    for index in range(100):
        assert scene.fs.has_taken(number, 5 * index, b"write")
    assert scene.writes == []
    await scene.fs.flush(number)
    assert scene.writes == [(0, b"write" * 100)]
    assert scene.content("f") == b"write" * 100


@pytest.mark.parametrize("what", [*LOOKS, *ASKS])
async def test_who_looks_comes_behind_what_was_written(scene: GatheringScene, what: str) -> None:
    await scene.make("other", b"")
    number = await file(scene)
    assert scene.fs.has_taken(number, 0, b"text")
    await looks_at(scene, what, number)
    assert scene.writes[0] == (0, b"text")
    assert not scene.fs.writes


async def test_what_is_looked_at_shows_it(scene: GatheringScene) -> None:
    number = await file(scene)
    scene.fs.has_taken(number, 0, b"text")
    assert (await scene.fs.getattr(number)).st_size == 4
    scene.fs.has_taken(number, 4, b"more")
    assert await scene.fs.read(number, 0, 10) == b"textmore"


async def test_management_tools_see_it_without_waiting(scene: GatheringScene) -> None:
    number = await file(scene, content=b"before")
    scene.fs.has_taken(number, 0, b"AF")
    entry = scene.entry("f")
    assert entry is not None
    assert scene.fs.content(entry) == b"AFfore"
    assert scene.writes == []


async def test_a_file_of_which_nothing_is_held_waits_for_nobody(scene: GatheringScene) -> None:
    other = await file(scene, "other")
    number = await file(scene)
    scene.fs.has_taken(number, 0, b"text")
    await scene.fs.getattr(other)
    await scene.fs.flush(other)
    assert scene.writes == []


async def test_nobody_need_ask(
    scene: GatheringScene, autojump_clock: trio.testing.MockClock
) -> None:
    number = await file(scene)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.fs.writes.run)
        for _ in range(2):
            scene.fs.has_taken(number, 0, b"text")
            await trio.sleep(HOLD_S_MAX * 0.9)
            assert scene.fs.writes
            await trio.sleep(HOLD_S_MAX * 0.2)
            assert not scene.fs.writes
        nursery.cancel_scope.cancel()


async def test_while_one_change_is_under_way_all_that_comes_is_one_more(
    scene: GatheringScene,
) -> None:
    number = await file(scene)
    group = scene.slow()
    done: list[object] = []
    scene.fs.has_taken(number, 0, b"one")
    _begin(scene.fs.flush(number), done)
    for index in range(10):
        assert scene.fs.has_taken(number, 3 + index, b"%d" % index)
    _begin(scene.fs.flush(number), done)
    assert len(group.under_way) == 1
    group.deliver()
    assert (len(done), len(group.under_way)) == (1, 1)
    group.deliver()
    assert len(done) == 2
    assert scene.writes == [(0, b"one"), (3, b"0123456789")]


@pytest.mark.parametrize("what", ASKS)
async def test_who_asks_hears_of_a_failure_once(scene: GatheringScene, what: str) -> None:
    await scene.make("other", b"")
    number = await file(scene)
    await _lose(scene, number)
    with refused(EIO):
        await looks_at(scene, what, number)
    assert scene.entry("g") is None
    assert not scene.fs.writes
    await looks_at(scene, what, number)


@pytest.mark.parametrize("what", LOOKS)
async def test_who_only_looks_hears_nothing_of_it(scene: GatheringScene, what: str) -> None:
    await scene.make("other", b"")
    number = await file(scene)
    await _lose(scene, number)
    await looks_at(scene, what, number)
    with refused(EIO):
        await scene.fs.flush(number)


async def test_the_next_write_hears_of_a_failure(scene: GatheringScene) -> None:
    number = await file(scene)
    await _lose(scene, number)
    with refused(EIO):
        scene.fs.has_taken(number, 0, b"next")
    assert scene.fs.has_taken(number, 0, b"next")


async def test_the_kernel_forgets_what_was_refused(scene: GatheringScene) -> None:
    number = await file(scene)
    before = (await scene.fs.getattr(number)).st_mtime_ns
    await _lose(scene, number)
    assert number in scene.invalidator.inodes
    assert (await scene.fs.getattr(number)).st_mtime_ns != before


async def test_what_was_not_sent_in_the_end_is_an_error(scene: GatheringScene) -> None:
    number = await file(scene)
    group = scene.slow()
    done: list[object] = []
    scene.fs.has_taken(number, 0, b"one")
    scene.fs.has_taken(number, 10, b"two")
    _begin(scene.fs.flush(number), done)
    with structlog.testing.capture_logs():
        group.fail()
    assert [type(each) for each in done] == [OperationError]
    assert group.under_way == []


async def test_without_quorum_a_write_is_refused_at_once(scene: GatheringScene) -> None:
    number = await file(scene)
    scene.set_quorate(False)
    with refused(EACCES):
        scene.fs.has_taken(number, 0, b"text")


async def test_quorum_that_is_lost_meanwhile_is_told_at_the_close(scene: GatheringScene) -> None:
    number = await file(scene)
    scene.fs.has_taken(number, 0, b"text")
    scene.set_quorate(False)
    with structlog.testing.capture_logs() as lines, refused(EACCES):
        await scene.fs.flush(number)
    assert [line["errno"] for line in lines] == [EACCES]


async def test_a_file_that_would_be_too_large_is_refused_at_once(scene: GatheringScene) -> None:
    number = await file(scene)
    with refused(EFBIG):
        scene.fs.has_taken(number, FILE_SIZE_BYTES_MAX - 1, b"ab")
    assert scene.fs.has_taken(number, FILE_SIZE_BYTES_MAX - 2, b"ab")


async def test_near_the_limit_of_the_tree_writes_are_made_first(
    scene: GatheringScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pmxcfs.fuse.gathered_writes.CONTENT_BYTES_MAX", 10)
    number = await file(scene, content=b"12345")
    assert scene.fs.has_taken(number, 0, b"123")
    assert not scene.fs.has_taken(number, 3, b"1")


async def test_while_the_database_refuses_changes_nothing_is_taken(scene: GatheringScene) -> None:
    number = await file(scene)
    with structlog.testing.capture_logs():
        scene.driver.on_storage_failed(StorageError("broken"))
    assert not scene.fs.has_taken(number, 0, b"text")
    with refused(EIO):
        await scene.fs.write(number, 0, b"text")


async def test_a_file_that_moves_meanwhile_is_written_where_it_is(scene: GatheringScene) -> None:
    number = await file(scene)
    scene.fs.has_taken(number, 0, b"text")
    await scene.others(Rename(b"f", b"moved"))
    await scene.fs.flush(number)
    assert scene.content("moved") == b"text"


async def test_a_file_that_is_replaced_meanwhile_keeps_it_for_who_has_it_open(
    scene: GatheringScene,
) -> None:
    number = await file(scene)
    await scene.open("f")
    scene.fs.has_taken(number, 0, b"text")
    await scene.others(Delete(b"f"), Create(b"f"))
    await scene.fs.flush(number)
    assert scene.content("f") == b""
    assert await scene.fs.read(number, 0, 10) == b"text"
    assert not scene.fs.has_taken(number, 4, b"more")


async def test_a_status_file_takes_no_gathered_write(scene: GatheringScene) -> None:
    number = await scene.find(".debug")
    assert not scene.fs.has_taken(number, 0, b"1")
    await scene.fs.flush(number)


async def test_a_caller_that_was_interrupted_leaves_and_the_write_is_made(
    scene: GatheringScene,
) -> None:
    number = await file(scene)
    group = scene.slow()
    done: list[object] = []
    scene.fs.has_taken(number, 0, b"text")
    step = _begin(scene.fs.flush(number), done)
    step.interrupt()
    assert isinstance(done[0], OperationError)
    assert done[0].errno == EINTR
    group.deliver()
    assert scene.content("f") == b"text"
    assert not scene.fs.writes


async def test_the_end_waits_for_all(scene: GatheringScene) -> None:
    numbers = [await file(scene, name) for name in ("a", "b")]
    for number in numbers:
        scene.fs.has_taken(number, 0, b"text")
    await scene.fs.writes.settle_all()
    assert [scene.content(name) for name in ("a", "b")] == [b"text", b"text"]


async def test_it_is_told_at_every_change_whether_a_close_may_have_to_wait(
    scene: GatheringScene,
) -> None:
    number = await file(scene)
    for _ in range(2):
        scene.fs.has_taken(number, 0, b"a")
        scene.fs.has_taken(number, 1, b"b")
        await scene.fs.flush(number)
    assert scene.told == [True, False, True, False]
    await _lose(scene, number)
    assert scene.told[4:] == [True]
    with refused(EIO):
        await scene.fs.flush(number)
    assert scene.told[5:] == [False]


def _begin(coroutine: Any, done: list[object]) -> Step:  # noqa: ANN401  (any request)
    step = Step(coroutine, done.append, done.append)
    step.run()
    return step


async def _lose(scene: GatheringScene, number: int) -> None:
    """Have a write fail after it was answered."""

    async def fail(*_: object) -> int:
        raise RuntimeError("no")

    writes = cast("Any", scene.fs.writes)
    write, writes._write = writes._write, fail
    scene.fs.has_taken(number, 0, b"lost")
    with structlog.testing.capture_logs() as lines:
        await writes.settle_all()
    assert [line["log_level"] for line in lines] == ["warning"]
    writes._write = write

"""What the kernel is told to forget, and that nobody waits for it."""

import threading
from collections.abc import Iterator

import pytest

from pmxcfs.fuse import invalidation
from pmxcfs.fuse.inodes import KERNEL_ROOT, kernel_inode
from pmxcfs.fuse.invalidation import Invalidator, Name
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Rename, Write
from tests.unit.fuse.scene import Scene

WITHIN_S = 10


class Kernel:
    """Remembers what it was told; can be made to block, and to refuse."""

    def __init__(self) -> None:
        self.told: list[int | Name] = []
        self.errors: list[OSError] = []
        self.inside = threading.Event()
        self.may_return = threading.Event()
        self._returned = threading.Semaphore(0)

    def forget_inode(self, inode: int) -> None:
        self._take(inode)

    def forget_name(self, directory: int, name: bytes) -> None:
        self._take((directory, name))

    def wait_for(self, count: int) -> None:
        """Wait until so many more calls have returned."""
        for _ in range(count):
            assert self._returned.acquire(timeout=WITHIN_S)

    def _take(self, what: int | Name) -> None:
        self.inside.set()
        assert self.may_return.wait(WITHIN_S)
        self.told.append(what)
        self._returned.release()
        if self.errors:
            raise self.errors.pop()


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def invalidator(kernel: Kernel) -> Iterator[Invalidator]:
    """Return an invalidator whose thread is inside its first call, for inode 1."""
    invalidator = Invalidator(kernel)
    invalidator.start()
    invalidator.add([1], [])
    assert kernel.inside.wait(WITHIN_S)
    yield invalidator
    kernel.may_return.set()
    invalidator.stop()
    assert invalidator.join(WITHIN_S)


def test_adding_does_not_wait_for_a_kernel_that_blocks_and_each_thing_is_told_once(
    kernel: Kernel, invalidator: Invalidator
) -> None:
    for _ in range(3):
        assert invalidator.add([2], [(1, b"x")]) == 1
    kernel.may_return.set()
    kernel.wait_for(3)
    assert kernel.told == [1, 2, (1, b"x")]


def test_what_waits_can_be_replaced(kernel: Kernel, invalidator: Invalidator) -> None:
    invalidator.add([2], [(1, b"x")])
    invalidator.replace([3], [(1, b"y")])
    kernel.may_return.set()
    kernel.wait_for(3)
    assert kernel.told == [1, 3, (1, b"y")]


def test_inodes_are_forgotten_before_names(kernel: Kernel, invalidator: Invalidator) -> None:
    invalidator.add([], [(1, b"a")])
    invalidator.add([5], [])
    kernel.may_return.set()
    kernel.wait_for(3)
    assert kernel.told == [1, 5, (1, b"a")]


def test_a_refusal_of_the_kernel_does_not_end_the_thread(
    kernel: Kernel, invalidator: Invalidator
) -> None:
    kernel.errors = [FileNotFoundError(2, "no entry"), OSError(38, "not implemented")]
    invalidator.add([2, 3], [])
    kernel.may_return.set()
    kernel.wait_for(3)
    assert kernel.errors == []


def test_stopping_does_not_wait_and_tells_the_kernel_nothing_more(
    kernel: Kernel, invalidator: Invalidator
) -> None:
    invalidator.add([2], [(1, b"x")])
    invalidator.stop()
    assert not invalidator.join(0)
    kernel.may_return.set()
    assert invalidator.join(WITHIN_S)
    assert kernel.told == [1]


async def test_a_changed_entry_is_forgotten_by_inode() -> None:
    scene = Scene()
    await scene.make("f", b"")
    number = await scene.find("f")
    await scene.others(Write(b"f", 0, b"x"))
    assert (scene.invalidator.inodes, scene.invalidator.names) == ([number], [])


async def test_a_moved_or_removed_entry_is_forgotten_by_its_old_name() -> None:
    scene = Scene()
    await scene.make("d/f", b"")
    directory, number = await scene.find("d"), await scene.find("d/f")
    await scene.others(Rename(b"d/f", b"g"))
    await scene.others(Delete(b"g"))
    assert scene.invalidator.inodes == [number, number]
    assert scene.invalidator.names == [(directory, b"f"), (KERNEL_ROOT, b"g")]


async def test_what_the_kernel_does_not_know_needs_no_forgetting() -> None:
    scene = Scene()
    await scene.make("f", b"")
    number = await scene.find("f")
    await scene.fs.forget([(number, 1)])
    await scene.others(Write(b"f", 0, b"x"), Create(b"g"), Mkdir(b"d"), Delete(b"f"))
    assert (scene.invalidator.inodes, scene.invalidator.names) == ([], [])


async def test_a_change_of_quorum_forgets_everything_that_the_kernel_knows() -> None:
    scene = Scene()
    await scene.make("d/f", b"")
    directory, file = await scene.find("d"), await scene.find("d/f")
    link = await scene.find("local")
    scene.set_quorate(False)
    assert sorted(scene.invalidator.inodes) == sorted([directory, file, link])
    assert sorted(scene.invalidator.names) == sorted(
        [(KERNEL_ROOT, b"d"), (directory, b"f"), (KERNEL_ROOT, b"local")]
    )


async def test_with_too_many_names_waiting_everything_known_is_forgotten_instead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(invalidation, "NAMES_WAITING_MAX", 2)
    scene = Scene()
    for name in ("a", "b", "c", "d"):
        await scene.make(name, b"")
        await scene.find(name)
    inode_of_d = await scene.find("d")
    await scene.others(Delete(b"a"), Delete(b"b"))
    assert len(scene.invalidator.names) == 2
    await scene.others(Delete(b"c"))
    assert len(scene.invalidator.inodes) == 4
    assert (KERNEL_ROOT, b"d") in scene.invalidator.names
    entry = scene.entry("d")
    assert entry is not None
    assert kernel_inode(entry.inode) == inode_of_d

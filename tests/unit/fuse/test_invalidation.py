"""What the kernel is told to forget, and that nobody waits for it."""

import threading
from collections.abc import Iterator
from errno import EACCES

import pytest

from pmxcfs.fuse.inodes import KERNEL_ROOT
from pmxcfs.fuse.invalidation import Invalidator
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, SetMtime, Write
from tests.unit.fuse.scene import NOW_S, Scene, refused

WITHIN_S = 10


class Kernel:
    """Remembers what it was told; can be made to block, and to refuse."""

    def __init__(self) -> None:
        self.forgets_names = True
        self.told: list[int] = []
        self.errors: list[OSError] = []
        self.inside = threading.Event()
        self.may_return = threading.Event()
        self._returned = threading.Semaphore(0)

    def forget_attributes(self, inode: int) -> None:
        self.inside.set()
        assert self.may_return.wait(WITHIN_S)
        self.told.append(inode)
        self._returned.release()
        if self.errors:
            raise self.errors.pop()

    def forget_names(self) -> None:
        self.told.append(0)
        if self.errors:
            raise self.errors.pop()

    def wait_for(self, count: int) -> None:
        """Wait until so many more calls have returned."""
        for _ in range(count):
            assert self._returned.acquire(timeout=WITHIN_S)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def invalidator(kernel: Kernel) -> Iterator[Invalidator]:
    """Return an invalidator whose thread is inside its first call, for inode 1."""
    invalidator = Invalidator(kernel)
    invalidator.start()
    invalidator.add([1])
    assert kernel.inside.wait(WITHIN_S)
    yield invalidator
    kernel.may_return.set()
    assert invalidator.stop(WITHIN_S)


def test_adding_does_not_wait_for_the_kernel_and_each_inode_is_told_once(
    kernel: Kernel, invalidator: Invalidator
) -> None:
    for _ in range(3):
        invalidator.add([2, 3])
    kernel.may_return.set()
    kernel.wait_for(3)
    assert sorted(kernel.told) == [1, 2, 3]


def test_an_inode_that_changes_while_it_is_told_is_told_again(
    kernel: Kernel, invalidator: Invalidator
) -> None:
    invalidator.add([1])
    kernel.may_return.set()
    kernel.wait_for(2)
    assert kernel.told == [1, 1]


def test_a_refusal_of_the_kernel_does_not_end_the_thread(
    kernel: Kernel, invalidator: Invalidator
) -> None:
    kernel.errors = [FileNotFoundError(2, "no entry"), OSError(38, "not implemented")]
    invalidator.add([2, 3])
    kernel.may_return.set()
    kernel.wait_for(3)
    assert kernel.errors == []


def test_stopping_waits_within_its_bound_and_tells_the_kernel_nothing_more(
    kernel: Kernel, invalidator: Invalidator
) -> None:
    invalidator.add([2])
    assert not invalidator.stop(0)
    kernel.may_return.set()
    assert invalidator.stop(WITHIN_S)
    assert kernel.told == [1]


async def test_a_changed_moved_or_removed_entry_is_forgotten() -> None:
    scene = Scene()
    await scene.make("d/f", b"")
    number = await scene.find("d/f")
    for operation in (Write(b"d/f", 0, b"x"), Rename(b"d/f", b"g"), Delete(b"g")):
        scene.invalidator.inodes.clear()
        await scene.others(operation)
        assert number in scene.invalidator.inodes


async def test_a_directory_is_forgotten_when_it_lists_something_else() -> None:
    scene = Scene()
    await scene.make("d/f", b"")
    await scene.make("e/g", b"")
    d, e = await scene.find("d"), await scene.find("e")
    told: list[tuple[Operation, set[int]]] = [
        (Create(b"d/new"), {d}),
        (Write(b"d/new", 0, b"x"), set()),
        (Rename(b"d/new", b"e/new"), {d, e}),
        (Rename(b"e/new", b"e/g"), {e}),
        (Delete(b"e/g"), {e}),
        (Create(b"top"), set()),
        (Delete(b"top"), set()),
    ]
    for operation, directories in told:
        scene.invalidator.inodes.clear()
        await scene.others(operation)
        assert set(scene.invalidator.inodes) == directories, operation


async def test_the_time_stamp_of_a_directory_is_new_for_each_listing() -> None:
    scene = Scene()
    await scene.make("d/f", b"")
    number = await scene.find("d")
    told = [(await scene.fs.getattr(number)).st_mtime_ns]
    for operation in (
        Create(b"d/g"),
        Rename(b"d/g", b"d/h"),
        Rename(b"d/h", b"d/f"),
        Delete(b"d/f"),
    ):
        await scene.others(operation)
        told.append((await scene.fs.getattr(number)).st_mtime_ns)
    assert len(set(told)) == len(told)
    assert {time_ns // 10**9 for time_ns in told} == {told[0] // 10**9}


async def test_what_the_kernel_does_not_know_needs_no_forgetting() -> None:
    scene = Scene()
    await scene.make("f", b"")
    number = await scene.find("f")
    scene.fs.forget([(number, 1)])
    await scene.others(Write(b"f", 0, b"x"), Create(b"g"), Mkdir(b"d"), Delete(b"f"))
    assert scene.invalidator.inodes == []


async def test_a_change_of_quorum_forgets_everything_that_the_kernel_knows() -> None:
    scene = Scene()
    await scene.make("d/f", b"")
    await scene.make("unknown", b"")
    known = [await scene.find(path) for path in ("d", "d/f", "local")]
    scene.set_quorate(False)
    assert sorted(scene.invalidator.inodes) == sorted(known)


async def test_a_name_that_another_node_ended_makes_the_kernel_look_all_names_up_again() -> None:
    scene = Scene()
    for name in ("f", "g", "h"):
        await scene.make(name, b"")
        await scene.find(name)
    await scene.others(Write(b"f", 0, b"x"), Create(b"i"), Mkdir(b"d"))
    assert scene.invalidator.names_forgotten == 0
    ending: list[Operation] = [Rename(b"f", b"e"), Rename(b"e", b"g"), Delete(b"h")]
    for count, operation in enumerate(ending, 1):
        await scene.others(operation)
        assert scene.invalidator.names_forgotten == count


async def test_names_that_end_here_are_known_to_the_kernel() -> None:
    scene = Scene()
    for name in ("f", "g", "d/e"):
        await scene.make(name, b"")
        await scene.find(name)
    root, directory = KERNEL_ROOT, await scene.find("d")
    await scene.fs.rename(root, b"f", root, b"g", 0)
    await scene.fs.unlink(root, b"g")
    await scene.fs.unlink(directory, b"e")
    await scene.fs.rmdir(root, b"d")
    assert scene.invalidator.names_forgotten == 0


async def test_names_are_looked_up_again_in_a_tree_that_was_taken_over() -> None:
    scene = Scene()
    scene.fs.cache.forget_all()
    assert scene.invalidator.names_forgotten == 1


async def test_only_a_new_content_changes_what_the_kernel_is_told_of_a_files_time() -> None:
    scene = Scene()
    await scene.make("f", b"one")
    number = await scene.find("f")

    async def nanoseconds() -> int:
        return (await scene.fs.getattr(number)).st_mtime_ns % 1_000_000_000

    assert await nanoseconds() == 0
    await scene.others(Write(b"f", 0, b"two"))
    assert await nanoseconds() == 1
    await scene.others(SetMtime(b"f", NOW_S))
    assert await nanoseconds() == 1
    scene.set_quorate(False)
    with refused(EACCES):
        await scene.fs.write(number, 0, b"x")
    assert scene.invalidator.inodes[-1] == number
    assert await nanoseconds() == 2


def test_nothing_is_told_of_names_once_the_mount_ends(
    kernel: Kernel, invalidator: Invalidator
) -> None:
    kernel.errors = [OSError(19, "no such device")]
    invalidator.forget_names()
    assert not invalidator.stop(0)
    invalidator.forget_names()
    assert kernel.told == [0]

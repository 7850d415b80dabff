"""What the caller of a request hears, by either binding, and that every request is counted."""

from collections.abc import Awaitable, Callable, Coroutine
from errno import EINTR, EIO, ENOENT
from types import SimpleNamespace
from typing import Any, cast

import pyfuse3
import pytest
import trio
import trio.testing

from pmxcfs._libfuse import lib
from pmxcfs.errors import OperationError
from pmxcfs.fuse import requests
from pmxcfs.fuse.attributes import Stat
from pmxcfs.fuse.inodes import KERNEL_ROOT
from pmxcfs.fuse.interruptions import GRACE_S
from pmxcfs.fuse.operations import PmxcfsOperations
from pmxcfs.fuse.requests import Requests
from pmxcfs.fuse.through_pyfuse3 import _Handlers
from pmxcfs.stepping import Promise
from tests.unit.fuse.scene import Scene

CONTEXT = cast("pyfuse3.RequestContext", None)
NOBODY = 0
"""A thread that is not there."""

Handler = Coroutine[Any, Any, Any]


class Kernel:
    """Requests of a kernel that is not there: a number each, and what it was answered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[object, object] = {}
        self.operations = Scene().fs
        self.told_to_wait: list[int] = []
        self.tasks: list[Callable[[], Handler]] = []
        self.requests = Requests(self.operations, self.tasks.append)
        refuse = self.answers.__setitem__
        library = SimpleNamespace(fuse_reply_err=refuse, pmxcfs_let_wait=self._let_wait)
        monkeypatch.setattr(requests, "lib", library)

    def _let_wait(self, request: object, patience: int) -> None:
        self.told_to_wait.append(patience)

    def ask(self, handler: Handler, name: str = "read") -> None:
        self.requests.run(cast("Any", 1), name, handler, self.answers.__setitem__)

    def counted(self, name: str) -> int:
        durations = self.operations.requests.durations.get(name)
        return 0 if durations is None else sum(durations.counts)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


async def give(result: object) -> object:
    if isinstance(result, Exception):
        raise result
    return result


def test_a_result_is_answered_and_counted(kernel: Kernel) -> None:
    kernel.ask(give(b"text"))
    assert kernel.answers == {1: b"text"}
    assert kernel.counted("read") == 1
    assert kernel.operations.requests.durations["read"].total_ns > 0


def test_a_refusal_is_answered_with_its_errno(kernel: Kernel) -> None:
    kernel.ask(give(OperationError(ENOENT)), "lookup")
    assert kernel.answers == {1: ENOENT}
    assert kernel.operations.requests.errors == {("lookup", ENOENT): 1}


def test_a_defect_of_ours_costs_one_caller_an_eio(kernel: Kernel) -> None:
    kernel.ask(give(ZeroDivisionError()), "rename")
    assert kernel.answers == {1: EIO}
    assert kernel.operations.requests.errors == {("rename", EIO): 1}


def test_an_answer_that_cannot_be_given_is_an_eio(kernel: Kernel) -> None:
    def fail(request: object, result: object) -> None:
        raise OverflowError

    kernel.requests.run(cast("Any", 1), "statfs", give(None), fail)
    assert kernel.answers == {1: EIO}
    assert kernel.operations.requests.errors == {("statfs", EIO): 1}


def test_a_callback_that_fails_leaves_nobody_without_an_answer(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    callbacks: list[Callable[..., None]] = []
    binding = SimpleNamespace(def_extern=lambda **_: callbacks.append)
    monkeypatch.setattr(requests, "ffi", binding)

    def fail(request: object, number: int) -> None:
        raise TypeError

    requests._answers("getattr", fail)
    callbacks[0](1, 2)
    assert kernel.answers == {1: EIO}


async def wait(promise: Promise[object]) -> object:
    result = await promise
    return await give(result)


@pytest.mark.parametrize(
    ("result", "answer", "errors"),
    [(b"text", b"text", {}), (OperationError(ENOENT), ENOENT, {("read", ENOENT): 1})],
)
def test_who_waits_is_counted_once_it_is_answered(
    kernel: Kernel, result: object, answer: object, errors: dict[tuple[str, int], int]
) -> None:
    promise = Promise[object]()
    kernel.ask(wait(promise))
    assert kernel.told_to_wait == [kernel.requests.patience] == [lib.PMXCFS_GROUP]
    assert (kernel.answers, kernel.counted("read")) == ({}, 0)
    promise.keep(result)
    assert kernel.requests.patience == lib.PMXCFS_NOBODY
    assert (kernel.answers, kernel.counted("read")) == ({1: answer}, 1)
    assert kernel.operations.requests.errors == errors


async def test_what_waits_for_the_disk_has_a_task_and_can_be_interrupted(
    kernel: Kernel, autojump_clock: trio.testing.MockClock
) -> None:
    request = cast("Any", 1)
    for work, answer in ((lambda: give(None), None), (trio.sleep_forever, EINTR)):
        handler = cast("Callable[[], Handler]", work)()
        kernel.requests.run_in_task(request, "fsync", handler, kernel.answers.__setitem__)
        assert kernel.told_to_wait.pop() == kernel.requests.patience == lib.PMXCFS_OTHERS
        kernel.requests.on_interrupt(request, NOBODY)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kernel.tasks.pop())
            await trio.sleep(GRACE_S)
            kernel.requests.end_interrupted()
        assert kernel.requests.patience == lib.PMXCFS_NOBODY
        assert kernel.answers == {1: answer}
    assert kernel.counted("fsync") == 2
    assert kernel.operations.requests.errors == {("fsync", EINTR): 1}


async def test_who_looks_after_those_that_wait_sleeps_while_there_are_none(
    kernel: Kernel, nursery: trio.Nursery
) -> None:
    seen: list[int] = []

    async def look_once() -> None:
        await kernel.requests.one_under_way()
        seen.append(kernel.requests.patience)

    for _ in range(2):
        seen.clear()
        nursery.start_soon(look_once)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == []
        promise = Promise[object]()
        kernel.ask(wait(promise))
        await trio.testing.wait_all_tasks_blocked()
        await look_once()  # it is still under way
        assert seen == [lib.PMXCFS_GROUP] * 2
        promise.keep(b"text")


class Broken(PmxcfsOperations):
    """Operations of which some fail."""

    async def getattr(self, inode: int) -> Stat:
        raise ZeroDivisionError

    async def readlink(self, inode: int) -> bytes:
        await trio.sleep_forever()
        raise AssertionError


class TestThroughPyfuse3:
    """The other binding hears and counts the same."""

    async def refused(self, answer: Awaitable[object]) -> int:
        with pytest.raises(pyfuse3.FUSEError) as refusal:
            await answer
        return refusal.value.errno

    async def test_a_refusal_is_answered_with_its_errno(self) -> None:
        fs = Scene().fs
        assert await self.refused(_Handlers(fs).lookup(KERNEL_ROOT, b"x", CONTEXT)) == ENOENT
        assert fs.requests.errors == {("lookup", ENOENT): 1}

    async def test_a_defect_of_ours_costs_one_caller_an_eio(self) -> None:
        fs = Scene(Broken).fs
        assert await self.refused(_Handlers(fs).getattr(KERNEL_ROOT, CONTEXT)) == EIO
        assert fs.requests.errors == {("getattr", EIO): 1}

    async def test_cancellation_is_not_an_error(self) -> None:
        fs = Scene(Broken).fs
        with trio.CancelScope() as scope:
            scope.cancel()
            await _Handlers(fs).readlink(KERNEL_ROOT, CONTEXT)
        assert scope.cancelled_caught
        assert sum(fs.requests.durations["readlink"].counts) == 1
        assert not fs.requests.errors

    async def test_attributes_are_told_in_its_words(self) -> None:
        scene = Scene()
        await scene.make("f", bytes(4097))
        told = await _Handlers(scene.fs).lookup(KERNEL_ROOT, b"f", CONTEXT)
        ours = await scene.fs.lookup(KERNEL_ROOT, b"f")
        same = ("st_ino", "st_mode", "st_nlink", "st_gid", "st_size", "st_mtime_ns", "st_blocks")
        assert [getattr(told, name) for name in same] == [getattr(ours, name) for name in same]
        assert told.st_atime_ns == told.st_ctime_ns == ours.st_atime_ns
        assert told.entry_timeout == ours.entry_timeout > 0

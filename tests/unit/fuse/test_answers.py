"""What the caller of a request hears of an error."""

from errno import EIO, ENOENT

import pyfuse3
import pytest
import trio

from pmxcfs.errors import OperationError
from pmxcfs.fuse.answers import answers_errors
from pmxcfs.tallies import Requests


class Mount:
    """Answers each request in its own way."""

    def __init__(self) -> None:
        self.requests = Requests()

    @answers_errors
    async def read(self, size: int) -> bytes:
        return bytes(size)

    @answers_errors
    async def lookup(self) -> None:
        raise OperationError(ENOENT)

    @answers_errors
    async def rename(self) -> None:
        raise ZeroDivisionError

    @answers_errors
    async def write(self) -> None:
        await trio.sleep_forever()

    def counted(self, request: str) -> int:
        return sum(self.requests.durations[request].counts)


async def test_a_refusal_is_answered_with_its_errno() -> None:
    mount = Mount()
    with pytest.raises(pyfuse3.FUSEError) as answer:
        await mount.lookup()
    assert answer.value.errno == ENOENT
    assert mount.requests.errors == {("lookup", ENOENT): 1}


async def test_a_defect_of_ours_costs_one_caller_an_eio() -> None:
    mount = Mount()
    with pytest.raises(pyfuse3.FUSEError) as answer:
        await mount.rename()
    assert answer.value.errno == EIO
    assert mount.requests.errors == {("rename", EIO): 1}


async def test_cancellation_is_not_an_error() -> None:
    mount = Mount()
    with trio.CancelScope() as scope:
        scope.cancel()
        await mount.write()
    assert scope.cancelled_caught
    assert mount.counted("write") == 1
    assert not mount.requests.errors


async def test_every_request_is_counted_by_its_name() -> None:
    mount = Mount()
    assert [await mount.read(1), await mount.read(2)] == [b"\0", b"\0\0"]
    assert mount.counted("read") == 2
    assert mount.requests.durations["read"].total_ns > 0

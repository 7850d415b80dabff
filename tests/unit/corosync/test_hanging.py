"""A corosync that does not answer costs nobody more than a bound."""

import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
import trio
import trio.testing

from pmxcfs.corosync.handle import (
    Calls,
    Code,
    CorosyncError,
    Handle,
    ask_in_time,
    close_in_time,
    open_told,
)


class HangingHandle(Handle[None]):
    """A connection whose requests hang until it is cut or the test lets them go."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.may_open = threading.Event()
        self.may_open.set()
        self.is_asked = threading.Event()
        calls = Calls(
            "test",
            fd_get=cast(Any, self._tell_fd),
            dispatch=lambda handle, flags: Code.TRY_AGAIN,
            finalize=lambda handle: Code.OK,
        )
        super().__init__(calls)

    def request(self, word: str) -> str:
        with self._requests:
            self.is_asked.set()
            if self.ours.recv(1) == b"":
                raise CorosyncError(Code.LIBRARY, "test_request")
            return word

    def free(self) -> None:
        self.may_open.set()
        self.theirs.close()
        self.ours.close()

    def _initialize(self) -> int:
        self.may_open.wait()
        return 1

    def _set_up(self, handle_id: int) -> None:
        pass

    def _tell_fd(self, handle_id: int, fd: Any) -> int:  # noqa: ANN401
        fd[0] = self.ours.fileno()
        return Code.OK


@pytest.fixture
def handle() -> Iterator[HangingHandle]:
    handle = HangingHandle()
    yield handle
    handle.free()


async def test_a_request_that_is_answered_returns(handle: HangingHandle) -> None:
    handle.open()
    handle.theirs.send(b"!")
    assert await ask_in_time(handle, handle.request, "word", within_s=5) == "word"
    handle.close()


async def test_a_request_that_hangs_is_cut_off_and_its_thread_ends(handle: HangingHandle) -> None:
    handle.open()
    with pytest.raises(CorosyncError) as caught:
        await ask_in_time(handle, handle.request, "word", within_s=0.01)
    assert caught.value.code == Code.TIMEOUT
    assert await close_in_time(handle, 5)
    assert handle.theirs.recv(1) == b""


async def test_closing_behind_a_request_that_hangs_cuts_the_connection(
    handle: HangingHandle,
) -> None:
    handle.open()
    async with trio.open_nursery() as nursery:

        async def wait_for_answer() -> None:
            with pytest.raises(CorosyncError):
                await ask_in_time(handle, handle.request, "word", within_s=60)

        nursery.start_soon(wait_for_answer)
        await trio.testing.wait_all_tasks_blocked()
        assert await trio.to_thread.run_sync(handle.is_asked.wait, 5)
        assert not await close_in_time(handle, 0.01)


def test_cutting_what_is_not_open_is_harmless(handle: HangingHandle) -> None:
    handle.cut()
    handle.open()
    handle.close()
    handle.cut()


async def test_who_waits_long_for_a_connection_is_told(handle: HangingHandle) -> None:
    told = threading.Event()
    handle.may_open.clear()

    def on_late() -> None:
        told.set()
        handle.may_open.set()

    await open_told(handle, 0.01, on_late)
    assert told.is_set()
    handle.close()


async def test_who_is_connected_at_once_is_told_nothing(handle: HangingHandle) -> None:
    await open_told(handle, 60, pytest.fail)
    assert handle.is_open
    handle.close()

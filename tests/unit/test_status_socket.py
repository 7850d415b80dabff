"""The status socket: one line for whoever connects."""

import os
import stat
from pathlib import Path

import trio

from pmxcfs.control import StatusSocket


async def read_all(path: Path) -> bytes:
    async with await trio.open_unix_socket(str(path)) as stream:
        return b"".join([chunk async for chunk in stream])


async def test_every_connection_reads_the_present_line(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    lines = iter([b"one\n", b"two\n"])
    path = tmp_path / "status.sock"
    await nursery.start(StatusSocket(path, os.getgid(), lambda: next(lines)).run)
    assert await read_all(path) == b"one\n"
    assert await read_all(path) == b"two\n"


async def test_only_owner_and_group_may_connect(tmp_path: Path, nursery: trio.Nursery) -> None:
    path = tmp_path / "status.sock"
    await nursery.start(StatusSocket(path, os.getgid(), lambda: b"").run)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


async def test_a_leftover_socket_is_replaced_and_ours_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    path.touch()
    async with trio.open_nursery() as nursery:
        await nursery.start(StatusSocket(path, os.getgid(), lambda: b"x\n").run)
        assert await read_all(path) == b"x\n"
        nursery.cancel_scope.cancel()
    assert not path.exists()


async def test_a_client_that_does_not_read_is_let_go(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: object
) -> None:
    path = tmp_path / "status.sock"
    socket = StatusSocket(path, os.getgid(), lambda: b"x" * 10_000_000)
    await nursery.start(socket.run)
    async with await trio.open_unix_socket(str(path)) as stream:
        await stream.receive_some(1)
        await trio.sleep(6)
        received = 1
        async for chunk in stream:
            received += len(chunk)
    assert received < 10_000_000

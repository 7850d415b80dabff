"""Both connections to the kernel answer alike."""

# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH115, PTH208, PTH211
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pmxcfs.fuse import replies
from pmxcfs.options import FuseBinding
from tests.fuse.test_kernel_memory import Node


def _answers(root: Path) -> list[object]:
    """Make calls of every kind; return what came of them."""
    answers: list[object] = []

    def ask(call: Callable[[], object]) -> None:
        try:
            answers.append(call())
        except OSError as error:
            answers.append(errno.errorcode[error.errno or 0])

    def look(name: str) -> tuple[int, int, int, float]:
        found = os.lstat(root / name)
        return found.st_mode, found.st_nlink, found.st_size, found.st_mtime

    ask(lambda: os.mkdir(root / "d"))
    ask(lambda: os.mkdir(root / "d"))
    ask(lambda: (root / "d/f").write_bytes(b"text" * 100_000))
    ask(lambda: (root / "d/f").read_bytes() == b"text" * 100_000)
    ask(lambda: look("d/f"))
    ask(lambda: os.truncate(root / "d/f", 3))
    ask(lambda: (root / "d/f").read_bytes())
    ask(lambda: os.utime(root / "d/f", (1, 2)))
    ask(lambda: look("d/f"))
    ask(lambda: os.chmod(root / "d/f", 0o777))
    ask(lambda: os.chmod(root / "d/f", 0o640))
    ask(lambda: os.chown(root / "d/f", 1, 1))
    ask(lambda: os.rename(root / "d/f", root / "g"))
    ask(lambda: sorted(os.listdir(root)))
    ask(lambda: [(entry.name, entry.is_dir()) for entry in os.scandir(root / "d")])
    ask(lambda: os.readlink(root / "local"))
    ask(lambda: os.symlink("a", root / "b"))
    ask(lambda: os.mknod(root / "n", stat.S_IFREG | 0o600))
    ask(lambda: os.mknod(root / "p", stat.S_IFIFO | 0o600))
    ask(lambda: os.getxattr(root / "g", "user.x"))
    ask(lambda: _synced(root / "s"))
    ask(lambda: os.rmdir(root / "d"))
    ask(lambda: os.unlink(root / "nothing"))
    ask(lambda: os.unlink(root / "g"))
    ask(lambda: os.statvfs(root))
    return answers


def _synced(path: Path) -> bytes:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DSYNC, 0o640)
    os.write(handle, b"synced")
    os.fsync(handle)
    os.close(handle)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    return path.read_bytes()


async def _answers_through(binding: FuseBinding, mountpoint: Path) -> list[object]:
    node = Node(mountpoint)
    async with node.running(binding):
        return await node.call(_answers, mountpoint)


async def test_both_bindings_answer_alike(tmp_path: Path) -> None:
    ours = await _answers_through(FuseBinding.LOWLEVEL, tmp_path / "ours")
    theirs = await _answers_through(FuseBinding.PYFUSE3, tmp_path / "theirs")
    assert ours == theirs
    assert ours[:2] == [None, "EEXIST"]


async def test_a_reply_that_cannot_be_made_is_an_eio_and_not_a_hanging_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path / "mnt")
    async with node.running(FuseBinding.LOWLEVEL):
        monkeypatch.setattr(replies, "target", None)
        with pytest.raises(OSError, match="Input/output error"):
            await node.call(os.readlink, node.mountpoint / "local")

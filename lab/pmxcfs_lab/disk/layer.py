"""The file system: hands everything on to the store, and fails as its mood is."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pyfuse3
import trio

from pmxcfs_lab.disk.mood import WELL, Mood
from pmxcfs_lab.disk.store import ROOT, Node, Store, is_hidden

VALID_S = 3600.0
"""How long the kernel may remember: nobody changes the folder behind our back."""

SHOWN = (
    *("st_mode", "st_nlink", "st_uid", "st_gid", "st_rdev", "st_size", "st_blocks"),
    *("st_atime_ns", "st_mtime_ns", "st_ctime_ns"),
)
SHOWN_OF_ALL = ("f_bsize", "f_frsize", "f_blocks", "f_files", "f_ffree", "f_favail")
NAME_SIZE_MAX = 255


class Layer(pyfuse3.Operations):
    """All operations, see pyfuse3's documentation of each; nothing in them waits but a slow disk.

    Args:
        root: the folder behind us.
    """

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.mood: Mood = WELL
        self._root = root
        self._store = Store(root)
        self._is_dead = False

    def cut_power(self, seed: int, keep: float) -> dict[str, int]:
        """Take away what was not synced; from now on every call fails. Return what that was."""
        self._is_dead = True
        return self._store.cut_power(Random(seed), keep)

    async def lookup(self, parent_inode: int, name: bytes, ctx: object) -> pyfuse3.EntryAttributes:
        """See pyfuse3."""
        path = self._child(parent_inode, name)
        if is_hidden(path):
            raise pyfuse3.FUSEError(errno.ENOENT)
        return self._attributes(path)

    async def getattr(self, inode: int, ctx: object) -> pyfuse3.EntryAttributes:
        """See pyfuse3."""
        return self._attributes(self._node(inode).path, inode)

    async def setattr(
        self,
        inode: int,
        attr: pyfuse3.EntryAttributes,
        fields: pyfuse3.SetattrFields,
        fh: object,
        ctx: object,
    ) -> pyfuse3.EntryAttributes:
        """See pyfuse3."""
        node = self._node(inode)
        if fields.update_size:
            await self._meet("write", node, grows=attr.st_size > self._store.size(node))
        with _errors():
            if fields.update_size:
                self._store.truncate(node, attr.st_size)
            if fields.update_mode:
                self._store.set_mode(node, attr.st_mode)
            if fields.update_uid or fields.update_gid:
                uid = attr.st_uid if fields.update_uid else -1
                os.chown(node.path, uid, attr.st_gid if fields.update_gid else -1)
            if fields.update_atime or fields.update_mtime:
                self._store.set_times(
                    node,
                    attr.st_atime_ns if fields.update_atime else None,
                    attr.st_mtime_ns if fields.update_mtime else None,
                )
        return self._attributes(node.path, inode)

    async def create(
        self,
        parent_inode: int,
        name: bytes,
        mode: int,
        flags: int,
        ctx: pyfuse3.RequestContext,
    ) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
        """See pyfuse3."""
        path = self._child(parent_inode, name)
        self._refuse("create", path, grows=True)
        with _errors():
            number = self._store.create(path, mode & ~ctx.umask)
        return self._open(number), self._attributes(path)

    async def open(self, inode: int, flags: int, ctx: object) -> pyfuse3.FileInfo:
        """See pyfuse3."""
        info = self._open(inode)
        if flags & os.O_TRUNC:
            with _errors():
                self._store.truncate(self._node(inode), 0)
        return info

    async def read(self, fh: int, off: int, size: int) -> bytes:
        """See pyfuse3."""
        node = self._node(fh)
        await self._meet("read", node)
        with _errors():
            return self._store.read(node, off, size)

    async def write(self, fh: int, off: int, buf: bytes) -> int:
        """See pyfuse3."""
        node = self._node(fh)
        await self._meet("write", node, grows=off + len(buf) > self._store.size(node))
        with _errors():
            return self._store.write(node, off, buf)

    async def fsync(self, fh: int, datasync: bool) -> None:
        """See pyfuse3. As in a journal, syncing one file makes all names so far last."""
        node = self._node(fh)
        await self._meet("fsync", node)
        node.unsynced.note_sync()
        self._store.names.note_sync()

    async def fsyncdir(self, fh: int, datasync: bool) -> None:
        """See pyfuse3."""
        await self._meet("fsync", self._node(fh))
        self._store.names.note_sync()

    async def flush(self, fh: int) -> None:
        """See pyfuse3: closing syncs nothing."""

    async def release(self, fh: int) -> None:
        """See pyfuse3."""
        self._store.release(self._store.node(fh))

    async def unlink(self, parent_inode: int, name: bytes, ctx: object) -> None:
        """See pyfuse3."""
        path = self._child(parent_inode, name)
        with _errors():
            self._store.remove(path)

    async def rename(
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
        ctx: object,
    ) -> None:
        """See pyfuse3; the flags of renameat2 are refused."""
        if flags:
            raise pyfuse3.FUSEError(errno.EINVAL)
        old = self._child(parent_inode_old, name_old)
        new = self._child(parent_inode_new, name_new)
        with _errors():
            self._store.rename(old, new)

    async def mkdir(
        self, parent_inode: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """See pyfuse3."""
        path = self._child(parent_inode, name)
        self._refuse("create", path, grows=True)
        with _errors():
            self._store.make_folder(path, mode & ~ctx.umask)
        return self._attributes(path)

    async def rmdir(self, parent_inode: int, name: bytes, ctx: object) -> None:
        """See pyfuse3."""
        path = self._child(parent_inode, name)
        with _errors():
            self._store.remove_folder(path)

    async def opendir(self, inode: int, ctx: object) -> int:
        """See pyfuse3."""
        return inode

    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        """See pyfuse3."""
        entries = self._store.entries(self._node(fh))
        for number, path in enumerate(entries[start_id:], start_id + 1):
            name = os.fsencode(path.name)
            if not pyfuse3.readdir_reply(token, name, self._attributes(path), number):
                return

    async def statfs(self, ctx: object) -> pyfuse3.StatvfsData:
        """See pyfuse3."""
        behind = os.statvfs(self._root)
        answer = pyfuse3.StatvfsData()
        for name in SHOWN_OF_ALL:
            setattr(answer, name, getattr(behind, name))
        answer.f_bfree = answer.f_bavail = 0 if self.mood.full else behind.f_bavail
        answer.f_namemax = NAME_SIZE_MAX
        return answer

    def _node(self, number: int) -> Node:
        if self._is_dead:
            raise pyfuse3.FUSEError(errno.EIO)
        return self._store.node(number)

    def _child(self, parent: int, name: bytes) -> Path:
        return self._node(parent).path / os.fsdecode(name)

    async def _meet(self, call: str, node: Node, *, grows: bool = False) -> None:
        """Let the disk's mood have its way with a call."""
        if self.mood.delay_ms > 0 and self.mood.delays(node.path.name):
            await trio.sleep(self.mood.delay_ms / 1000)
        self._refuse(call, node.path, grows=grows)

    def _refuse(self, call: str, path: Path, *, grows: bool) -> None:
        code = self.mood.error(call, path.name, grows=grows)
        if code is not None or self._is_dead:
            raise pyfuse3.FUSEError(code or errno.EIO)

    def _open(self, number: int) -> pyfuse3.FileInfo:
        with _errors():
            self._store.open(self._node(number))
        return pyfuse3.FileInfo(fh=number, keep_cache=True)

    def _attributes(self, path: Path, number: int | None = None) -> pyfuse3.EntryAttributes:
        answer = pyfuse3.EntryAttributes()
        with _errors():
            found = path.stat() if number == ROOT else path.lstat()
        for name in SHOWN:
            setattr(answer, name, getattr(found, name))
        answer.st_ino = self._store.number(path) if number is None else number
        answer.st_blksize = 4096
        answer.entry_timeout = answer.attr_timeout = VALID_S
        return answer


@contextmanager
def _errors() -> Iterator[None]:
    """Answer the errors of the folder behind us."""
    try:
        yield
    except OSError as error:
        raise pyfuse3.FUSEError(error.errno or errno.EIO) from None

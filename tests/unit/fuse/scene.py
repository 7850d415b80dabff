"""A file system without kernel and disk: real operations, a real driver, a group of one."""

from collections.abc import Callable, Iterable, Sequence

import pytest

from pmxcfs.driver import Driver
from pmxcfs.errors import OperationError
from pmxcfs.fuse.attributes import Stat
from pmxcfs.fuse.inodes import KERNEL_ROOT
from pmxcfs.fuse.invalidation import Invalidator
from pmxcfs.fuse.operations import PmxcfsOperations, Wanted
from pmxcfs.fuse.virtual_files import VirtualObject, debug_switch, node_links, read_only
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.loopback import LoopbackGroup
from pmxcfs.memdb.entry import Change, Entry
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Mkdir, Operation, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import QuorumChanged, Replica

NOW_S = 1_700_000_000
GID = 33


class _NoDisk:
    def commit(self, changes: Sequence[Change]) -> None:
        pass

    def probe(self) -> None:
        pass


class SpyDriver(Driver):
    """A driver that remembers what was sent to the members."""

    def __init__(self, replica: Replica) -> None:
        super().__init__(replica, _NoDisk(), lambda: NOW_S)
        self.sent: list[Operation] = []
        self.before_delivery: Callable[[], None] = lambda: None

    async def submit(self, operation: Operation) -> int:
        self.sent.append(operation)
        self.before_delivery()
        return await super().submit(operation)


class RecordingInvalidator(Invalidator):
    """Notes what the kernel would have to forget, and tells nobody."""

    def __init__(self) -> None:
        self.inodes: list[int] = []
        self.names_forgotten = 0
        self.knows_names = False

    @property
    def forgets_names(self) -> bool:
        return self.knows_names

    def add(self, inodes: Iterable[int]) -> None:
        self.inodes += inodes

    def forget_names(self) -> None:
        self.names_forgotten += 1


class Scene:
    """The operations and what is around them; paths are texts, for short tests."""

    def __init__(self, kind: type[PmxcfsOperations] = PmxcfsOperations) -> None:
        self.version_text = b"version 1"
        self.is_debug = False
        replica = Replica(Memdb(Tree.new(), NOW_S), node_name="alone", standalone=True)
        self.driver = SpyDriver(replica)
        group = LoopbackGroup(Member(NodeId(0), Pid(42)), self.driver.feed)
        self.driver.attach(group)
        group.start()
        virtual: list[VirtualObject] = [
            *node_links("alone"),
            read_only(b".version", lambda: self.version_text),
            debug_switch(lambda: self.is_debug, self._turn_debug),
        ]
        self.fs = kind(self.driver, virtual, gid=GID)
        self.invalidator = RecordingInvalidator()
        self.fs.cache.attach(self.invalidator)

    def _turn_debug(self, is_on: bool) -> None:
        self.is_debug = is_on

    def set_quorate(self, is_quorate: bool) -> None:
        self.driver.feed([QuorumChanged(is_quorate)])

    async def others(self, *operations: Operation) -> None:
        """Do as another node would: change the tree without any request of our kernel."""
        for operation in operations:
            await Driver.submit(self.driver, operation)

    async def make(self, path: str, content: bytes | None = None) -> None:
        """Make a file, or a directory without content, and the directories above it."""
        names = path.split("/")
        for depth in range(1, len(names)):
            directory = "/".join(names[:depth]).encode()
            if self.driver.replica.memdb.tree.find(directory) is None:
                await self.others(Mkdir(directory))
        if content is None:
            await self.others(Mkdir(path.encode()))
        else:
            await self.others(Create(path.encode()), Write(path.encode(), 0, content))

    def entry(self, path: str) -> Entry | None:
        return self.driver.replica.memdb.tree.find(path.encode())

    def content(self, path: str) -> bytes:
        entry = self.entry(path)
        assert entry is not None
        return entry.data

    async def find(self, path: str) -> int:
        """Look a path up as the kernel does; return the inode number."""
        number = KERNEL_ROOT
        for name in filter(None, path.split("/")):
            number = (await self.fs.lookup(number, name.encode())).st_ino
        return number

    async def open(self, path: str, flags: int = 0) -> int:
        return await self.fs.open(await self.find(path), flags)

    async def setattr(self, path: str | int, **wanted: int) -> Stat:
        """Set size, mode, uid, gid, atime_s or mtime_s."""
        number = path if isinstance(path, int) else await self.find(path)
        return await self.fs.setattr(number, Wanted(**wanted))


class refused:  # noqa: N801  (reads as a word in a with statement)
    """Expect the kernel to be answered with this errno."""

    def __init__(self, errno: int) -> None:
        self._errno = errno

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if error is None:
            pytest.fail(f"was not refused with errno {self._errno}")
        if not isinstance(error, OperationError):
            return False
        assert error.errno == self._errno
        return True

"""Answers writes before they are made, and makes them as few, large changes soon after.

Only while all is well: in sync, quorate, the database taking changes. Whatever could refuse a write
is looked at before it is answered; what fails later is told to the next who writes the file, or who
flushes, syncs, closes, cuts or moves it.

Source: docs/GUARANTEES.md, "Gathered writes".
"""

from collections.abc import Callable, Coroutine
from errno import EFBIG, EINTR, EIO
from typing import Any

import structlog
import trio

from pmxcfs.driver import Driver
from pmxcfs.errors import OperationError
from pmxcfs.fuse.gathering import Gathering
from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX, Entry, Inode
from pmxcfs.memdb.limits import CONTENT_BYTES_MAX
from pmxcfs.stepping import InterruptionError, Promise, Step

log = structlog.get_logger("main")

HOLD_S_MAX = 0.2
"""When nobody asks for it, what was written is sent after this."""


class GatheredWrites:
    """The writes of a mount that are answered and not made yet.

    Args:
        driver: knows whether all is well.
        write: makes a change, see ``Changes.write``.
        live: returns the entry of an inode, unless the kernel takes it for another.
        on_refused: is told of files of which the kernel remembers what was refused.
    """

    def __init__(
        self,
        driver: Driver,
        write: Callable[[Inode, int, bytes], Coroutine[Any, Any, int]],
        live: Callable[[Inode], Entry | None],
        on_refused: Callable[[Inode], None],
    ) -> None:
        self._driver = driver
        self._write = write
        self._live = live
        self._on_refused = on_refused
        self._gathering = Gathering()
        self._has_some = trio.Event()
        self._tell: Callable[[bool], object] = lambda is_any: None
        self._is_any_told = False

    def attach(self, tell: Callable[[bool], object]) -> None:
        """Name what is told whether a file that is closed may have to wait."""
        self._tell = tell

    def __bool__(self) -> bool:
        """Whether there are any, or failed ones that nobody was told of."""
        return not self._gathering.is_empty

    @property
    def inodes(self) -> list[Inode]:
        """The files that have any."""
        return self._gathering.inodes

    def has_taken(self, inode: Inode, offset: int, data: bytes) -> bool:
        """Take a write that may be answered now; false means that it has to be made first.

        Raises:
            OperationError: it is known that it would be refused; or something before it was.
        """
        if self._live(inode) is None or not self._driver.is_settled:
            return False
        self._check(inode, offset + len(data))
        if self._has_little_room(offset + len(data)):
            return False
        if not self._gathering.has_taken(inode, offset, data):
            return False
        self._has_some.set()
        self._tell_whether_any()
        return True

    async def settle(self, *inodes: Inode) -> None:
        """Return once all that was written to files by now was made, or has failed.

        Raises:
            OperationError: EINTR, the caller was interrupted; it will be made nevertheless.
        """
        awaited = [self._promise(inode) for inode in inodes if inode in self._gathering]
        try:
            for over in awaited:
                await over
        except InterruptionError:
            raise OperationError(EINTR) from None

    async def settle_all(self) -> None:
        """Return once all that was written to any file by now was made, or has failed."""
        await self.settle(*self.inodes)

    def raise_failure(self, inode: Inode) -> None:
        """Tell that something of a file failed, once.

        Raises:
            OperationError: with the errno that it failed with.
        """
        errno = self._gathering.taken_failure(inode)
        if errno:
            self._tell_whether_any()
            raise OperationError(errno)

    def laid_over(self, inode: Inode, content: bytes) -> bytes:
        """Return what a file will read as once all that was written to it is made."""
        if self._live(inode) is None:
            return content  # what is held belongs to what the inode stood for before
        return self._gathering.laid_over(inode, content)

    async def run(self) -> None:
        """Send what nobody asks for after a while. Runs until cancelled."""
        while True:
            await self._has_some.wait()
            await trio.sleep(HOLD_S_MAX)
            self._has_some = trio.Event()
            for inode in self._gathering.inodes:
                self._send(inode)

    def _promise(self, inode: Inode) -> Promise[None]:
        """Send what is held of a file, and return what is kept when it is over."""
        over = Promise[None]()
        self._gathering.when_over(inode, lambda: over.keep(None))
        self._send(inode)
        return over

    def _check(self, inode: Inode, end: int) -> None:
        self.raise_failure(inode)
        refusal = self._driver.replica.refusal
        if refusal is not None:
            raise OperationError(refusal)
        if end > FILE_SIZE_BYTES_MAX:
            raise OperationError(EFBIG)

    def _has_little_room(self, end: int) -> bool:
        """Whether it has to be looked at closely if the tree can grow so far."""
        used_bytes = self._driver.replica.memdb.tree.content_size_bytes + self._gathering.size_bytes
        return used_bytes + end > CONTENT_BYTES_MAX

    def _send(self, inode: Inode) -> None:
        """See to it that all that is held of a file is made, one piece after the other."""
        piece = self._gathering.begin(inode)
        if piece is not None:
            Step(
                self._write(inode, piece.offset, bytes(piece.data)),
                lambda count: self._end(inode, 0),
                lambda error: self._fail(inode, error),
            ).run()

    def _fail(self, inode: Inode, error: Exception) -> None:
        errno = error.errno if isinstance(error, OperationError) else EIO
        log.warning(
            "what was written to a file was refused after its writer was answered",
            inode=inode,
            errno=errno,
            exc_info=None if isinstance(error, OperationError) else error,
        )
        self._on_refused(inode)
        self._end(inode, errno)

    def _end(self, inode: Inode, errno: int) -> None:
        over = self._gathering.end(inode, errno)
        if inode in self._gathering:
            self._send(inode)
        self._tell_whether_any()
        for piece in over:
            for call in piece.on_over:
                call()

    def _tell_whether_any(self) -> None:
        if bool(self) is not self._is_any_told:
            self._is_any_told = bool(self)
            self._tell(self._is_any_told)

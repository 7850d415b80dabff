"""The requests of the kernel as libfuse hands them over, and the answers in its form.

Each is run on the spot, without a task, and answered before the next is looked at unless it has to
wait for the group. What waits for the disk gets a task. Who waits can be interrupted.
"""

from collections.abc import Callable, Coroutine
from errno import EINTR, EIO
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, cast

import pyfuse3
import structlog
import trio

from pmxcfs._libfuse import ffi, lib
from pmxcfs.fuse import replies
from pmxcfs.fuse.gathering_operations import GatheringOperations
from pmxcfs.fuse.interruptions import Interruptions
from pmxcfs.fuse.operations import PmxcfsOperations
from pmxcfs.stepping import Promise, Step, first_promise
from pmxcfs.values import value

if TYPE_CHECKING:
    from pmxcfs._libfuse import CData

log = structlog.get_logger("main")

_CONTEXT = cast("pyfuse3.RequestContext", None)
_NANOSECONDS = 1_000_000_000

P = ParamSpec("P")
Handler = Coroutine[Any, Any, Any]
Reply = Callable[["CData", Any], object]


@value(frozen=True, slots=True)
class WantedFields:
    """Which fields a request wants to set; named as the binding names them."""

    update_mode: bool
    update_uid: bool
    update_gid: bool
    update_size: bool
    update_atime: bool
    update_mtime: bool


class Requests:
    """Runs requests, and knows those that are under way.

    Args:
        operations: what answers them.
        spawn: runs a coroutine function in a task.
    """

    def __init__(
        self, operations: PmxcfsOperations, spawn: Callable[[Callable[[], Handler]], None]
    ) -> None:
        self.operations = operations
        self._spawn = spawn
        self._under_way: dict[CData, Callable[[], None]] = {}
        self._interruptions = Interruptions()
        self._one_answered = trio.Event()

    @property
    def are_under_way(self) -> bool:
        """Whether a request waits for something else than us."""
        return bool(self._under_way)

    async def all_answered(self) -> None:
        """Return once no request is under way; no more are taken by then."""
        while self._under_way:
            self._one_answered = trio.Event()
            await self._one_answered.wait()

    def run(self, request: "CData", handler: Handler, reply: Reply) -> None:
        """Run a request now, to its answer if it need not wait."""

        try:
            promise = first_promise(handler)
        except StopIteration as done:
            _reply(request, reply, done.value)
        except Exception as error:
            _reply_error(request, error)
        else:
            self._let_wait(request, handler, reply, promise)

    def run_in_task(self, request: "CData", handler: Handler, reply: Reply) -> None:
        """Run a request that waits for more than an answer of the group."""
        patience = trio.CancelScope()
        self._under_way[request] = patience.cancel
        lib.pmxcfs_let_wait(request)

        async def task() -> None:
            try:
                with patience:
                    result = await handler
            except Exception as error:
                self._refuse(request, error)
            else:
                if patience.cancelled_caught:
                    self._refuse(request, pyfuse3.FUSEError(EINTR))
                else:
                    self._answer(request, reply, result)

        self._spawn(task)

    def on_interrupt(self, request: "CData", thread: int) -> None:
        """Hear from the kernel that the caller of a request under way was interrupted."""
        self._interruptions.begin(request, thread)

    def end_interrupted(self) -> None:
        """Let go those callers that were interrupted and want to wait no more: EINTR.

        To be called about twice a second.
        """
        for request in self._interruptions.due():
            self._under_way[request]()

    def _let_wait(
        self, request: "CData", handler: Handler, reply: Reply, promise: Promise[Any]
    ) -> None:
        """Run a request on when a promise is kept; until then it can be interrupted."""

        def answer(result: object) -> None:
            self._answer(request, reply, result)

        step = Step(handler, answer, lambda error: self._refuse(request, error))
        self._under_way[request] = step.interrupt
        lib.pmxcfs_let_wait(request)
        step.wait_for(promise)

    def _answer(self, request: "CData", reply: Reply, result: object) -> None:
        self._settle(request)
        _reply(request, reply, result)

    def _settle(self, request: "CData") -> None:
        del self._under_way[request]
        self._interruptions.end(request)
        self._one_answered.set()

    def _refuse(self, request: "CData", error: Exception) -> None:
        self._settle(request)
        _reply_error(request, error)


def _reply(request: "CData", reply: Reply, result: object) -> None:
    try:
        reply(request, result)
    except Exception as error:
        _reply_error(request, error)


def _reply_error(request: "CData", error: Exception) -> None:
    if not isinstance(error, pyfuse3.FUSEError):
        log.error("a request of the kernel failed", exc_info=error)
    lib.fuse_reply_err(request, getattr(error, "errno", None) or EIO)


_requests: Requests


def answer_with(requests: Requests) -> None:
    """Have these answer all requests from now on; a process has one mount at a time."""
    global _requests
    _requests = requests


def _on_error(kind: type[BaseException], error: BaseException, trace: TracebackType) -> None:
    log.critical("a callback of libfuse failed", exc_info=error)


def _answers(kind: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Have libfuse call this function for requests of a kind."""
    return ffi.def_extern(name=f"pmxcfs_on_{kind}", onerror=_on_error)


@_answers("lookup")
def _on_lookup(request: "CData", parent: int, name: "CData") -> None:
    handler = _requests.operations.lookup(parent, ffi.string(name), _CONTEXT)
    _requests.run(request, handler, replies.entry)


@_answers("forget")
def _on_forget(request: "CData", number: int, count: int) -> None:
    _requests.operations.forget_now([(number, count)])
    lib.fuse_reply_none(request)


@_answers("getattr")
def _on_getattr(request: "CData", number: int) -> None:
    _requests.run(request, _requests.operations.getattr(number, _CONTEXT), replies.attributes)


@_answers("setattr")
def _on_setattr(
    request: "CData",
    number: int,
    fields: int,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    atime_s: int,
    mtime_s: int,
) -> None:
    wanted = pyfuse3.EntryAttributes()
    wanted.st_mode, wanted.st_uid, wanted.st_gid, wanted.st_size = mode, uid, gid, size
    wanted.st_atime_ns, wanted.st_mtime_ns = atime_s * _NANOSECONDS, mtime_s * _NANOSECONDS
    which = WantedFields(
        bool(fields & lib.FUSE_SET_ATTR_MODE),
        bool(fields & lib.FUSE_SET_ATTR_UID),
        bool(fields & lib.FUSE_SET_ATTR_GID),
        bool(fields & lib.FUSE_SET_ATTR_SIZE),
        bool(fields & lib.FUSE_SET_ATTR_ATIME),
        bool(fields & lib.FUSE_SET_ATTR_MTIME),
    )
    handler = _requests.operations.setattr(
        number, wanted, cast("pyfuse3.SetattrFields", which), None, _CONTEXT
    )
    _requests.run(request, handler, replies.attributes)


@_answers("readlink")
def _on_readlink(request: "CData", number: int) -> None:
    _requests.run(request, _requests.operations.readlink(number, _CONTEXT), replies.target)


@_answers("mknod")
def _on_mknod(request: "CData", parent: int, name: "CData", mode: int) -> None:
    handler = _requests.operations.mknod(parent, ffi.string(name), mode, 0, _CONTEXT)
    _requests.run(request, handler, replies.entry)


@_answers("mkdir")
def _on_mkdir(request: "CData", parent: int, name: "CData", mode: int) -> None:
    handler = _requests.operations.mkdir(parent, ffi.string(name), mode, _CONTEXT)
    _requests.run(request, handler, replies.entry)


@_answers("unlink")
def _on_unlink(request: "CData", parent: int, name: "CData") -> None:
    handler = _requests.operations.unlink(parent, ffi.string(name), _CONTEXT)
    _requests.run(request, handler, replies.done)


@_answers("rmdir")
def _on_rmdir(request: "CData", parent: int, name: "CData") -> None:
    handler = _requests.operations.rmdir(parent, ffi.string(name), _CONTEXT)
    _requests.run(request, handler, replies.done)


@_answers("rename")
def _on_rename(
    request: "CData", parent: int, name: "CData", to: int, new_name: "CData", flags: int
) -> None:
    handler = _requests.operations.rename(
        parent, ffi.string(name), to, ffi.string(new_name), flags, _CONTEXT
    )
    _requests.run(request, handler, replies.done)


@_answers("open")
def _on_open(request: "CData", number: int, flags: int) -> None:
    _requests.run(request, _requests.operations.open(number, flags, _CONTEXT), replies.opened)


@_answers("read")
def _on_read(request: "CData", number: int, size: int, offset: int) -> None:
    _requests.run(request, _requests.operations.read(number, offset, size), replies.data)


@_answers("write")
def _on_write(
    request: "CData", number: int, data: "CData", size: int, offset: int, is_page: int
) -> None:
    content = ffi.buffer(data, size)[:]
    if not is_page and _has_gathered(request, number, offset, content):
        return
    handler = _requests.operations.write(number, offset, content)
    is_synchronous = _requests.operations.is_synchronous(number)
    run = _requests.run_in_task if is_synchronous else _requests.run
    run(request, handler, replies.written)


def _has_gathered(request: "CData", number: int, offset: int, data: bytes) -> bool:
    """Answer a write that need not be made before; what a mapping's page holds is never one."""
    operations = _requests.operations
    if not isinstance(operations, GatheringOperations):
        return False
    try:
        if not operations.has_taken(number, offset, data):
            return False
    except pyfuse3.FUSEError as refusal:
        lib.fuse_reply_err(request, refusal.errno)
    else:
        replies.written(request, len(data))
    return True


@_answers("flush")
def _on_flush(request: "CData", number: int) -> None:
    _requests.run(request, _requests.operations.flush(number), replies.done)


@_answers("release")
def _on_release(request: "CData", number: int) -> None:
    _requests.run(request, _requests.operations.release(number), replies.done)


@_answers("fsync")
def _on_fsync(request: "CData", number: int, datasync: int) -> None:
    handler = _requests.operations.fsync(number, bool(datasync))
    _requests.run_in_task(request, handler, replies.done)


@_answers("opendir")
def _on_opendir(request: "CData", number: int) -> None:
    operations = _requests.operations
    reply: Reply = replies.handle
    if operations.can_list_from_memory(number):
        reply = replies.cached_handle if operations.remembers_names(number) else replies.new_handle
    _requests.run(request, operations.opendir(number, _CONTEXT), reply)


@_answers("readdir")
def _on_readdir(request: "CData", handle: int, size: int, offset: int) -> None:
    names = replies.Names(request, size)
    _requests.run(request, _requests.operations.list(handle, offset, names.add), names.reply)


@_answers("releasedir")
def _on_releasedir(request: "CData", handle: int) -> None:
    _requests.run(request, _requests.operations.releasedir(handle), replies.done)


@_answers("fsyncdir")
def _on_fsyncdir(request: "CData", handle: int, datasync: int) -> None:
    handler = _requests.operations.fsyncdir(handle, bool(datasync))
    _requests.run_in_task(request, handler, replies.done)


@_answers("statfs")
def _on_statfs(request: "CData") -> None:
    _requests.run(request, _requests.operations.statfs(_CONTEXT), replies.statfs)


@_answers("create")
def _on_create(request: "CData", parent: int, name: "CData", mode: int, flags: int) -> None:
    handler = _requests.operations.create(parent, ffi.string(name), mode, flags, _CONTEXT)
    _requests.run(request, handler, replies.created)


@_answers("interrupt")
def _on_interrupt(request: "CData", thread: int) -> None:
    _requests.on_interrupt(request, thread)

"""The requests of the kernel as libfuse hands them over, and the answers in its form.

Each is run on the spot, without a task, and answered before the next is looked at unless it has to
wait for the group. What waits for the disk gets a task. Who waits can be interrupted.
"""

from collections.abc import Callable, Coroutine
from errno import EINTR, EIO
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any

import structlog
import trio

from pmxcfs._libfuse import ffi, lib
from pmxcfs.errors import OperationError
from pmxcfs.fuse import replies
from pmxcfs.fuse.gathering_operations import GatheringOperations
from pmxcfs.fuse.interruptions import Interruptions
from pmxcfs.fuse.operations import PmxcfsOperations, Wanted
from pmxcfs.stepping import Promise, Step, first_promise

if TYPE_CHECKING:
    from pmxcfs._libfuse import CData

log = structlog.get_logger("main")

Handler = Coroutine[Any, Any, Any]
Reply = Callable[["CData", Any], object]


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
        self._in_tasks = 0
        self._interruptions = Interruptions()
        self._one_begun = trio.Event()
        self._one_answered = trio.Event()

    @property
    def patience(self) -> int:
        """For whom requests wait: PMXCFS_NOBODY, PMXCFS_GROUP, or PMXCFS_OTHERS, the event loop."""
        if not self._under_way:
            return _NOBODY
        return _OTHERS if self._in_tasks else _GROUP

    async def one_under_way(self) -> None:
        """Return once a request is under way."""
        if not self._under_way:
            self._one_begun = trio.Event()
        await self._one_begun.wait()

    async def all_answered(self) -> None:
        """Return once no request is under way; no more are taken by then."""
        while self._under_way:
            self._one_answered = trio.Event()
            await self._one_answered.wait()

    def run(self, request: "CData", name: str, handler: Handler, reply: Reply) -> None:
        """Run a request now, to its answer if it need not wait; it is counted by its name."""
        began_ns = perf_counter_ns()
        try:
            promise = first_promise(handler)
        except StopIteration as done:
            errno = _reply(request, reply, done.value)
        except Exception as error:
            errno = _reply_error(request, error)
        else:
            self._let_wait(Answering(self, request, name, reply, began_ns), handler, promise)
            return
        self.operations.requests.note(name, perf_counter_ns() - began_ns, errno)

    def run_in_task(self, request: "CData", name: str, handler: Handler, reply: Reply) -> None:
        """Run a request that waits for more than an answer of the group."""
        answering = Answering(self, request, name, reply, perf_counter_ns())
        patience = trio.CancelScope()
        self._in_tasks += 1
        self._begin(request, patience.cancel)

        async def task() -> None:
            try:
                with patience:
                    result = await handler
            except Exception as error:
                self._in_tasks -= 1
                answering.refuse(error)
            else:
                self._in_tasks -= 1
                if patience.cancelled_caught:
                    answering.refuse(OperationError(EINTR))
                else:
                    answering.answer(result)

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

    def settle(self, request: "CData") -> None:
        """A request is no longer under way: it is answered next."""
        del self._under_way[request]
        self._interruptions.end(request)
        self._one_answered.set()

    def _begin(self, request: "CData", interrupt: Callable[[], None]) -> None:
        """A request is under way: it waits for others than us, and may be interrupted."""
        self._under_way[request] = interrupt
        self._one_begun.set()
        lib.pmxcfs_let_wait(request, self.patience)

    def _let_wait(self, answering: "Answering", handler: Handler, promise: Promise[Any]) -> None:
        """Run a request on when a promise is kept; until then it can be interrupted."""
        step = Step(handler, answering.answer, answering.refuse)
        self._begin(answering.request, step.interrupt)
        step.wait_for(promise)


class Answering:
    """What is left to do of a request under way once its result is there."""

    def __init__(
        self, requests: Requests, request: "CData", name: str, reply: Reply, began_ns: int
    ) -> None:
        self._requests = requests
        self.request = request
        self._name = name
        self._reply = reply
        self._began_ns = began_ns

    def answer(self, result: object) -> None:
        """Answer with the result."""
        self._requests.settle(self.request)
        self._note(_reply(self.request, self._reply, result))

    def refuse(self, error: Exception) -> None:
        """Answer with an error."""
        self._requests.settle(self.request)
        self._note(_reply_error(self.request, error))

    def _note(self, errno: int) -> None:
        duration_ns = perf_counter_ns() - self._began_ns
        self._requests.operations.requests.note(self._name, duration_ns, errno)


def _reply(request: "CData", reply: Reply, result: object) -> int:
    """Answer a request; return the errno that its caller gets."""
    try:
        reply(request, result)
    except Exception as error:
        return _reply_error(request, error)
    return 0


def _reply_error(request: "CData", error: Exception) -> int:
    """Answer with an error: EIO, for this one caller, if it is no OperationError but our defect."""
    if isinstance(error, OperationError):
        errno = error.errno
    else:
        errno = EIO
        log.error("a request of the kernel failed", exc_info=error)
    lib.fuse_reply_err(request, errno)
    return errno


_requests: Requests


def answer_with(requests: Requests) -> None:
    """Have these answer all requests from now on; a process has one mount at a time."""
    global _requests
    _requests = requests


def _on_error(kind: type[BaseException], error: BaseException, trace: TracebackType) -> None:
    log.critical("a callback of libfuse failed", exc_info=error)


def _answers(kind: str, answer: Callable[..., None]) -> None:
    """Have libfuse call this function for requests of a kind.

    What it raises comes before its request is run, and is a defect of ours: EIO, for one caller.
    """

    def answering(request: "CData", *arguments: object) -> None:
        try:
            answer(request, *arguments)
        except Exception as error:
            _reply_error(request, error)

    ffi.def_extern(name=f"pmxcfs_on_{kind}", onerror=_on_error)(answering)


def _on_lookup(request: "CData", parent: int, name: "CData") -> None:
    handler = _requests.operations.lookup(parent, ffi.string(name))
    _requests.run(request, "lookup", handler, replies.entry)


def _on_forget(request: "CData", number: int, count: int) -> None:
    _requests.operations.forget([(number, count)])
    lib.fuse_reply_none(request)


def _on_getattr(request: "CData", number: int) -> None:
    _requests.run(request, "getattr", _requests.operations.getattr(number), replies.attributes)


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
    wanted = Wanted(
        mode=mode if fields & _MODE else None,
        uid=uid if fields & _UID else None,
        gid=gid if fields & _GID else None,
        size=size if fields & _SIZE else None,
        atime_s=atime_s if fields & _ATIME else None,
        mtime_s=mtime_s if fields & _MTIME else None,
    )
    handler = _requests.operations.setattr(number, wanted)
    _requests.run(request, "setattr", handler, replies.attributes)


def _on_readlink(request: "CData", number: int) -> None:
    _requests.run(request, "readlink", _requests.operations.readlink(number), replies.target)


def _on_mknod(request: "CData", parent: int, name: "CData", mode: int) -> None:
    handler = _requests.operations.mknod(parent, ffi.string(name), mode)
    _requests.run(request, "mknod", handler, replies.entry)


def _on_mkdir(request: "CData", parent: int, name: "CData", mode: int) -> None:
    handler = _requests.operations.mkdir(parent, ffi.string(name), mode)
    _requests.run(request, "mkdir", handler, replies.entry)


def _on_unlink(request: "CData", parent: int, name: "CData") -> None:
    handler = _requests.operations.unlink(parent, ffi.string(name))
    _requests.run(request, "unlink", handler, replies.done)


def _on_rmdir(request: "CData", parent: int, name: "CData") -> None:
    handler = _requests.operations.rmdir(parent, ffi.string(name))
    _requests.run(request, "rmdir", handler, replies.done)


def _on_rename(
    request: "CData", parent: int, name: "CData", to: int, new_name: "CData", flags: int
) -> None:
    handler = _requests.operations.rename(parent, ffi.string(name), to, ffi.string(new_name), flags)
    _requests.run(request, "rename", handler, replies.done)


def _on_open(request: "CData", number: int, flags: int) -> None:
    _requests.run(request, "open", _requests.operations.open(number, flags), replies.opened)


def _on_read(request: "CData", number: int, size: int, offset: int) -> None:
    _requests.run(request, "read", _requests.operations.read(number, offset, size), replies.data)


def _on_write(
    request: "CData", number: int, data: "CData", size: int, offset: int, is_page: int
) -> None:
    content = ffi.buffer(data, size)[:]
    if not is_page and _has_gathered(request, number, offset, content):
        return
    handler = _requests.operations.write(number, offset, content)
    if _requests.operations.is_synchronous(number):
        _requests.run_in_task(request, "write", handler, replies.written)
    else:
        _requests.run(request, "write", handler, replies.written)


def _has_gathered(request: "CData", number: int, offset: int, data: bytes) -> bool:
    """Answer a write that need not be made before; what a mapping's page holds is never one."""
    operations = _requests.operations
    if not isinstance(operations, GatheringOperations):
        return False
    try:
        if not operations.has_taken(number, offset, data):
            return False
    except OperationError as refusal:
        lib.fuse_reply_err(request, refusal.errno)
    else:
        replies.written(request, len(data))
    return True


def _on_flush(request: "CData", number: int) -> None:
    operations = _requests.operations
    assert isinstance(operations, GatheringOperations), "nobody else asks to hear of it"
    _requests.run(request, "flush", operations.flush(number), replies.done)


def _on_release(request: "CData", number: int) -> None:
    _requests.run(request, "release", _requests.operations.release(number), replies.done)


def _on_fsync(request: "CData", number: int, datasync: int) -> None:
    handler = _requests.operations.fsync(number)
    _requests.run_in_task(request, "fsync", handler, replies.done)


def _on_opendir(request: "CData", number: int) -> None:
    operations = _requests.operations
    reply: Reply = replies.handle
    if operations.can_list_from_memory(number):
        reply = replies.cached_handle if operations.remembers_names(number) else replies.new_handle
    _requests.run(request, "opendir", operations.opendir(number), reply)


def _on_readdir(request: "CData", handle: int, size: int, offset: int) -> None:
    names = replies.Names(request, size)
    handler = _requests.operations.readdir(handle, offset, names.add)
    _requests.run(request, "readdir", handler, names.reply)


def _on_releasedir(request: "CData", handle: int) -> None:
    handler = _requests.operations.releasedir(handle)
    _requests.run(request, "releasedir", handler, replies.done)


def _on_fsyncdir(request: "CData", handle: int, datasync: int) -> None:
    handler = _requests.operations.fsyncdir(handle)
    _requests.run_in_task(request, "fsyncdir", handler, replies.done)


def _on_statfs(request: "CData") -> None:
    _requests.run(request, "statfs", _requests.operations.statfs(), replies.statfs)


def _on_create(request: "CData", parent: int, name: "CData", mode: int, flags: int) -> None:
    handler = _requests.operations.create(parent, ffi.string(name), mode, flags)
    _requests.run(request, "create", handler, replies.created)


def _on_interrupt(request: "CData", thread: int) -> None:
    _requests.on_interrupt(request, thread)


_NOBODY: int = lib.PMXCFS_NOBODY
_GROUP: int = lib.PMXCFS_GROUP
_OTHERS: int = lib.PMXCFS_OTHERS
_MODE: int = lib.FUSE_SET_ATTR_MODE
_UID: int = lib.FUSE_SET_ATTR_UID
_GID: int = lib.FUSE_SET_ATTR_GID
_SIZE: int = lib.FUSE_SET_ATTR_SIZE
_ATIME: int = lib.FUSE_SET_ATTR_ATIME
_MTIME: int = lib.FUSE_SET_ATTR_MTIME

_answers("lookup", _on_lookup)
_answers("forget", _on_forget)
_answers("getattr", _on_getattr)
_answers("setattr", _on_setattr)
_answers("readlink", _on_readlink)
_answers("mknod", _on_mknod)
_answers("mkdir", _on_mkdir)
_answers("unlink", _on_unlink)
_answers("rmdir", _on_rmdir)
_answers("rename", _on_rename)
_answers("open", _on_open)
_answers("read", _on_read)
_answers("write", _on_write)
_answers("flush", _on_flush)
_answers("release", _on_release)
_answers("fsync", _on_fsync)
_answers("opendir", _on_opendir)
_answers("readdir", _on_readdir)
_answers("releasedir", _on_releasedir)
_answers("fsyncdir", _on_fsyncdir)
_answers("statfs", _on_statfs)
_answers("create", _on_create)
_answers("interrupt", _on_interrupt)

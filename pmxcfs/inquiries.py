"""What the control socket answers, word by word.

Nothing here goes through the mount, waits for quorum, or asks corosync.

Source: docs/PROTOCOL.md, "The control socket".
"""

import json
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import trio

from pmxcfs import views
from pmxcfs.condition import Asked, Files, condition, node_name
from pmxcfs.control import CONTROL_NAME, Answerer, ControlSocket, RefusedError, Reply, Request
from pmxcfs.database import FREE_BYTES_MIN
from pmxcfs.driver import Driver
from pmxcfs.durable.promise import Promise
from pmxcfs.durable_driver import FsyncWait
from pmxcfs.identity import NodeId
from pmxcfs.logs import DebugSwitch
from pmxcfs.lost_trees import LostTrees
from pmxcfs.memdb.paths import is_private
from pmxcfs.options import Options
from pmxcfs.status.kvstore import Table
from pmxcfs.status_driver import StatusDriver
from pmxcfs.tap import Missed, Seen, Tap

DISK_WAIT_S_MAX = 1.0
"""How long the disk may take to say how large files are; then it is said that it does not."""

LOG_PERIOD_S = 0.25
LOG_ENTRIES_MAX = 10_000


class Trouble(Protocol):
    """Why a service of corosync cannot be used, and since when (UNIX seconds)."""

    @property
    def sentence(self) -> str:
        """In words."""

    @property
    def since_s(self) -> int:
        """When it began."""


Troubles = Callable[[], Mapping[str, Trouble | None]]


@dataclass(slots=True)
class Inquiries:
    """Everything that is needed to answer.

    Attributes:
        driver: of the tree.
        status: what is known of the cluster.
        process: this daemon.
        options: where things are.
        lost_trees: what is kept beside the database.
        troubles: of corosync's services, by their names.
        switch: of the debug lines.
        exposition: returns the metrics as Prometheus reads them.
        promise: returns what a successful fsync means now.
        fsync_wait: returns who waits in fsync.
        roll: asks the members, within a second, and returns which of them answered.
    """

    driver: Driver
    status: StatusDriver
    process: views.Process
    options: Options
    lost_trees: LostTrees
    troubles: Troubles
    switch: DebugSwitch
    exposition: Callable[[], str]
    promise: Callable[[], Promise]
    fsync_wait: Callable[[], FsyncWait | None]
    roll: Callable[[], Awaitable[Mapping[NodeId, bool]]]
    tap: Tap = field(init=False)
    _disk_looks: trio.CapacityLimiter = field(init=False)

    def __post_init__(self) -> None:
        # However often a hanging disk is asked, it costs no more threads.
        self._disk_looks = trio.CapacityLimiter(2)
        self.tap = Tap(lambda: self.driver.replica.memdb.tree, lambda: int(time.time()))
        self.driver.attach_tap(self.tap.take)

    def socket(self, gid: int) -> ControlSocket:
        """Return the socket at which root and one group may ask."""
        return ControlSocket(self.options.run_dir / CONTROL_NAME, gid, self.answerers())

    def answerers(self) -> dict[str, Answerer]:
        """Return how each word is answered."""
        return {
            "status": Answerer(self._status),
            "values": Answerer(self._values),
            "debug": Answerer(self._debug),
            "log": Answerer(self._log, streams=True),
            "watch": Answerer(self._watch, streams=True),
            "metrics": Answerer(self._metrics),
        }

    async def _status(self, request: Request) -> AsyncGenerator[Reply, None]:
        asked = await self._ask()
        state = condition(
            self.driver,
            self.status,
            self.process,
            self.options.database,
            asked,
            int(time.time()),
            sees_private=request.is_root,
        )
        troubles = self.troubles()
        state["database"]["free_bytes_needed"] = FREE_BYTES_MIN
        yield {
            "status": {
                **state,
                "mountpoint": str(self.options.mountpoint),
                "forced_local": self.options.is_local,
                "fsync": self.promise().value,
                "corosync": [_trouble(name, troubles[name]) for name in troubles],
                "debug": self.switch.is_on,
                "watchers": len(self.tap),
            }
        }

    async def _ask(self) -> Asked:
        """Ask the disk and the other members, both at a time."""
        files, answers = Files(), dict[NodeId, bool]()

        async def ask_disk() -> None:
            nonlocal files
            files = await self._files()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_disk)
            answers.update(await self.roll())
        return Asked(files, answers, self.fsync_wait())

    async def _files(self) -> Files:
        """Return what the disk says, or that it says nothing."""
        look = partial(_look, self.options.database, self.options.restart_flag, self.lost_trees)
        with trio.move_on_after(DISK_WAIT_S_MAX):
            return await trio.to_thread.run_sync(
                look, abandon_on_cancel=True, limiter=self._disk_looks
            )
        return Files()

    async def _values(self, request: Request) -> AsyncGenerator[Reply, None]:
        status = self.status.node.status
        tables = {status.node_name: status.values.own}
        for node in status.membership.info.nodes if status.membership.info is not None else ():
            table = status.values.of(node.node_id)
            if table is not None and node.name != status.node_name:
                tables[node.name] = table
        await trio.lowlevel.checkpoint()
        yield {"values": {name: _keys(table) for name, table in tables.items()}}

    async def _debug(self, request: Request) -> AsyncGenerator[Reply, None]:
        await trio.lowlevel.checkpoint()
        if request.arguments:
            if not request.is_root:
                raise RefusedError("forbidden", "only root may switch debug lines")
            self.switch.turn(request.flag("on"))
        yield {"debug": self.switch.is_on}

    async def _metrics(self, request: Request) -> AsyncGenerator[Reply, None]:
        await trio.lowlevel.checkpoint()
        yield {"metrics": self.exposition()}

    async def _log(self, request: Request) -> AsyncGenerator[Reply, None]:
        count = request.number("count", views.LOG_FILE_ENTRIES, LOG_ENTRIES_MAX)
        log, told, revision = self.status.node.status.log, set[Any](), -1
        while True:
            if log.revision != revision:
                revision = log.revision
                entries = list(log.entries())
                news = [entry for entry in entries if entry.key not in told]
                told = {entry.key for entry in entries}
                for entry in reversed(list(islice(news, count))):
                    yield {"entry": json.loads(views.log_line(entry))}
                count = LOG_ENTRIES_MAX
            if not request.flag("follow"):
                return
            await trio.sleep(LOG_PERIOD_S)

    async def _watch(self, request: Request) -> AsyncGenerator[Reply, None]:
        path = request.text("path").encode(errors="surrogateescape").strip(b"/")
        if is_private(path) and not request.is_root:
            raise RefusedError("forbidden", "only root may watch private paths")
        hides = (lambda path: False) if request.is_root else is_private
        with self.tap.watched(path, hides) as watcher:
            yield {"watching": request.text("path")}
            while True:
                for news in await watcher.take():
                    yield {"missed": news.count} if isinstance(news, Missed) else self._change(news)

    def _change(self, seen: Seen) -> Reply:
        replica, membership = self.driver.replica, self.status.node.status.membership
        return {
            "change": {
                "action": seen.action,
                "path": _text(seen.path),
                "target": None if seen.target is None else _text(seen.target),
                "size": seen.size,
                "tree_version": seen.version,
                "node_id": seen.writer,
                "node": node_name(seen.writer, replica, membership),
                "time_s": seen.time_s,
                "is_sync": seen.is_sync,
            }
        }


def _look(database: Path, restart_flag: Path, lost_trees: LostTrees) -> Files:
    """Look at the database's files without opening it; blocks as long as the disk does."""
    space = os.statvfs(database.parent)
    return Files(
        answers=True,
        size_bytes=_size_of(database),
        wal_bytes=_size_of(database.with_name(f"{database.name}-wal")),
        free_bytes=space.f_bavail * space.f_frsize,
        kept_trees=tuple(map(str, lost_trees.kept())),
        unshared_since=lost_trees.unshared_since(),
        restart_flag=restart_flag.exists(),
    )


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _trouble(service: str, trouble: Trouble | None) -> Reply:
    return {
        "service": service,
        "trouble": None if trouble is None else trouble.sentence,
        "since_s": None if trouble is None else trouble.since_s,
    }


def _keys(table: Table) -> dict[str, dict[str, int]]:
    return {
        _text(key): {"version": value.version, "size": len(value.data)}
        for key, value in table.values.items()
    }


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")

"""Keeps one read-only service of corosync (quorum, configuration map) connected for ever."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import structlog

from pmxcfs.corosync.handle import CorosyncError, Handle, close_in_time, open_told
from pmxcfs.corosync.restarts import Restarts, Timing, Trouble

AnyHandle = TypeVar("AnyHandle", bound=Handle[Any])


class Watch(ABC, Generic[AnyHandle]):
    """Connects, listens, and starts again when the connection is lost.

    Args:
        log_domain: whose log lines these are.
        timing: how patient to be; tests are less so.
    """

    def __init__(self, log_domain: str, timing: Timing | None) -> None:
        self._timing = timing or Timing()
        self._log = structlog.get_logger(log_domain)
        self._restarts = Restarts(self._log, self._timing)

    @property
    def trouble(self) -> Trouble | None:
        """What keeps us from listening."""
        return self._restarts.trouble

    async def run(self) -> None:
        """Listen whenever possible. Runs until cancelled."""
        while True:
            await self._restarts.turn()
            handle = self._make_handle()
            try:
                await open_told(handle, self._timing.answer_s_max, self._restarts.note_silence)
                self._restarts.note_success()
                await self._listen(handle)
            except CorosyncError as error:
                self._restarts.note_failure(error)
                self._on_lost()
            finally:
                if not await close_in_time(handle, self._timing.close_s_max):
                    self._log.warning("corosync does not answer, cutting the connection")

    @abstractmethod
    def _make_handle(self) -> AnyHandle:
        """Return a handle that is not open yet."""

    @abstractmethod
    async def _listen(self, handle: AnyHandle) -> None:
        """Hand on what comes, until CorosyncError."""

    def _on_lost(self) -> None:
        """The connection broke: nothing is known any more."""

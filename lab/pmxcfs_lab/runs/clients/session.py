"""One client's calls: each is recorded before it begins and when it ends, also if it never does.

A line of JSON an event goes to standard output, as `folder.CallEvent` but for client and node; the
numbers of calls are this client's own. A watchdog says "unknown" of a call that is not answered
within its bound; if it is answered later, that is recorded too.
"""

import errno
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pmxcfs_lab.runs.clients.mount import Mount

Result = TypeVar("Result")

UNKNOWN = frozenset(
    {
        *(errno.EIO, errno.EBUSY, errno.EINTR, errno.EAGAIN, errno.ETIMEDOUT),
        *(errno.ENOTCONN, errno.ECONNABORTED, errno.ESHUTDOWN, errno.EPIPE, errno.ESTALE),
    }
)
"""Errors after which a change may have happened nevertheless. Source: docs/GUARANTEES.md."""

PAUSE_WITHOUT_MOUNT_S = 0.2


@dataclass(frozen=True, slots=True)
class Order:
    """What a client is told to be.

    Attributes:
        client: its name.
        kind: a key of `main.KINDS`, or the path of a Python file with a function `run(session)`.
        node: where it runs.
        seed: of all its choices.
        began_s: when the run began, by this machine's monotonic clock.
        options: what the kind takes.
    """

    client: str
    kind: str
    node: str
    seed: str
    began_s: float
    options: dict[str, Any]


class Session:
    """What a client does, and how it is recorded.

    Attributes:
        order: who it is.
        chance: its random choices.
        mount: the cluster's files.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.chance = random.Random(order.seed)
        self.mount = Mount()
        self._is_over = threading.Event()
        self._is_changed = threading.Condition()
        self._pending: tuple[int, dict[str, object], float] | None = None
        self._last_id = 0
        threading.Thread(target=self._watch, daemon=True).start()
        threading.Thread(target=self._wait_for_the_end, daemon=True).start()

    def goes_on(self, pause_s: float) -> bool:
        """Wait, half as long to half as long again; tell if there is more to do."""
        if self._is_over.wait(pause_s * (0.5 + self.chance.random())):
            return False
        while not self.mount.is_there():
            if self._is_over.wait(PAUSE_WITHOUT_MOUNT_S):
                return False
        return True

    def call(
        self,
        name: str,
        path: str,
        work: Callable[[], Result],
        *,
        value: str | None = None,
        shows: Callable[[Result], str] | None = None,
    ) -> Result | OSError:
        """Do something and record it; return what it returned, or its error.

        Args:
            name: what kind of call.
            path: of what.
            work: does it; may raise OSError.
            value: what is written.
            shows: makes what is recorded of the result, for calls that read.
        """
        event = self._begin(name, path, value)
        try:
            result = work()
        except OSError as error:
            self._end(event, *_judged(error))
            if error.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.ESTALE):
                self.mount.forget()
            return error
        self._end(event, "ok", None, value if shows is None else shows(result))
        return result

    def note(self, name: str, path: str) -> None:
        """Record something that is not a call."""
        self._end(self._begin(name, path, None), "ok", None, None)

    def _begin(self, name: str, path: str, value: str | None) -> dict[str, object]:
        self._last_id += 1
        event: dict[str, object] = {"id": self._last_id, "call": name, "path": path}
        bound_s = self.order.options["bounds_s"].get(name, self.order.options["bounds_s"]["change"])
        with self._is_changed:
            self._write(event, "invoke", None, value)
            self._pending = (self._last_id, event, time.monotonic() + bound_s)
            self._is_changed.notify()
        return event

    def _end(
        self, event: dict[str, object], phase: str, error: str | None, value: str | None
    ) -> None:
        with self._is_changed:
            self._pending = None
            self._write(event, phase, error, value)

    def _write(
        self, event: dict[str, object], phase: str, error: str | None, value: str | None
    ) -> None:
        t = round(time.monotonic() - self.order.began_s, 6)
        line = {"t": t, **event, "phase": phase, "errno": error, "value": value}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    def _watch(self) -> None:
        """Say of every call that is past its bound that nobody knows what became of it."""
        told = 0
        with self._is_changed:
            while True:
                if self._pending is None or self._pending[0] == told:
                    self._is_changed.wait()
                elif (rest_s := self._pending[2] - time.monotonic()) > 0:
                    self._is_changed.wait(rest_s)
                else:
                    told, event, _ = self._pending
                    self._write(event, "unknown", None, None)

    def _wait_for_the_end(self) -> None:
        """The end of standard input is the end of the run; whoever cannot say so has died."""
        while os.read(0, 4096):
            pass
        self._is_over.set()


def _judged(error: OSError) -> tuple[str, str, None]:
    number = error.errno or 0
    phase = "unknown" if number in UNKNOWN else "fail"
    return phase, errno.errorcode.get(number, str(number)), None

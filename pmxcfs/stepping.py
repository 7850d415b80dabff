"""Runs a coroutine without a task, as long as all it waits for is a ``Promise``.

A request of the kernel seldom waits, and a task costs more than most requests do. So a request's
coroutine is run on the spot; if it has to wait, whoever keeps the promise runs it on.
"""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

import trio

T = TypeVar("T")

_is_stepping = False


def is_stepping() -> bool:
    """Whether the code that asks runs in a ``Step``; trio's waits and scopes are out of reach."""
    return _is_stepping


class Promise(Generic[T]):
    """A result that comes later, or is there already. One may await it, in a step or in a task."""

    __slots__ = ("_on_kept", "is_kept", "result")

    result: T

    def __init__(self) -> None:
        self.is_kept = False
        self._on_kept: Callable[[], None] | None = None

    def keep(self, result: T) -> None:
        """Give the result, once; who waits for it runs on before this returns."""
        self.is_kept = True
        self.result = result
        if self._on_kept is not None:
            self._on_kept()

    def then(self, on_kept: Callable[[], None]) -> None:
        """Have this called when the result is there; the promise must not have been kept yet."""
        self._on_kept = on_kept

    def __await__(self) -> Generator[Any, Any, T]:
        if not self.is_kept:
            if _is_stepping:
                yield self
            else:
                yield from self._wait_in_task().__await__()
        return self.result

    async def _wait_in_task(self) -> None:
        kept = trio.Event()
        self.then(kept.set)
        await kept.wait()


class InterruptionError(Exception):
    """Nobody waits for this step's result any more."""


def first_promise(coroutine: Coroutine[Promise[Any], None, Any]) -> Promise[Any]:
    """Run a coroutine to the first promise that is not kept yet; a ``Step`` can run it on.

    Raises:
        StopIteration: it came to its end, with its result.
        Exception: what it raised.
    """
    global _is_stepping
    outer, _is_stepping = _is_stepping, True
    try:
        return coroutine.send(None)
    finally:
        _is_stepping = outer


class Step:
    """A coroutine under way.

    Args:
        coroutine: awaits promises only.
        on_done: gets what it returned.
        on_error: gets what it raised.
    """

    __slots__ = ("_awaited", "_coroutine", "_on_done", "_on_error")

    def __init__(
        self,
        coroutine: Coroutine[Promise[Any], None, T],
        on_done: Callable[[T], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._coroutine = coroutine
        self._on_done = on_done
        self._on_error = on_error
        self._awaited: Promise[Any] | None = None

    def run(self) -> None:
        """Run to the next promise that is not kept yet, or to the end."""
        self._resume(self._coroutine.send, None)

    def interrupt(self) -> None:
        """Raise ``InterruptionError`` where it waits; the promise may be kept later, for nobody."""
        assert self._awaited is not None, "only a step that waits can be interrupted"
        self._awaited.then(_ignore)
        self._resume(self._coroutine.throw, InterruptionError())

    def wait_for(self, promise: object) -> None:
        """Run on when this promise is kept; it is what the coroutine waits for."""
        if isinstance(promise, Promise):
            self._awaited = promise
            promise.then(self.run)
            return
        self._coroutine.close()
        self._on_error(TypeError(f"a step can only wait for promises, not for {promise!r}"))

    def _resume(self, resume: Callable[[Any], Promise[Any]], argument: object) -> None:
        global _is_stepping
        outer, _is_stepping = _is_stepping, True
        try:
            promise = resume(argument)
        except StopIteration as done:
            _is_stepping = outer
            self._on_done(done.value)
        except Exception as error:
            _is_stepping = outer
            self._on_error(error)
        else:
            self.wait_for(promise)
        finally:
            _is_stepping = outer


def _ignore() -> None:
    """Do nothing."""

"""Imports the libraries of the daemon without what they bring along and it never uses.

That is CPU before the mount is there, and memory for as long as it is.
"""

import ctypes.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

NEVER_USED = ("asyncio", "ssl", "uuid")
"""structlog and trio import these for callers that are none of ours."""

TO_DRAW_WITH = "rich"
"""structlog draws tracebacks with it where it is there; we never do."""

_THREADS_LIBRARY = {"pthread": "libpthread.so.0"}


def import_libraries() -> None:
    """Import structlog and trio. Whoever else imports what they were denied gets it."""
    with _without_modules(), _without_searching():
        import structlog  # noqa: F401
        import trio  # noqa: F401


def give_back_memory() -> None:
    """Return to the system what a start has used and freed, if libc can do that."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class _Postponed(ModuleType):
    """What a library gets for a module that is not imported until it is asked for something."""

    def __getattr__(self, name: str) -> object:
        return getattr(import_module(self.__name__), name)


@contextmanager
def _without_modules() -> Iterator[None]:
    absent = [name for name in (*NEVER_USED, TO_DRAW_WITH) if name not in sys.modules]
    sys.modules.update({name: _Postponed(name) for name in absent})
    if TO_DRAW_WITH in absent:
        sys.modules[TO_DRAW_WITH] = None  # type: ignore[assignment]  # makes the import fail
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


@contextmanager
def _without_searching() -> Iterator[None]:
    """Let nobody run ldconfig to find a library whose name is known; trio does, to name threads."""
    search = ctypes.util.find_library
    ctypes.util.find_library = lambda name: _THREADS_LIBRARY.get(name) or search(name)
    try:
        yield
    finally:
        ctypes.util.find_library = search

"""Which tests run which lines, so that the tests that may notice a mutant come first.

The order is all that it decides: a mutant that those let live meets all other tests, too.
"""

import os
import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

_Line = tuple[str, int]


@dataclass(slots=True)
class Reach:
    """How long each test took, and what it ran. Lines are a file's path and a number."""

    status: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, set[_Line]] = field(default_factory=dict)

    @property
    def total_s(self) -> float:
        """How long all of them took."""
        return sum(self.seconds.values())

    def rank(self, test: str, path: str, first: int, last: int) -> tuple[bool, float]:
        """Return what to sort a test by, for a mutant in these lines."""
        there = self.lines.get(test, set())
        is_far = not any((path, line) in there for line in range(first, last + 1))
        return is_far, self.seconds.get(test, 0.0)


def reach_of(run: Callable[[object], int], sources: Collection[Path]) -> Reach:
    """Run tests once in another process, and watch which lines of some sources they run.

    Args:
        run: calls pytest with a plugin, returns its exit status.
        sources: absolute paths.
    """
    with tempfile.NamedTemporaryFile(prefix="pmxcfs-reach-") as file:
        process = os.fork()
        if process == 0:
            watch = _Watch({str(source) for source in sources})
            watch.reach.status = run(watch)
            Path(file.name).write_bytes(pickle.dumps(watch.reach))
            os._exit(0)
        os.waitpid(process, 0)
        reach = pickle.loads(Path(file.name).read_bytes())
    assert isinstance(reach, Reach)
    return reach


class _Watch:
    """A pytest plugin that notes the lines of some sources which each test runs."""

    def __init__(self, sources: set[str]) -> None:
        self.reach = Reach()
        self._sources = sources
        self._lines: set[_Line] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._lines = self.reach.lines[item.nodeid] = set()
        began_s = time.perf_counter()
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.reach.seconds[item.nodeid] = time.perf_counter() - began_s

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:  # noqa: ANN401
        return self._note if frame.f_code.co_filename in self._sources else None

    def _note(self, frame: FrameType, event: str, arg: object) -> Any:  # noqa: ANN401
        self._lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._note

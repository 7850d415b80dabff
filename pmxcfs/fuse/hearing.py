"""What requests wait for, heard between two requests: two turns of the event loop less a change."""

from types import TracebackType

from pmxcfs._libfuse import ffi, lib
from pmxcfs.fuse.requests import Requests
from pmxcfs.surroundings import News


class Hearing:
    """Hears the news for those who take requests.

    Args:
        news: what requests wait for.
        requests: knows whether any does.
    """

    def __init__(self, news: News, requests: Requests) -> None:
        self._news = news
        self._requests = requests
        self._failure: BaseException | None = None

    @property
    def descriptor(self) -> int:
        """What is readable when there are news; -1, the event loop has to turn first."""
        return self._news.descriptor

    def hear(self) -> int:
        """Take the news in; return for whom requests wait now, see ``Requests.patience``."""
        self._news.hear()
        return self._requests.patience if self._news.descriptor >= 0 else _OTHERS

    def fail(self, failure: BaseException) -> None:
        """Keep what went wrong while it was heard."""
        self._failure = failure

    def raise_failure(self) -> None:
        """Raise what went wrong: a defect of ours, which ends the daemon wherever it shows."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure


_OTHERS: int = lib.PMXCFS_OTHERS
_hearing: Hearing


def hear_with(hearing: Hearing) -> None:
    """Have this one hear all news from now on; a process has one mount at a time."""
    global _hearing
    _hearing = hearing


def _on_error(kind: type[BaseException], error: BaseException, trace: TracebackType) -> None:
    _hearing.fail(error)


@ffi.def_extern(name="pmxcfs_on_news", onerror=_on_error, error=_OTHERS)
def _on_news() -> int:
    return _hearing.hear()

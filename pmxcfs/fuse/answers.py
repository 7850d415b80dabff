"""The one place where errors become what the kernel hears, and where requests are counted."""

import functools
from collections.abc import Callable, Coroutine
from errno import EIO
from time import perf_counter_ns
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import pyfuse3
import structlog

from pmxcfs.errors import OperationError
from pmxcfs.tallies import Requests


class Counted(Protocol):
    """Whose requests are counted."""

    requests: Requests


S = TypeVar("S", bound=Counted)
P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger("main")


def answers_errors(
    handler: Callable[Concatenate[S, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Let a request handler answer its caller with the errno of an OperationError.

    Any other error is a defect of ours. It costs this one caller an EIO and is logged in full;
    the binding would end the mount for everybody.
    """
    name = handler.__name__

    @functools.wraps(handler)
    async def answering(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        began_ns, errno = perf_counter_ns(), 0
        try:
            return await handler(self, *args, **kwargs)
        except OperationError as error:
            errno = error.errno
            raise pyfuse3.FUSEError(errno) from None
        except Exception as error:
            errno = EIO
            log.exception("a request of the kernel failed", request=name)
            raise pyfuse3.FUSEError(errno) from error
        finally:
            self.requests.note(name, perf_counter_ns() - began_ns, errno)

    return answering

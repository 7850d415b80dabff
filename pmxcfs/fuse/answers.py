"""The one place where errors become what the kernel hears."""

import functools
from collections.abc import Callable, Coroutine
from errno import EIO
from typing import Any, ParamSpec, TypeVar

import pyfuse3
import structlog

from pmxcfs.errors import OperationError

P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger("main")


def answers_errors(
    handler: Callable[P, Coroutine[Any, Any, R]],
) -> Callable[P, Coroutine[Any, Any, R]]:
    """Let a request handler answer its caller with the errno of an OperationError.

    Any other error is a defect of ours. It costs this one caller an EIO and is logged in full;
    the binding would end the mount for everybody.
    """

    @functools.wraps(handler)
    async def answering(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await handler(*args, **kwargs)
        except OperationError as error:
            raise pyfuse3.FUSEError(error.errno) from None
        except Exception as error:
            log.exception("a request of the kernel failed", request=handler.__name__)
            raise pyfuse3.FUSEError(EIO) from error

    return answering

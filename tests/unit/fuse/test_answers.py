"""What the caller of a request hears of an error."""

from errno import EIO, ENOENT

import pyfuse3
import pytest
import trio

from pmxcfs.errors import OperationError
from pmxcfs.fuse.answers import answers_errors


async def test_a_refusal_is_answered_with_its_errno() -> None:
    @answers_errors
    async def handler() -> None:
        raise OperationError(ENOENT)

    with pytest.raises(pyfuse3.FUSEError) as answer:
        await handler()
    assert answer.value.errno == ENOENT


async def test_a_defect_of_ours_costs_one_caller_an_eio() -> None:
    @answers_errors
    async def handler() -> None:
        raise ZeroDivisionError

    with pytest.raises(pyfuse3.FUSEError) as answer:
        await handler()
    assert answer.value.errno == EIO


async def test_cancellation_is_not_an_error() -> None:
    @answers_errors
    async def handler() -> None:
        await trio.sleep_forever()

    with trio.CancelScope() as scope:
        scope.cancel()
        await handler()
    assert scope.cancelled_caught

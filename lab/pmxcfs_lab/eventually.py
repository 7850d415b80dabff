"""Waiting for a claim to become true, without ever sleeping longer than needed."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

POLL_S = 0.1


def eventually(check: Callable[[], Result], *, within_s: float, every_s: float = POLL_S) -> Result:
    """Call `check` until it raises no AssertionError, and return what it returned.

    Args:
        check: asserts the claim; anything else it raises ends the wait at once.
        within_s: how long the claim may stay false.
        every_s: pause between two tries.

    Raises:
        AssertionError: the claim was still false at the end; the last failure is in the message.
    """
    deadline_s = time.monotonic() + within_s
    tries = 0
    while True:
        tries += 1
        try:
            return check()
        except AssertionError as failure:
            if time.monotonic() >= deadline_s:
                raise AssertionError(
                    f"not true within {within_s:g} s ({tries} tries). Last failure: {failure}"
                ) from failure
        time.sleep(every_s)

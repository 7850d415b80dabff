"""Tells the drivers that time passes, so that the pure code can notice what comes too late."""

from collections.abc import Callable, Sequence

import trio

from pmxcfs import logs
from pmxcfs.beat import beat
from pmxcfs.replica import VerifyDue
from pmxcfs.waits.vigil import TimePassed

PERIOD_S = 1.0
COUNT_PERIOD_S = 5.0
VERIFY_PERIOD_S = 3600
STEP_S_MAX = 2.0
"""Longer steps are cut: this process was stopped, and cannot say that others were silent."""


async def tell_time(*listeners: Callable[[Sequence[TimePassed]], None]) -> None:
    """Tell them, once a second. Runs until cancelled."""
    told_s = trio.current_time()
    while True:
        await beat(PERIOD_S)
        now_s = trio.current_time()
        for tell in listeners:
            tell([TimePassed(min(now_s - told_s, STEP_S_MAX))])
        told_s = now_s


async def verify_now_and_then(tell: Callable[[Sequence[VerifyDue]], None]) -> None:
    """Have the members compare their trees now and then. Runs until cancelled."""
    while True:
        await trio.sleep(VERIFY_PERIOD_S)
        tell([VerifyDue()])


async def count_repetitions() -> None:
    """Have what was left out of the log counted there now and then. Runs until cancelled."""
    while True:
        await beat(COUNT_PERIOD_S)
        logs.tell_repetitions()

"""How long the daemon waits for a database that takes nothing, and how often it tries again."""

import structlog
import trio

from pmxcfs.committing import Batch
from pmxcfs.dcdb import DiskState
from pmxcfs.driver import Driver

log = structlog.get_logger("database")

WAIT_S_MAX = 10
"""As long as the reference waits for a lock; it stops all access to files meanwhile."""

STEP_S_MAX = 1
"""More does not count between two tries: the process or its machine stood still, and with it
whatever it waits for; the database may be free a moment later."""

RETRY_S_MIN = 0.002
"""The first wait; each further one is twice as long, within a bound."""

RETRY_S_MAX = 0.1
PROBE_PERIOD_S = 1
SILENCE_S_MAX = 0.5
"""Waits up to this long are normal, as when a checkpoint ends, and are not logged."""


async def be_patient(driver: Driver) -> None:
    """Try again whenever the database could not be written. Runs until cancelled."""
    while True:
        await driver.wait_for_trouble()
        while driver.waiting is not None or driver.replica.disk is DiskState.REFUSING:
            if (batch := driver.waiting) is not None:
                await _wait_out(driver, batch)
            else:
                await trio.sleep(PROBE_PERIOD_S)
                driver.retry()


async def _wait_out(driver: Driver, batch: Batch) -> None:
    """See the waiting batch through, or stop waiting."""
    waited_s, pause_s, is_logged = 0.0, RETRY_S_MIN, False
    while driver.waiting is batch:
        if waited_s >= WAIT_S_MAX:
            driver.stop_waiting()
            return
        if waited_s >= SILENCE_S_MAX and not is_logged:
            is_logged = True
            log.warning(
                "the database cannot be written at this moment: changes wait, reads go on",
                error=str(batch.error),
                wait_s_max=WAIT_S_MAX,
            )
        began_s = trio.current_time()
        await trio.sleep(min(pause_s, WAIT_S_MAX - waited_s))
        pause_s = min(2 * pause_s, RETRY_S_MAX)
        driver.retry()
        waited_s += min(trio.current_time() - began_s, STEP_S_MAX)
    if is_logged:
        log.info("the database took what waited", waited_s=round(waited_s, 1))

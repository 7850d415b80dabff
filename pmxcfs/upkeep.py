"""What an open database needs besides commits, from the start of the daemon to its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from pmxcfs.beat import beat
from pmxcfs.checkpoints import Checkpoints
from pmxcfs.database import Database
from pmxcfs.driver import Driver
from pmxcfs.errors import StorageError
from pmxcfs.patience import be_patient
from pmxcfs.syncing import SharedSync

PLACE_CHECK_PERIOD_S = 5


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What looks after a database."""

    syncs: SharedSync
    checkpoints: Checkpoints


@asynccontextmanager
async def looked_after(database: Database, driver: Driver, path: Path) -> AsyncIterator[Upkeep]:
    """Look after the open database: patience, syncs, checkpoints, and that it is in its place."""
    syncs = SharedSync(database.sync)
    driver.attach_sync(syncs.wait)
    checkpoints = Checkpoints(path, driver.on_storage_failed)
    database.attach_log_keeper(checkpoints)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(be_patient, driver)
        nursery.start_soon(syncs.run)
        nursery.start_soon(checkpoints.run)
        nursery.start_soon(_watch_place, database, driver)
        yield Upkeep(syncs, checkpoints)
        nursery.cancel_scope.cancel()


async def _watch_place(database: Database, driver: Driver) -> None:
    """Notice that the database's files were taken away even if nobody writes."""
    while True:
        await beat(PLACE_CHECK_PERIOD_S)
        try:
            database.check_place()
        except StorageError as error:
            driver.on_storage_failed(error)
            return

"""Joins fsync with the durability group, where there is one."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio

from pmxcfs.clockwork import tell_time
from pmxcfs.driver import Driver
from pmxcfs.durable.machine import Durability
from pmxcfs.durable.promise import Promise
from pmxcfs.durable_driver import DurableDriver, FsyncWait
from pmxcfs.identity import NodeId
from pmxcfs.options import Options
from pmxcfs.syncing import SharedSync


def durability_of(driver: Driver, options: Options) -> DurableDriver | None:
    """Let fsync wait for a majority, if there is a cluster and it is to wait at all."""
    replica = driver.replica
    if replica.is_standalone or not options.fsync_wait_s:
        return None
    node = Durability(replica.history, lambda: driver.is_settled)
    durable = DurableDriver(node, driver.sync_here, options.fsync_wait_s)
    driver.attach_durability(durable.wait, durable.on_progress)
    return durable


def promise_of(durable: DurableDriver | None) -> Promise:
    """Return what a successful fsync means now."""
    return Promise.THIS_NODE if durable is None else durable.promise


def fsync_wait_of(durable: DurableDriver | None, syncs: SharedSync) -> FsyncWait | None:
    """Return who waits in fsync at the moment, if anybody does."""
    if durable is not None:
        return durable.waiting
    if not syncs.waiting:
        return None
    began_s = next(iter(syncs.waiting.values()))
    return FsyncWait(len(syncs.waiting), ("our disk",), trio.current_time() - began_s)


async def roll_of(durable: DurableDriver | None) -> Mapping[NodeId, bool]:
    """Return which members were able to answer just now; see ``DurableDriver.call_roll``."""
    return {} if durable is None else await durable.call_roll()


@asynccontextmanager
async def durable_group(durable: DurableDriver | None) -> AsyncIterator[None]:
    """Take part in the durability group, unless fsync never waits for others."""
    if durable is None:
        yield
        return
    from pmxcfs.corosync.group import DURABLE_GROUP, CpgGroup

    group = CpgGroup(DURABLE_GROUP, durable.feed)
    durable.attach(group)
    async with trio.open_nursery() as nursery:
        for run in (group.run, durable.run):
            nursery.start_soon(run)
        nursery.start_soon(tell_time, durable.feed)
        yield
        nursery.cancel_scope.cancel()

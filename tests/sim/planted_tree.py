"""Bugs of the tree, its guests and its locks, each with the claim that finds it."""

from collections.abc import Iterable

import pytest

from pmxcfs.dcdb import TreeApplication
from pmxcfs.dfsm.application import Delivery
from pmxcfs.identity import Member
from pmxcfs.memdb.guests import GuestList
from pmxcfs.memdb.locks import LockTable
from pmxcfs.memdb.workspace import Workspace
from tests.sim.agreement import VersionsRise
from tests.sim.checker import Checker
from tests.sim.guests import GuestsUnique
from tests.sim.locks import LockAges, OneLockHolder, OwnLock
from tests.sim.order import AppliedOnce
from tests.sim.planting import Plant


def skip_version_numbers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Workspace, "next_version", property(lambda work: work.tree.root.version + 2))


def register_no_guest(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GuestList, "conflicts_with", lambda self, path: False)


def release_locks_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LockTable, "has_expired", lambda self, path, checksum, now_s: True)


def restart_lock_timers(patch: pytest.MonkeyPatch) -> None:
    """What the reference does at every synchronisation."""
    rebuild = LockTable.rebuild

    def rebuild_anew(self: LockTable, locks: Iterable[tuple[bytes, bytes]], now_s: int) -> None:
        self._sightings.clear()
        rebuild(self, locks, now_s)

    patch.setattr(LockTable, "rebuild", rebuild_anew)


def measure_locks_by_a_clock_that_is_set(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LockTable, "follow", lambda self, steady_s, now_s: None)


def apply_everything_twice(patch: pytest.MonkeyPatch) -> None:
    deliver = TreeApplication.deliver

    def deliver_twice(
        self: TreeApplication, sender: Member, subtype: int, payload: bytes, time_s: int, now_s: int
    ) -> Delivery:
        first = deliver(self, sender, subtype, payload, time_s, now_s)
        second = deliver(self, sender, subtype, payload, time_s, now_s)
        return Delivery(second.result, (*first.effects, *second.effects))

    patch.setattr(TreeApplication, "deliver", deliver_twice)


BUGS: list[tuple[Plant, type[Checker]]] = [
    (skip_version_numbers, VersionsRise),
    (register_no_guest, GuestsUnique),
    (release_locks_at_once, OneLockHolder),
    (release_locks_at_once, LockAges),
    (restart_lock_timers, LockAges),
    (measure_locks_by_a_clock_that_is_set, LockAges),
    (apply_everything_twice, OwnLock),
    (apply_everything_twice, AppliedOnce),
]

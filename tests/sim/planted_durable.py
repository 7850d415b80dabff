"""Bugs of what fsync waits for, each with the claim that finds it."""

from collections.abc import Mapping

import pytest

from pmxcfs.dfsm.history import History, Point
from pmxcfs.durable.machine import Durability, Mark
from pmxcfs.durable.votes import Votes
from pmxcfs.identity import NodeId
from tests.sim.checker import Checker
from tests.sim.durable_soak import run_durable
from tests.sim.fsynced import FsyncedSurvives
from tests.sim.planting import Finding, Plant, judged
from tests.sim.soak import SoakError

WORLDS_MAX = 60
STEPS = 500


def find(plant: Plant, claim: type[Checker]) -> Finding | None:
    """Plant a bug, then run worlds until the claim finds it; None if it does not.

    Raises:
        SoakError: another claim, or something else, broke, which is no find.
    """
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        for number in range(WORLDS_MAX):
            seed = f"planted/{number}"
            try:
                run_durable(seed, STEPS)
            except SoakError as failure:
                return judged(failure, seed, number * STEPS, claim)
    return None


def tell_without_a_sync(patch: pytest.MonkeyPatch) -> None:
    advance = Durability.advance

    def believe_oneself(self: Durability) -> object:
        if self._is_here():
            self._turn_page()
            self._own = self._history.position
        return advance(self)

    patch.setattr(Durability, "advance", believe_oneself)


def count_what_came_during_a_sync(patch: pytest.MonkeyPatch) -> None:
    note_synced = Durability.note_synced

    def mark_late(self: Durability, mark: Mark | None, ticket: object = None) -> object:
        late = None if mark is None else self.mark()
        return note_synced(self, late, ticket)  # type: ignore[arg-type]

    patch.setattr(Durability, "note_synced", mark_late)


def be_content_with_any_other_node(patch: pytest.MonkeyPatch) -> None:
    def most_of_those_who_told(self: Votes, position_of: Mapping[NodeId, int]) -> int:
        return max(position_of.values(), default=-1)

    patch.setattr(Votes, "majority_position", most_of_those_who_told)


def believe_every_number(patch: pytest.MonkeyPatch) -> None:
    """A version number without the history that led to it."""

    def holds(self: History, point: Point) -> bool | None:
        return (self.is_open and point.position <= self.position) or None

    patch.setattr(History, "holds", holds)


def promise_what_is_not_in_the_tree(patch: pytest.MonkeyPatch) -> None:
    """Those who wait while another tree takes the place of theirs go on waiting for that one."""
    begin = History.begin

    def begin_as_if_nothing_was_lost(self: History, agreement: bytes, *, is_replaced: bool) -> None:
        begin(self, agreement, is_replaced=False)

    patch.setattr(History, "begin", begin_as_if_nothing_was_lost)


BUGS: list[tuple[Plant, type[Checker]]] = [
    (tell_without_a_sync, FsyncedSurvives),
    (count_what_came_during_a_sync, FsyncedSurvives),
    (be_content_with_any_other_node, FsyncedSurvives),
    (believe_every_number, FsyncedSurvives),
    (promise_what_is_not_in_the_tree, FsyncedSurvives),
]

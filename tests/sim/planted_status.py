"""Bugs of the status group, each with the claim that finds it."""

from collections.abc import Mapping

import pytest

from pmxcfs.dfsm.application import Delivery
from pmxcfs.dfsm.effects import Effect
from pmxcfs.dfsm.membership import Membership as Group
from pmxcfs.identity import Member, NodeId
from pmxcfs.kvstore import StatusApplication
from pmxcfs.status.clusterlog import ClusterLog
from pmxcfs.status.members import Membership
from pmxcfs.status.state import ClusterStatus
from pmxcfs.status_node import StatusNode
from tests.sim.planting import Finding, Plant
from tests.sim.status_claims import (
    Claim,
    StatusViolationError,
    all_are_in_sync,
    all_are_online,
    entries_are_logged_once,
    logs_are_equal,
    values_are_known,
)
from tests.sim.status_soak import StatusSoakError, run

WORLDS_MAX = 30
STEPS = 150


def find(plant: Plant, claim: Claim) -> Finding | None:
    """Plant a bug, then run worlds until the claim finds it; None if it does not.

    Raises:
        StatusSoakError: another claim, or something else, broke, which is no find.
    """
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        patch.setattr("tests.sim.status_soak.shortened", lambda lines, node_count: lines)
        for number in range(WORLDS_MAX):
            try:
                run(f"planted/{number}", STEPS)
            except StatusSoakError as failure:
                cause = failure.__cause__
                if not isinstance(cause, StatusViolationError) or cause.claim is not claim:
                    raise
                return Finding(f"planted/{number}", number * STEPS + failure.steps, str(cause))
    return None


def forget_to_tell_values(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClusterStatus, "own_updates", lambda self: [])


def keep_ones_own_log(patch: pytest.MonkeyPatch) -> None:
    merge = ClusterLog.merge

    def merge_own(self: ClusterLog, states: Mapping[Member, bytes], me: Member | None) -> None:
        merge(self, {member: state for member, state in states.items() if member == me}, me)

    patch.setattr(ClusterLog, "merge", merge_own)


def apply_own_entries_again(patch: pytest.MonkeyPatch) -> None:
    """A log that takes whatever comes to it for news."""
    deliver = StatusApplication.deliver

    def deliver_own_too(
        self: StatusApplication,
        sender: Member,
        subtype: int,
        payload: bytes,
        time_s: int,
        now_s: int,
    ) -> Delivery:
        me, self.me = self.me, None
        delivery = deliver(self, sender, subtype, payload, time_s, now_s)
        self.me = me
        return delivery

    patch.setattr(StatusApplication, "deliver", deliver_own_too)
    patch.setattr(ClusterLog, "_note", lambda self, entry: None)


def forget_what_could_not_be_sent(patch: pytest.MonkeyPatch) -> None:
    finish = StatusNode._finish

    def finish_empty(self: StatusNode, effects: list[Effect], now_s: int) -> list[Effect]:
        self._unsent_entries.clear()
        return finish(self, effects, now_s)

    patch.setattr(StatusNode, "_finish", finish_empty)


def learn_only_who_comes(patch: pytest.MonkeyPatch) -> None:
    """A list of members that is made of the first one that was read."""
    learn = Membership.learn_online

    def learn_once(self: Membership, node_ids: set[NodeId]) -> None:
        if not self._online:
            learn(self, node_ids)

    patch.setattr(Membership, "learn_online", learn_once)


def wait_for_a_state_that_nobody_sends(patch: pytest.MonkeyPatch) -> None:
    """In a group of three and more."""

    def awaiting_always(self: Group) -> frozenset[Member]:
        missing = self.all - self.states.keys()
        return missing | {max(self.all)} if len(self) > 2 else missing

    patch.setattr(Group, "awaiting", property(awaiting_always))


BUGS: list[tuple[Plant, Claim]] = [
    (forget_to_tell_values, values_are_known),
    (keep_ones_own_log, logs_are_equal),
    (apply_own_entries_again, entries_are_logged_once),
    (forget_what_could_not_be_sent, logs_are_equal),
    (learn_only_who_comes, all_are_online),
    (wait_for_a_state_that_nobody_sends, all_are_in_sync),
]

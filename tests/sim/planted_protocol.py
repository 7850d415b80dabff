"""Bugs of the group's protocol, each with the claim that finds it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pmxcfs import dcdb
from pmxcfs.dcdb import TreeApplication
from pmxcfs.dfsm import machine
from pmxcfs.dfsm.application import Comparison, Delivery
from pmxcfs.dfsm.delivery import Deliveries
from pmxcfs.dfsm.effects import Answer, Effect, Multicast, Ticket
from pmxcfs.dfsm.machine import Machine
from pmxcfs.dfsm.membership import Membership
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.queue import CountQueue
from pmxcfs.dfsm.synchronisation import Synchronisation
from pmxcfs.dfsm.transitions import Step, step_for
from pmxcfs.dfsm.waiters import Waiters
from pmxcfs.identity import Member
from pmxcfs.memdb.index import Index
from pmxcfs.memdb.operations import Operation
from pmxcfs.replica import Replica
from pmxcfs.waits import grace
from tests.sim import node
from tests.sim.agreement import EqualAfterSettling
from tests.sim.checker import Checker
from tests.sim.checkers import Checkers
from tests.sim.membership import NothingAfterLeaving, QuorateChanges
from tests.sim.order import AppliedOnce, InOrder
from tests.sim.planting import Plant
from tests.sim.service import AnsweredInTime, EverybodyIsServed
from tests.sim.survival import AcknowledgedSurvives


def apply_without_quorum(patch: pytest.MonkeyPatch) -> None:
    deliver = TreeApplication.deliver

    def deliver_anyway(
        self: TreeApplication, sender: Member, subtype: int, payload: bytes, time_s: int, now_s: int
    ) -> Delivery:
        is_quorate, self.is_quorate = self.is_quorate, True
        delivery = deliver(self, sender, subtype, payload, time_s, now_s)
        self.is_quorate = is_quorate
        return delivery

    patch.setattr(TreeApplication, "deliver", deliver_anyway)


def follow_the_lowest(patch: pytest.MonkeyPatch) -> None:
    def lowest(index_of: Mapping[Member, Index]) -> Member:
        return min(index_of)

    patch.setattr(dcdb, "choose_leader", lowest)


def follow_the_oldest(patch: pytest.MonkeyPatch) -> None:
    def oldest(index_of: Mapping[Member, Index]) -> Member:
        return min(sorted(index_of), key=lambda member: index_of[member].version)

    patch.setattr(dcdb, "choose_leader", oldest)


def compare_nothing(patch: pytest.MonkeyPatch) -> None:
    compare_states = TreeApplication.compare_states

    def all_are_synced(self: TreeApplication, states: Mapping[Member, bytes]) -> Comparison:
        return replace(compare_states(self, states), synced=frozenset(states))

    patch.setattr(TreeApplication, "compare_states", all_are_synced)


def compare_versions_only(patch: pytest.MonkeyPatch) -> None:
    compare_states = TreeApplication.compare_states

    def same_version(self: TreeApplication, states: Mapping[Member, bytes]) -> Comparison:
        comparison = compare_states(self, states)
        version_of = {member: Index.decode(blob).version for member, blob in states.items()}
        newest = max(version_of.values())
        synced = frozenset(member for member in states if version_of[member] == newest)
        return replace(comparison, synced=synced)

    patch.setattr(TreeApplication, "compare_states", same_version)


def send_before_in_sync(patch: pytest.MonkeyPatch) -> None:
    """What the reference does: operations go out in the middle of a synchronisation."""

    def submit(self: Replica, ticket: Ticket, operation: Operation, now_s: int) -> list[Effect]:
        refusal = self.refusal
        if refusal is not None or self._machine.me is None:
            return [Answer(ticket, -(refusal or 16))]
        return self._finish(self._send(ticket, operation, now_s), now_s)

    def send(
        self: Machine, subtype: int, payload: bytes, now_s: int, ticket: Ticket | None = None
    ) -> list[Effect]:
        self._core.send(subtype, payload, now_s, ticket)
        return self._taken()

    patch.setattr(Replica, "submit", submit)
    patch.setattr(Machine, "send", send)


def keep_what_was_sent_again(patch: pytest.MonkeyPatch) -> None:
    def send_and_keep(self: Deliveries) -> None:
        messages = self._held.take_all()
        self._held.put_back(messages)
        for message in messages:
            if message.sender == self._core.me:
                self._core.effects.append(Multicast(message.data))

    patch.setattr(Deliveries, "send_own_again", send_and_keep)


def forget_callers_when_disconnected(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Waiters, "lose_all", lambda self: [])


def never_finish_a_synchronisation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Synchronisation, "commit", lambda self, *_: None)


def listen_after_leaving(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Machine, "_is_deaf", lambda self: self.me is None)

    def as_if_synced(mode: Mode, message_type: int) -> Step:
        return step_for(Mode.SYNCED if mode.is_error else mode, message_type)

    patch.setattr(machine, "step_for", as_if_synced)


def wait_for_quorum_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(grace, "QUORUM_WAIT_S_MAX", float("inf"))


def ignore_a_member(patch: pytest.MonkeyPatch) -> None:
    """The state of the highest member is not waited for, and it counts as equal."""
    compare_states = TreeApplication.compare_states

    def compare_the_others(self: TreeApplication, states: Mapping[Member, bytes]) -> Comparison:
        comparison = compare_states(self, states)
        return replace(comparison, synced=comparison.synced | {max(states.keys() | self._members)})

    def awaiting(self: Membership) -> frozenset[Member]:
        missing = frozenset(member for member, known in self._table.items() if not known.state)
        return missing - {max(self._table)} if len(self._table) > 2 else missing

    patch.setattr(Membership, "awaiting", property(awaiting))
    patch.setattr(TreeApplication, "compare_states", compare_the_others)


def send_again_out_of_order(patch: pytest.MonkeyPatch) -> None:
    """And hold in the order in which it comes, which would hide it otherwise."""
    take_all = CountQueue.take_all
    patch.setattr(CountQueue, "take_all", lambda self: take_all(self)[::-1])


def wait_without_a_bound(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(node, "ANSWER_WAIT_S_MAX", float("inf"))


BUGS: list[tuple[Plant, type[Checker]]] = [
    (apply_without_quorum, QuorateChanges),
    (follow_the_lowest, AcknowledgedSurvives),
    (follow_the_oldest, AcknowledgedSurvives),
    (compare_nothing, EqualAfterSettling),
    (compare_versions_only, EqualAfterSettling),
    (send_before_in_sync, EqualAfterSettling),
    (ignore_a_member, EqualAfterSettling),
    (keep_what_was_sent_again, AppliedOnce),
    (send_again_out_of_order, InOrder),
    (listen_after_leaving, NothingAfterLeaving),
    (forget_callers_when_disconnected, EverybodyIsServed),
    (never_finish_a_synchronisation, EverybodyIsServed),
    (wait_without_a_bound, AnsweredInTime),
    (wait_for_quorum_for_ever, Checkers),
]

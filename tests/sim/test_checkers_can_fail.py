"""Each claim is checked in earnest: a bug planted in the program is found by the claim it breaks.

In each of these runs only that claim is checked, so none can hide behind another.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import pytest

from pmxcfs import dcdb
from pmxcfs.committing import Committer
from pmxcfs.dcdb import Commit, TreeApplication, TreeShared
from pmxcfs.dfsm import machine
from pmxcfs.dfsm.application import Comparison, Delivery
from pmxcfs.dfsm.delivery import Deliveries
from pmxcfs.dfsm.effects import Answer, Effect, Multicast, Ticket
from pmxcfs.dfsm.machine import Machine
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.synchronisation import Synchronisation
from pmxcfs.dfsm.transitions import Step, step_for
from pmxcfs.dfsm.waiters import Waiters
from pmxcfs.driver import Driver, _Request
from pmxcfs.errors import StorageError
from pmxcfs.identity import Member
from pmxcfs.memdb.index import Index
from pmxcfs.memdb.operations import Operation
from pmxcfs.memdb.workspace import Workspace
from pmxcfs.replica import Event, Replica
from pmxcfs.waits import grace
from tests.sim import checkers
from tests.sim.checker import Checker, ViolationError
from tests.sim.losses import KeepsWhatItDrops
from tests.sim.soak import SoakError, run
from tests.sim.survival import AcknowledgedSurvives

WORLDS_MAX = 100
STEPS = 400

Plant = Callable[[pytest.MonkeyPatch], None]


def answer_before_commit(patch: pytest.MonkeyPatch) -> None:
    effects_of = Driver._effects_of

    def answer_first(self: Driver, item: Event | _Request) -> Sequence[Effect]:
        effects = effects_of(self, item)
        self._perform([effect for effect in effects if isinstance(effect, Answer)])
        return [effect for effect in effects if not isinstance(effect, Answer)]

    patch.setattr(Driver, "_effects_of", answer_first)


def answer_when_sent(patch: pytest.MonkeyPatch) -> None:
    send = Machine.send

    def send_and_answer(
        self: Machine, subtype: int, payload: bytes, now_s: int, ticket: Ticket | None = None
    ) -> list[Effect]:
        effects = send(self, subtype, payload, now_s)
        return effects if ticket is None else [*effects, Answer(ticket, 0)]

    patch.setattr(Machine, "send", send_and_answer)


def forget_to_commit_deletions(patch: pytest.MonkeyPatch) -> None:
    effects_of = Driver._effects_of

    def leave_out_deletions(self: Driver, item: Event | _Request) -> Sequence[Effect]:
        return [effect for effect in effects_of(self, item) if not _is_deletion(effect)]

    patch.setattr(Driver, "_effects_of", leave_out_deletions)


def _is_deletion(effect: Effect) -> bool:
    return isinstance(effect, Commit) and any(change.after is None for change in effect.changes)


def forget_to_commit_the_leaders_tree(patch: pytest.MonkeyPatch) -> None:
    commit = TreeApplication.commit

    def commit_nothing(self: TreeApplication, now_s: int) -> Sequence[Effect]:
        effects = commit(self, now_s)
        return [effect for effect in effects if not isinstance(effect, Commit)]

    patch.setattr(TreeApplication, "commit", commit_nothing)


def go_on_after_a_failed_commit(patch: pytest.MonkeyPatch) -> None:
    def ignore(self: Committer, effects: Sequence[Effect], error: StorageError) -> Sequence[Effect]:
        return effects

    patch.setattr(Committer, "_failed", ignore)
    patch.setattr(Replica, "take_back", lambda self, changes, now_s: None)


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


def skip_version_numbers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Workspace, "next_version", property(lambda work: work.tree.root.version + 2))


def forget_callers_when_disconnected(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Waiters, "lose_all", lambda self: [])


def never_finish_a_synchronisation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Synchronisation, "commit", lambda self, *_: None)


def listen_after_leaving(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Machine, "_is_deaf", lambda self: self.me is None)

    def as_if_synced(mode: Mode, message_type: int) -> Step:
        return step_for(Mode.SYNCED if mode.is_error else mode, message_type)

    patch.setattr(machine, "step_for", as_if_synced)


def keep_no_tree(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dcdb, "lost_paths", lambda ours, theirs, unshared_since: [])


def keep_every_tree(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dcdb, "lost_paths", lambda ours, theirs, unshared_since: [b"everything"])


def forget_too_early_what_was_done_alone(patch: pytest.MonkeyPatch) -> None:
    """Whoever leads believes that the others have its tree already."""
    patch.setattr(TreeApplication, "on_synced", lambda self, now_s: (TreeShared(),))


def wait_for_quorum_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(grace, "QUORUM_WAIT_S_MAX", float("inf"))


BUGS: list[tuple[Plant, type[Checker]]] = [
    (answer_before_commit, checkers.CommitBeforeAnswer),
    (answer_when_sent, checkers.CommitBeforeAnswer),
    (forget_to_commit_deletions, checkers.DatabaseEqualsTree),
    (forget_to_commit_the_leaders_tree, checkers.DatabaseEqualsTree),
    (go_on_after_a_failed_commit, checkers.DatabaseEqualsTree),
    (apply_without_quorum, checkers.QuorateChanges),
    (follow_the_lowest, AcknowledgedSurvives),
    (follow_the_oldest, AcknowledgedSurvives),
    (compare_nothing, checkers.EqualAfterSettling),
    (compare_versions_only, checkers.EqualAfterSettling),
    (send_before_in_sync, checkers.EqualAfterSettling),
    (keep_what_was_sent_again, checkers.AppliedOnce),
    (listen_after_leaving, checkers.NothingAfterLeaving),
    (skip_version_numbers, checkers.VersionsRise),
    (forget_callers_when_disconnected, checkers.EverybodyIsServed),
    (never_finish_a_synchronisation, checkers.EverybodyIsServed),
    (keep_no_tree, KeepsWhatItDrops),
    (keep_every_tree, KeepsWhatItDrops),
    (forget_too_early_what_was_done_alone, KeepsWhatItDrops),
    (wait_for_quorum_for_ever, checkers.Checkers),
]


@pytest.mark.parametrize(
    ("plant", "claim"), BUGS, ids=[f"{plant.__name__}-{claim.__name__}" for plant, claim in BUGS]
)
def test_a_planted_bug_is_found(
    plant: Plant, claim: type[Checker], monkeypatch: pytest.MonkeyPatch
) -> None:
    _check_only([claim], monkeypatch)
    plant(monkeypatch)
    failure = _first_failure()
    assert failure is not None, f"not found within {WORLDS_MAX} worlds of {STEPS} steps"
    assert isinstance(failure.__cause__, ViolationError), failure
    assert isinstance(failure.__cause__.checker, claim)


def test_without_a_bug_nothing_is_found_there() -> None:
    for number in range(10):
        run(f"planted/{number}", STEPS, node_count=3)


def _first_failure() -> SoakError | None:
    for number in range(WORLDS_MAX):
        try:
            run(f"planted/{number}", STEPS, node_count=3)
        except SoakError as failure:
            return failure
    return None


def _check_only(claims: Collection[type[Checker]], patch: pytest.MonkeyPatch) -> None:
    """Let worlds check these claims and no others."""
    create = checkers.Checkers.__init__

    def create_less(self: checkers.Checkers, node_count: int) -> None:
        create(self, node_count)
        self._claims = tuple(claim for claim in self._claims if type(claim) in claims)

    patch.setattr(checkers.Checkers, "__init__", create_less)

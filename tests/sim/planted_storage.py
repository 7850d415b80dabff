"""Bugs of the disk, of memory and of the host's file, each with the claim that finds it."""

from collections.abc import Sequence

import pytest

from pmxcfs import dcdb
from pmxcfs.committing import Committer
from pmxcfs.corosync.host_config import Verdict
from pmxcfs.dcdb import Commit, PublishCorosyncConf, TreeApplication, TreeShared
from pmxcfs.dfsm.effects import Answer, Effect, Ticket
from pmxcfs.dfsm.machine import Machine
from pmxcfs.driver import Driver, _Request
from pmxcfs.errors import StorageError
from pmxcfs.replica import Event, Replica
from tests.sim import node
from tests.sim.agreement import ReadsNeverGoBack
from tests.sim.checker import Checker
from tests.sim.durability import CommitBeforeAnswer, DatabaseEqualsTree
from tests.sim.host_files import HostFileFollows
from tests.sim.losses import KeepsWhatItDrops
from tests.sim.planting import Plant


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


def keep_no_tree(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dcdb, "lost_paths", lambda ours, theirs, unshared_since: [])


def keep_every_tree(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dcdb, "lost_paths", lambda ours, theirs, unshared_since: [b"everything"])


def forget_too_early_what_was_done_alone(patch: pytest.MonkeyPatch) -> None:
    """Whoever leads believes that the others have its tree already."""
    patch.setattr(TreeApplication, "on_synced", lambda self, now_s: (TreeShared(),))


def show_what_the_disk_refused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Replica, "take_back", lambda self, changes, now_s: None)
    patch.setattr(Replica, "bring_back", lambda self, changes, now_s: None)


def replace_a_newer_configuration(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(node, "judge", lambda text, host_text: Verdict.WRITTEN)


def publish_nothing_after_a_synchronisation(patch: pytest.MonkeyPatch) -> None:
    commit = TreeApplication.commit

    def publish_nothing(self: TreeApplication, now_s: int) -> Sequence[Effect]:
        effects = commit(self, now_s)
        return [effect for effect in effects if not isinstance(effect, PublishCorosyncConf)]

    patch.setattr(TreeApplication, "commit", publish_nothing)


BUGS: list[tuple[Plant, type[Checker]]] = [
    (answer_before_commit, CommitBeforeAnswer),
    (answer_when_sent, CommitBeforeAnswer),
    (forget_to_commit_deletions, DatabaseEqualsTree),
    (forget_to_commit_the_leaders_tree, DatabaseEqualsTree),
    (go_on_after_a_failed_commit, DatabaseEqualsTree),
    (show_what_the_disk_refused, ReadsNeverGoBack),
    (replace_a_newer_configuration, HostFileFollows),
    (publish_nothing_after_a_synchronisation, HostFileFollows),
    (keep_no_tree, KeepsWhatItDrops),
    (keep_every_tree, KeepsWhatItDrops),
    (forget_too_early_what_was_done_alone, KeepsWhatItDrops),
]

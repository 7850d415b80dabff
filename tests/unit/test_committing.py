"""What happens to a batch of effects before, at and after its commit."""

from collections.abc import Sequence
from errno import EIO

import pytest

from pmxcfs.committing import Committer
from pmxcfs.dcdb import Commit, DiskState, Forget, KeepLosingTree, MarkUnshared
from pmxcfs.dfsm.effects import Answer, Effect, LeaveGroup, Multicast, Ticket
from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import Change, Entry
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import Replica
from tests.unit.test_driver import BROKEN, LOCKED

NOW_S = 1_700_000_000


class Disk:
    """A database and a keeper that note what they are asked for, and refuse it when told to."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.refusal: dict[str, StorageError] = {}

    def commit(self, changes: Sequence[Change]) -> None:
        self._note("commit", *changes)

    def probe(self) -> None:
        self._note("probe")

    def keep(self, entries: Sequence[Entry], now_s: int) -> None:
        self._note("keep", entries, now_s)

    def mark_unshared(self, version: int | None) -> None:
        self._note("mark", version)

    def _note(self, what: str, *of: object) -> None:
        self.asked.append((what, *of))
        if what in self.refusal:
            raise self.refusal[what]


class Scene:
    """A committer, and the effects of one change that the tree in memory has already."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.replica = Replica(Memdb(Tree.new(), NOW_S), node_name="alone", standalone=True)
        self.committer = Committer(self.replica, self.disk, lambda: NOW_S)
        self.committer.keeper = self.disk

    def effects(self, *before: Effect) -> list[Effect]:
        changes = self.replica.memdb.apply(Create(b"a"), 1, NOW_S, NOW_S).changes
        return [*before, Commit(changes), Answer(Ticket(1), 0), Forget(changes), Multicast(b"m")]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def changes_in(effects: Sequence[Effect]) -> list[Change]:
    return [change for each in effects if isinstance(each, Commit) for change in each.changes]


def test_what_a_commit_would_drop_is_kept_and_marked_before_it(scene: Scene) -> None:
    effects = scene.effects(MarkUnshared(7), KeepLosingTree((), NOW_S))
    assert scene.committer.commit(effects) == effects
    assert scene.disk.asked == [
        ("mark", 7),
        ("keep", (), NOW_S),
        ("commit", *changes_in(effects)),
    ]


def test_a_tree_that_cannot_be_kept_yet_delays_the_commit_that_would_drop_it(scene: Scene) -> None:
    scene.disk.refusal["keep"] = LOCKED
    effects = scene.effects(KeepLosingTree((), NOW_S))
    assert scene.committer.commit(effects) == ()
    assert scene.committer.retry() == ()
    assert scene.disk.asked == [("keep", (), NOW_S)] * 2
    scene.disk.refusal.clear()
    assert scene.committer.retry() == effects
    assert scene.disk.asked[3:] == [("commit", *changes_in(effects))]


def test_effects_without_changes_do_not_touch_the_disk(scene: Scene) -> None:
    effects = [Answer(Ticket(1), 0), MarkUnshared(7)]
    assert scene.committer.commit(effects) == effects
    assert scene.disk.asked == []


def test_of_a_refused_batch_callers_get_eio_and_only_a_departure_is_left(scene: Scene) -> None:
    scene.disk.refusal["commit"] = BROKEN
    leaving = LeaveGroup(for_good=True)
    refused = [Answer(Ticket(1), -EIO), leaving]
    assert list(scene.committer.commit(scene.effects(leaving)))[:2] == refused
    assert scene.replica.disk is DiskState.FAILED
    assert list(scene.committer.commit(scene.effects(leaving))) == refused
    assert scene.replica.memdb.tree.find(b"a") is None


def test_there_is_no_waiting_to_stop_where_nothing_waits(scene: Scene) -> None:
    assert scene.committer.stop_waiting() == ()
    assert scene.replica.disk is DiskState.WRITABLE


def test_a_final_failure_ends_the_refusal_that_was_to_be_temporary(scene: Scene) -> None:
    scene.disk.refusal = {"commit": LOCKED, "probe": LOCKED}
    scene.committer.commit(scene.effects())
    scene.committer.stop_waiting()
    assert not scene.committer.over.is_set()
    scene.disk.refusal["probe"] = BROKEN
    scene.committer.retry()
    assert scene.committer.over.is_set()
    assert scene.replica.disk is DiskState.FAILED


def test_a_batch_that_waits_tells_why_and_since_when(scene: Scene) -> None:
    scene.disk.refusal["commit"] = LOCKED
    effects = scene.effects()
    assert scene.committer.commit(effects) == ()
    waiting = scene.committer.waiting
    assert waiting is not None
    assert (waiting.effects, waiting.error, waiting.since_s) == (effects, LOCKED, NOW_S)


def test_why_changes_are_refused_is_known_until_they_are_taken_again(scene: Scene) -> None:
    assert scene.committer.refusal is None
    scene.disk.refusal["commit"] = LOCKED
    scene.committer.commit(scene.effects())
    assert scene.committer.refusal is None
    scene.committer.stop_waiting()
    assert scene.committer.refusal is LOCKED
    scene.committer.retry()
    assert scene.committer.refusal is None
    scene.disk.refusal["commit"] = BROKEN
    scene.committer.commit(scene.effects())
    assert scene.committer.refusal is BROKEN


def test_commits_that_the_database_took_are_counted_with_their_time(scene: Scene) -> None:
    scene.committer.commit(scene.effects())
    scene.disk.refusal["commit"] = LOCKED
    scene.committer.commit(scene.effects())
    durations = scene.committer.durations
    assert sum(durations.counts) == 1
    assert 0 < durations.total_ns < 60 * 10**9

"""When a lock expires, and who may release it."""

import pytest

from pmxcfs.memdb.index import entry_checksum
from pmxcfs.memdb.locks import LockTable
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import (
    Create,
    Delete,
    Mkdir,
    Rename,
    SetMtime,
    Unlock,
    UnlockRequest,
)
from pmxcfs.memdb.paths import is_lock_path
from tests.unit.memdb.scene import TIME, a_memdb, at, do, snapshot

LOCK = b"priv/lock/a"
ONE, TWO = b"1" * 32, b"2" * 32


def test_a_lock_lives_120_whole_seconds_and_no_longer() -> None:
    table = LockTable()
    table.start(LOCK, ONE, now_s=1000)
    assert not table.has_expired(LOCK, ONE, now_s=1120)
    assert table.has_expired(LOCK, ONE, now_s=1121)
    assert table.has_expired(LOCK, ONE, now_s=1122)


@pytest.mark.parametrize("checksum", [ONE, TWO])
def test_a_lock_first_asked_about_starts_its_time(checksum: bytes) -> None:
    table = LockTable()
    if checksum == TWO:
        table.start(LOCK, ONE, now_s=0)
    assert not table.has_expired(LOCK, checksum, now_s=1000)
    assert not table.has_expired(LOCK, checksum, now_s=1120)
    assert table.has_expired(LOCK, checksum, now_s=1121)


def test_another_tree_keeps_the_age_of_the_locks_that_did_not_change() -> None:
    table = LockTable()
    table.start(LOCK, ONE, now_s=0)
    table.start(b"priv/lock/b", ONE, now_s=0)
    table.start(b"priv/lock/c", ONE, now_s=0)
    table.rebuild([(LOCK, ONE), (b"priv/lock/b", TWO)], now_s=100)
    assert table.has_expired(LOCK, ONE, now_s=121)
    assert not table.has_expired(b"priv/lock/b", TWO, now_s=121)
    assert table.has_expired(b"priv/lock/b", TWO, now_s=221)
    assert b"priv/lock/c" not in table


@pytest.mark.parametrize("step_s", [-100_000, 100_000])
def test_a_step_of_the_clock_makes_no_lock_older_or_younger(step_s: int) -> None:
    table = LockTable()
    table.start(LOCK, ONE, now_s=1_700_000_000)
    table.follow(50, now_s=1_700_000_000)

    table.follow(170, now_s=1_700_000_120 + step_s)
    assert not table.has_expired(LOCK, ONE, now_s=1_700_000_120 + step_s)
    table.rebuild([(LOCK, ONE), (b"priv/lock/b", ONE)], now_s=1_700_000_120 + step_s)
    table.follow(171, now_s=1_700_000_121)
    assert table.has_expired(LOCK, ONE, now_s=1_700_000_121)
    assert not table.has_expired(b"priv/lock/b", ONE, now_s=1_700_000_121)
    ages_s = dict(table.ages(now_s=1_700_000_121))
    assert ages_s == {LOCK: 121, b"priv/lock/b": 1}
    assert len(table) == 2


def locked(now_s: int = 0) -> Memdb:
    memdb = a_memdb("priv/", "priv/lock/")
    do(memdb, Mkdir(LOCK), now_s=now_s)
    return memdb


def request(memdb: Memdb, path: bytes = LOCK) -> UnlockRequest:
    return UnlockRequest(path, entry_checksum(at(memdb, path.decode())))


def ask(memdb: Memdb, now_s: int, path: bytes = LOCK) -> Unlock | None:
    before = snapshot(memdb)
    outcome = memdb.apply(request(memdb, path), 2, TIME, now_s)
    assert (outcome.result, outcome.changes) == (0, ())
    assert snapshot(memdb) == before
    return outcome.expired


def test_a_request_is_answered_with_a_release_once_the_lock_has_expired() -> None:
    memdb = locked(now_s=1000)
    assert ask(memdb, now_s=1120) is None
    assert ask(memdb, now_s=1121) == Unlock(LOCK, request(memdb).checksum)


def test_a_refresh_starts_the_time_anew_and_makes_old_requests_stale() -> None:
    memdb = locked(now_s=1000)
    stale = request(memdb)
    do(memdb, SetMtime(LOCK, TIME), now_s=1100)
    assert memdb.apply(stale, 2, TIME, 1300).expired is None
    assert ask(memdb, now_s=1220) is None
    assert ask(memdb, now_s=1221) is not None


def test_making_a_lock_again_starts_its_time_anew() -> None:
    memdb = locked(now_s=1000)
    do(memdb, Delete(LOCK), now_s=1100)
    assert LOCK not in memdb.locks
    do(memdb, Mkdir(LOCK), now_s=1100)
    assert ask(memdb, now_s=1130) is None


def test_a_loaded_tree_has_its_locks_with_their_time_from_now_on() -> None:
    memdb = Memdb(locked(now_s=0).tree, now_s=5000)
    assert LOCK in memdb.locks
    assert ask(memdb, now_s=5120) is None
    assert ask(memdb, now_s=5121) is not None


def test_only_directories_directly_below_have_a_timer_from_the_start() -> None:
    memdb = locked()
    do(memdb, Mkdir(LOCK + b"/deeper"))
    do(memdb, Create(b"priv/lock/file"))
    do(memdb, Mkdir(b"elsewhere"))
    do(memdb, Rename(b"elsewhere", b"priv/lock/moved"))
    paths = (LOCK + b"/deeper", b"priv/lock/file", b"priv/lock/moved")
    assert not [path for path in paths if path in memdb.locks]
    assert ask(memdb, now_s=1000, path=b"priv/lock/moved") is None
    assert ask(memdb, now_s=1121, path=b"priv/lock/moved") is not None


def test_the_directory_of_locks_is_no_lock_however_its_path_is_written() -> None:
    for path in (b"priv/lock", b"priv/lock/"):
        memdb = a_memdb("priv/", "priv/lock/")
        assert not is_lock_path(path)
        do(memdb, Rename(path, b"moved"))
    assert is_lock_path(b"priv/lock//")
    assert is_lock_path(b"priv/lock/a/b")
    assert not is_lock_path(b"/priv/lock/a")


def test_a_directory_that_takes_the_place_of_a_lock_has_no_timer_until_it_is_asked_about() -> None:
    memdb = locked(now_s=0)
    do(memdb, Mkdir(b"d"))
    do(memdb, Rename(b"d", LOCK), now_s=50)
    assert LOCK not in memdb.locks
    assert memdb.apply(request(memdb), 1, TIME, now_s=100).expired is None
    assert memdb.apply(request(memdb), 1, TIME, now_s=220).expired is None
    assert memdb.apply(request(memdb), 1, TIME, now_s=221).expired is not None


def test_a_failed_change_leaves_the_other_locks_their_age() -> None:
    memdb = locked(now_s=0)
    changes = do(memdb, Mkdir(b"priv/lock/b"), now_s=100).changes
    memdb.revert(changes, now_s=110)
    assert b"priv/lock/b" not in memdb.locks
    assert ask(memdb, now_s=121) is not None


@pytest.mark.parametrize(
    "misfit",
    [
        UnlockRequest(LOCK, ONE),
        UnlockRequest(b"priv/lock/none", ONE),
        UnlockRequest(b"priv/lock", ONE),
        UnlockRequest(b"", ONE),
    ],
)
def test_a_request_that_does_not_fit_does_nothing(misfit: UnlockRequest) -> None:
    memdb = locked(now_s=0)
    assert memdb.apply(misfit, 2, TIME, 1000).expired is None


def test_neither_a_file_nor_a_directory_elsewhere_can_be_unlocked() -> None:
    memdb = a_memdb("priv/", "priv/lock/", "priv/lock/file", "priv/other/")
    for path in (b"priv/lock/file", b"priv/other", b"priv/lock"):
        assert ask(memdb, 0, path) is None
        assert ask(memdb, 10_000, path) is None
        checksum = entry_checksum(at(memdb, path.decode()))
        assert do(memdb, Unlock(path, checksum)).changes == ()


def test_a_release_deletes_the_lock_with_the_releasers_stamp() -> None:
    memdb = locked()
    release = Unlock(LOCK, request(memdb).checksum)
    version = memdb.tree.root.version
    outcome = memdb.apply(release, writer=3, time=TIME + 5, now_s=0)
    assert outcome.result == 0
    assert memdb.tree.find(LOCK) is None
    assert LOCK not in memdb.locks
    root = memdb.tree.root
    assert (root.version, root.writer, root.mtime) == (version + 1, 3, TIME + 5)


def test_a_stale_release_is_harmless() -> None:
    memdb = locked()
    release = Unlock(LOCK, request(memdb).checksum)
    do(memdb, SetMtime(LOCK, TIME + 1))
    before = snapshot(memdb)
    outcome = memdb.apply(release, 3, TIME, 0)
    assert (outcome.result, outcome.changes) == (0, ())
    assert snapshot(memdb) == before


def test_a_lock_with_something_in_it_is_not_released() -> None:
    memdb = locked()
    do(memdb, Mkdir(LOCK + b"/inside"))
    release = Unlock(LOCK, request(memdb).checksum)
    assert memdb.apply(release, 3, TIME, 0).changes == ()
    assert memdb.tree.find(LOCK) is not None


def test_ages_are_those_by_which_locks_expire_whatever_the_clock_did() -> None:
    table = LockTable()
    table.follow(100, 5_000)
    table.start(b"priv/lock/a", b"sum", 5_000)
    table.follow(107, 9_000)
    assert list(table.ages(9_000)) == [(b"priv/lock/a", 7)]


def test_no_age_is_negative_after_a_step_back_that_nobody_told() -> None:
    table = LockTable()
    table.start(LOCK, ONE, now_s=5_000)
    assert dict(table.ages(5_000)) == {LOCK: 0}
    assert dict(table.ages(4_999)) == {LOCK: 0}

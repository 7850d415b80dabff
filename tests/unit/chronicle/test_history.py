"""The history of changes: what is recorded of a file, what is kept, and what is let go."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from pmxcfs.chronicle.reading import History, UnknownRevisionError, reading
from pmxcfs.chronicle.recorder import QUEUE_MAX, HistoryRecorder
from pmxcfs.chronicle.schema import ForeignHistoryError
from pmxcfs.chronicle.store import HistoryStore
from pmxcfs.tap import Missed, Seen

MIB = 2**20
PATH = b"storage.cfg"


def seen(action: str, path: bytes = PATH, version: int = 1, **fields: object) -> Seen:
    values: dict[str, object] = {
        "target": None,
        "size": None,
        "writer": 2,
        "time_s": 1_700_000_000 + version,
        "is_sync": False,
        **fields,
    }
    content = values.get("content")
    if isinstance(content, bytes):
        values["size"] = len(content)
    return Seen(action=action, path=path, version=version, **values)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def store(path: Path) -> Iterator[HistoryStore]:
    opened = HistoryStore(path, 64 * MIB)
    yield opened
    opened.close()


def written(path: Path, *news: Seen | Missed, budget_bytes: int = 64 * MIB) -> None:
    store = HistoryStore(path, budget_bytes)
    store.append(news)
    store.close()


def texts_of(history: History, path: bytes) -> list[bytes | None]:
    digests = [revision.digest for revision in history.revisions(path)]
    return [None if digest is None else history.content(digest) for digest in digests]


def test_each_revision_of_a_file_has_the_content_of_its_time(path: Path) -> None:
    written(
        path,
        seen("create", content=b"", version=1),
        seen("write", content=b"one", replaced=b"", version=2),
        seen("write", content=b"two", replaced=b"one", version=3),
        seen("delete", replaced=b"two", version=4),
    )
    with reading(path) as history:
        assert texts_of(history, PATH) == [b"", b"one", b"two", None]
        last = history.revisions(PATH)[-1]
        assert last.replaced == sha256(b"two").digest()
        assert (last.writer, last.version, last.time_s) == (2, 4, 1_700_000_004)


def test_what_was_there_before_the_history_began_can_be_had_back(path: Path) -> None:
    written(path, seen("write", content=b"new", replaced=b"old"))
    with reading(path) as history:
        (revision,) = history.revisions(PATH)
        assert revision.replaced is not None
        assert history.content(revision.replaced) == b"old"


def test_a_file_that_is_renamed_onto_another_is_one_revision_of_it(path: Path) -> None:
    beside = b"storage.cfg.tmp.7"
    written(
        path,
        seen("create", beside, content=b"", version=1),
        seen("write", beside, content=b"new", replaced=b"", version=2),
        seen("delete", replaced=b"old", version=3),
        seen("rename", beside, target=PATH, content=b"new", replaced=b"new", version=3),
    )
    with reading(path) as history:
        (revision,) = history.revisions(PATH)
        assert revision.action == "rename"
        assert (revision.digest, revision.replaced) == (
            sha256(b"new").digest(),
            sha256(b"old").digest(),
        )
        moved = history.revisions(beside)[-1]
        assert (moved.action, moved.digest) == ("rename", None)


def test_a_directory_shows_what_is_below_it_and_nothing_beside_it(path: Path) -> None:
    inside = (b"nodes/a", b"nodes/a/lxc/1.conf", b"nodes/a/x")
    outside = (b"nodes/ab", b"nodes", b"nodes/a0")
    written(path, *(seen("write", name, content=b"") for name in (*inside, *outside)))
    with reading(path) as history:
        assert {change.path for change in history.changes(b"nodes/a", 50)} == set(inside)
        assert [change.path for change in history.changes(b"", 2)] == [b"nodes/a0", b"nodes"]


def test_equal_contents_are_kept_once(store: HistoryStore) -> None:
    store.append([seen("write", b"file%d" % number, content=b"x" * 9000) for number in range(50)])
    assert store.content_bytes < 200


def test_the_oldest_contents_go_first_and_what_is_named_anew_stays(path: Path) -> None:
    contents = [os.urandom(100_000) for _ in range(20)]
    store = HistoryStore(path, MIB)
    for number, content in enumerate(contents):
        store.append([seen("write", content=content, version=number)])
        store.append([seen("write", b"other", content=contents[0], version=number)])
    assert store.content_bytes <= MIB
    store.close()
    with reading(path) as history:
        revisions = history.revisions(PATH)
        assert len(revisions) == len(contents), "that something changed is known for longer"
        newest, second = revisions[-1].digest, revisions[1].digest
        first = revisions[0].digest
        assert newest is not None
        assert history.content(newest) == contents[-1]
        assert first is not None
        assert history.content(first) == contents[0]
        assert second is not None
        with pytest.raises(UnknownRevisionError, match="no longer kept"):
            history.content(second)


def test_the_file_stays_near_its_budget(path: Path) -> None:
    store = HistoryStore(path, MIB)
    for number in range(60):
        store.append([seen("write", content=os.urandom(50_000), version=number)])
    store.close()
    assert path.stat().st_size < 2 * MIB


def test_the_oldest_changes_go_when_there_are_too_many(path: Path) -> None:
    store = HistoryStore(path, 100_000)
    store.append([seen("touch", b"%d" % number) for number in range(500)])
    kept = store.rows
    assert 80 <= kept <= 100
    store.close()
    with reading(path) as history:
        changes = history.changes(b"", 1000)
        assert len(changes) == kept
        assert changes[0].path == b"499"


def test_a_history_goes_on_after_a_restart(path: Path) -> None:
    for version in (1, 2):
        written(path, seen("write", content=b"%d" % version, version=version))
    with reading(path) as history:
        assert texts_of(history, PATH) == [b"1", b"2"]


def test_only_its_owner_can_read_it(path: Path) -> None:
    path.touch(mode=0o666)
    path.chmod(0o666)
    written(path, seen("write", content=b"secret"))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_in_its_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        HistoryStore(path, MIB)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("damage", [b"no database, and long enough to be looked at" * 99, None])
def test_a_file_that_is_no_history_is_set_aside_and_kept(path: Path, damage: bytes | None) -> None:
    if damage is None:
        with sqlite3.connect(path) as foreign:
            foreign.execute("PRAGMA user_version = 99")
        foreign.close()
    else:
        path.write_bytes(damage)
    with pytest.raises(ForeignHistoryError), reading(path):
        pass
    written(path, seen("write", content=b"new"))
    with reading(path) as history:
        assert texts_of(history, PATH) == [b"new"]
    (kept,) = path.parent.glob("history.db.unusable-*")
    assert damage is None or kept.read_bytes() == damage


def test_changes_are_recorded_behind_the_back_of_who_makes_them(path: Path) -> None:
    recorder = HistoryRecorder(lambda: HistoryStore(path, MIB), gather_s=60)
    recorder.start()
    recorder.put(seen("write", content=b"text"))
    assert recorder.stop(10), "the end writes what was gathered"
    assert (recorder.written, recorder.missed) == (1, 0)
    with reading(path) as history:
        assert texts_of(history, PATH) == [b"text"]


def test_what_does_not_fit_into_the_queue_is_told_in_the_history(path: Path) -> None:
    recorder = HistoryRecorder(lambda: HistoryStore(path, 64 * MIB), gather_s=60)
    for number in range(QUEUE_MAX + 5):
        recorder.put(seen("touch", b"%d" % number))
    recorder.start()
    assert recorder.stop(60)
    assert recorder.missed == 5
    with reading(path) as history:
        gap = history.changes(b"", 1)[0]
        assert (gap.action, gap.size) == ("missed", 5)


def test_what_the_disk_refused_is_told_in_the_history_once_it_takes_it(path: Path) -> None:
    failures = [OSError("no such disk"), OSError("still none")]

    def open_store() -> HistoryStore:
        if failures:
            raise failures.pop()
        return HistoryStore(path, MIB)

    recorder = HistoryRecorder(open_store, gather_s=0.01)
    recorder.put(seen("write", content=b"lost"))
    recorder.start()
    wait_until(lambda: recorder.missed == 1 and recorder.written == 0)
    assert recorder.stop(10)
    with reading(path) as history:
        assert [change.action for change in history.changes(b"", 9)] == ["missed"]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)

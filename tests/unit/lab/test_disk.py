"""The disk layer without a mount: what is lost when the power goes, and what stays."""

import errno
from pathlib import Path
from random import Random

import pytest
from pmxcfs_lab.disk.mood import Mood
from pmxcfs_lab.disk.store import Store

CHANCE = Random(7)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def make(store: Store, folder: Path, name: str, content: bytes) -> int:
    """Write a new file, which stays open, and sync it."""
    number = store.create(folder / name, 0o644)
    node = store.node(number)
    store.open(node)
    store.write(node, 0, content)
    sync(store, number)
    return number


def sync(store: Store, number: int) -> None:
    store.node(number).unsynced.note_sync()
    store.names.note_sync()


def test_what_was_synced_outlives_the_power(store: Store, tmp_path: Path) -> None:
    make(store, tmp_path, "file", b"a" * 2000)
    assert store.cut_power(CHANCE, 0.0) == {"lost_sectors": 0, "kept_sectors": 0, "lost_names": 0}
    assert (tmp_path / "file").read_bytes() == b"a" * 2000


def test_what_was_written_since_is_gone(store: Store, tmp_path: Path) -> None:
    number = make(store, tmp_path, "file", b"a" * 2000)
    store.write(store.node(number), 100, b"b" * 3000)
    assert (tmp_path / "file").read_bytes()[100:3100] == b"b" * 3000
    assert store.cut_power(CHANCE, 0.0)["lost_sectors"] == 7
    assert (tmp_path / "file").read_bytes() == b"a" * 2000


def test_a_torn_write_is_old_or_new_by_whole_sectors(store: Store, tmp_path: Path) -> None:
    number = make(store, tmp_path, "file", b"a" * 51_200)
    store.write(store.node(number), 0, b"b" * 51_200)
    lost = store.cut_power(Random(1), 0.5)
    content = (tmp_path / "file").read_bytes()
    sectors = [content[start : start + 512] for start in range(0, len(content), 512)]
    assert set(sectors) == {b"a" * 512, b"b" * 512}
    assert sectors.count(b"a" * 512) == lost["lost_sectors"]
    assert lost["lost_sectors"] + lost["kept_sectors"] == 100


def test_the_same_seed_tears_at_the_same_places(tmp_path: Path) -> None:
    def run(name: str, seed: int) -> bytes:
        folder = tmp_path / name
        folder.mkdir()
        store = Store(folder)
        number = make(store, folder, "file", b"a" * 20_000)
        store.write(store.node(number), 5000, b"b" * 30_000)
        store.cut_power(Random(seed), 0.5)
        return (folder / "file").read_bytes()

    assert run("one", 7) == run("two", 7)
    assert run("three", 8) != run("four", 7)


def test_a_file_that_was_cut_has_its_end_again(store: Store, tmp_path: Path) -> None:
    number = make(store, tmp_path, "file", b"abc" * 1000)
    store.truncate(store.node(number), 10)
    store.cut_power(CHANCE, 0.0)
    assert (tmp_path / "file").read_bytes() == b"abc" * 1000


def test_sectors_behind_the_old_end_that_were_lost_read_as_zeros(
    store: Store, tmp_path: Path
) -> None:
    number = make(store, tmp_path, "file", b"a" * 512)
    store.write(store.node(number), 512, b"b" * 51_200)
    store.cut_power(Random(3), 0.5)
    content = (tmp_path / "file").read_bytes()
    sectors = {content[start : start + 512] for start in range(512, len(content), 512)}
    assert sectors == {b"b" * 512, bytes(512)}


def test_names_come_back_and_new_ones_go(store: Store, tmp_path: Path) -> None:
    make(store, tmp_path, "removed", b"1")
    make(store, tmp_path, "replaced", b"2")
    make(store, tmp_path, "moved", b"3")
    store.remove(tmp_path / "removed")
    store.rename(tmp_path / "moved", tmp_path / "replaced")
    store.create(tmp_path / "new", 0o644)
    assert [path.name for path in store.entries(store.node(1))] == ["new", "replaced"]
    assert store.cut_power(CHANCE, 0.0)["lost_names"] == 3
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == {"removed": b"1", "replaced": b"2", "moved": b"3"}


def test_one_sync_makes_all_names_so_far_last(store: Store, tmp_path: Path) -> None:
    number = make(store, tmp_path, "synced", b"1")
    make(store, tmp_path, "removed", b"2")
    store.remove(tmp_path / "removed")
    sync(store, number)
    store.cut_power(CHANCE, 0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["synced"]


def test_of_names_a_first_part_lasts_when_writes_are_torn(tmp_path: Path) -> None:
    lasting = set()
    for seed in range(20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        store = Store(folder)
        for name in "abc":
            store.create(folder / name, 0o644)
        store.cut_power(Random(seed), 0.5)
        lasting.add("".join(sorted(path.name for path in folder.iterdir())))
    assert lasting == {"", "a", "ab", "abc"}


@pytest.mark.parametrize(
    ("mood", "call", "name", "grows", "code"),
    [
        (Mood(), "write", "config.db", True, None),
        (Mood(full=True), "write", "config.db-wal", True, errno.ENOSPC),
        (Mood(full=True), "write", "config.db-wal", False, None),
        (Mood(full=True), "create", "new", True, errno.ENOSPC),
        (Mood(full=True), "write", "config.db-shm", True, None),
        (Mood(failing=("fsync",)), "fsync", "config.db", False, errno.EIO),
        (Mood(failing=("fsync",)), "write", "config.db", True, None),
    ],
)
def test_a_mood_decides_which_calls_fail(
    mood: Mood, call: str, name: str, grows: bool, code: int | None
) -> None:
    assert mood.error(call, name, grows=grows) == code

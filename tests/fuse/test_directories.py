"""Directories and names through the kernel."""

import errno
import os
import threading
from pathlib import Path

import pytest

from tests.fuse.calls import listed, refusal


def test_directories_are_made_listed_and_removed(place: Path) -> None:
    (place / "d").mkdir()
    (place / "d" / "e").mkdir()
    assert listed(place / "d") == ["e"]
    assert refusal(os.rmdir, place / "d") == errno.ENOTEMPTY
    (place / "d" / "e").rmdir()
    (place / "d").rmdir()
    assert listed(place) == []


def test_a_directory_is_made_once(place: Path) -> None:
    (place / "d").mkdir()
    assert refusal(os.mkdir, place / "d") == errno.EEXIST


def test_exactly_one_of_many_makes_a_lock(place: Path) -> None:
    winners: list[int] = []
    start = threading.Barrier(8)

    def take(number: int) -> None:
        start.wait()
        try:
            (place / "lock").mkdir()
        except FileExistsError:
            return
        winners.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1


def test_entries_have_their_kind_and_number_in_a_listing(place: Path) -> None:
    (place / "d").mkdir()
    (place / "f").touch()
    found = {entry.name: entry for entry in os.scandir(place)}
    assert found["d"].is_dir(follow_symlinks=False)
    assert found["f"].is_file(follow_symlinks=False)
    for name, entry in found.items():
        assert entry.inode() == (place / name).stat().st_ino


def test_a_long_listing_is_complete_and_has_no_name_twice(place: Path) -> None:
    names = [f"{number:04}-{'x' * 100}" for number in range(1000)]
    for name in names:
        os.mknod(place / name)
    assert listed(place) == names


def test_a_listing_survives_that_its_entries_are_removed_on_the_way(place: Path) -> None:
    for number in range(500):
        os.mknod(place / f"{number:03}-{'x' * 200}")
    with os.scandir(place) as listing:
        for entry in listing:
            Path(entry.path).unlink()
    assert listed(place) == []


def test_an_empty_directory_can_be_moved_and_a_full_one_cannot(place: Path) -> None:
    (place / "d").mkdir()
    (place / "d").rename(place / "e")
    (place / "e" / "f").touch()
    (place / "g").mkdir()
    assert refusal(os.rename, place / "e", place / "g") == errno.ENOTEMPTY
    assert refusal(os.rename, place / "e", place / "h") == errno.ENOTEMPTY
    assert listed(place) == ["e", "g"]


def test_names_of_255_bytes_and_of_any_bytes_survive(place: Path) -> None:
    directory = os.fsencode(place)
    names = [b"x" * 255, b"\xff\xfe\x01", "näme".encode(), b"with\nnewline", b" ", b"a" * 1000]
    for name in names:
        path = directory + b"/" + name
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o640))
        assert os.stat(path).st_size == 0  # noqa: PTH116  (bytes, not text)
    assert listed(directory) == sorted(names)


def test_a_name_over_the_kernels_limit_is_refused(place: Path) -> None:
    assert refusal(os.mkdir, place / ("x" * 1025)) == errno.ENAMETOOLONG


@pytest.mark.parametrize("depth", [50])
def test_deep_paths_work(place: Path, depth: int) -> None:
    path = place
    for number in range(depth):
        path = path / f"d{number}"
        path.mkdir()
    (path / "f").write_bytes(b"deep")
    assert (path / "f").read_bytes() == b"deep"


def test_lookups_of_missing_names_are_not_remembered(place: Path) -> None:
    for number in range(20):
        file = place / f"f{number}"
        assert not file.exists()
        file.touch()
        assert file.exists()

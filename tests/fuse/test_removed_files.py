"""Files that are removed or replaced while somebody has them open."""

import mmap
import os
from pathlib import Path

from tests.fuse.calls import listed


def test_an_unlinked_file_is_read_and_written_to_the_end(place: Path) -> None:
    file = place / "f"
    file.write_bytes(b"0123456789")
    descriptor = os.open(file, os.O_RDWR)
    file.unlink()
    assert listed(place) == []
    assert os.read(descriptor, 100) == b"0123456789"
    os.pwrite(descriptor, b"abc", 20)
    assert os.pread(descriptor, 100, 0) == b"0123456789" + bytes(10) + b"abc"
    os.ftruncate(descriptor, 2)
    assert os.pread(descriptor, 100, 0) == b"01"
    stat = os.fstat(descriptor)
    assert (stat.st_nlink, stat.st_size) == (0, 2)
    os.close(descriptor)
    place.rmdir()


def test_a_replaced_file_is_read_to_the_end_by_who_has_it_open(place: Path) -> None:
    (place / "f").write_bytes(b"old")
    (place / "g").write_bytes(b"new")
    with (place / "f").open("rb") as old:
        (place / "g").rename(place / "f")
        assert old.read() == b"old"
        assert listed(place) == ["f"]
    assert (place / "f").read_bytes() == b"new"


def test_a_file_made_anew_under_the_old_name_is_another_file(place: Path) -> None:
    file = place / "f"
    file.write_bytes(b"old")
    descriptor = os.open(file, os.O_RDWR)
    file.unlink()
    file.write_bytes(b"new")
    os.pwrite(descriptor, b"OLD", 0)
    assert file.read_bytes() == b"new"
    assert os.pread(descriptor, 10, 0) == b"OLD"
    assert os.fstat(descriptor).st_ino != file.stat().st_ino
    os.close(descriptor)


def test_a_moved_file_is_followed_by_who_has_it_open(place: Path) -> None:
    descriptor = os.open(place / "f", os.O_WRONLY | os.O_CREAT, 0o640)
    (place / "f").rename(place / "g")
    os.write(descriptor, b"text")
    os.close(descriptor)
    assert (place / "g").read_bytes() == b"text"


def test_a_temporary_file_without_a_name_works_once_it_is_unlinked(place: Path) -> None:
    descriptor = os.open(place / "f", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    (place / "f").unlink()
    os.write(descriptor, b"secret")
    assert os.pread(descriptor, 10, 0) == b"secret"
    os.close(descriptor)


def test_a_private_mapping_reads_the_file(place: Path) -> None:
    (place / "f").write_bytes(b"mapped")
    with (
        (place / "f").open("rb") as file,
        mmap.mmap(file.fileno(), 6, mmap.MAP_PRIVATE, mmap.PROT_READ) as mapping,
    ):
        assert mapping[:] == b"mapped"

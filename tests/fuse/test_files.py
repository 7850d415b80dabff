"""Files through the kernel: making, reading, writing, cutting, moving."""

import errno
import os
from pathlib import Path

from tests.fuse.calls import listed, put, refusal
from tests.fuse.daemon import Daemon

MEBIBYTE = 1024 * 1024


def test_what_was_written_is_read(place: Path) -> None:
    file = place / "f"
    file.write_bytes(b"hello")
    assert file.read_bytes() == b"hello"
    assert file.stat().st_size == 5


def test_an_empty_file_reads_as_nothing(place: Path) -> None:
    (place / "f").touch()
    assert (place / "f").read_bytes() == b""


def test_content_of_every_byte_and_of_the_largest_size_survives(place: Path) -> None:
    data = bytes(range(256)) * 4096
    assert len(data) == MEBIBYTE
    (place / "f").write_bytes(data)
    assert (place / "f").read_bytes() == data


def test_one_write_is_one_change_however_large(daemon: Daemon, place: Path) -> None:
    file = os.open(place / "f", os.O_WRONLY | os.O_CREAT)
    before = daemon.status()["tree_version"]
    assert os.write(file, b"x" * 2**20) == 2**20
    os.close(file)
    assert daemon.status()["tree_version"] == before + 1


def test_truncating_opens_of_two_files_leave_no_old_tail(place: Path) -> None:
    for name in ("a", "b"):
        (place / name).write_bytes(b"a long old text")
    for name in ("a", "b", "a"):
        descriptor = os.open(place / name, os.O_WRONLY | os.O_TRUNC)
        assert os.fstat(descriptor).st_size == 0
        os.write(descriptor, name.encode())
        os.close(descriptor)
    assert [(place / name).read_bytes() for name in ("a", "b")] == [b"a", b"b"]


def test_a_truncating_open_without_a_write_empties_the_file(place: Path) -> None:
    (place / "f").write_bytes(b"text")
    os.close(os.open(place / "f", os.O_WRONLY | os.O_TRUNC))
    assert (place / "f").read_bytes() == b""


def test_an_exclusive_open_refuses_an_existing_file(place: Path) -> None:
    exclusive = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    os.close(os.open(place / "f", exclusive))
    assert refusal(os.open, place / "f", exclusive) == errno.EEXIST


def test_appends_go_to_the_end_of_the_moment(place: Path) -> None:
    descriptors = [
        os.open(place / "f", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640) for _ in range(2)
    ]
    for turn in range(6):
        os.write(descriptors[turn % 2], b"%d" % turn)
    for descriptor in descriptors:
        os.close(descriptor)
    assert (place / "f").read_bytes() == b"012345"


def test_one_descriptor_reads_what_another_wrote(place: Path) -> None:
    writer = os.open(place / "f", os.O_RDWR | os.O_CREAT, 0o640)
    reader = os.open(place / "f", os.O_RDONLY)
    for text in (b"first", b"second"):
        os.pwrite(writer, text, 0)
        assert os.pread(reader, 100, 0) == text
        assert os.pread(writer, 100, 0) == text
    os.close(writer)
    os.close(reader)


def test_a_write_behind_the_end_leaves_zeros_between(place: Path) -> None:
    (place / "f").write_bytes(b"ab")
    put(place / "f", b"z", 5000)
    assert (place / "f").read_bytes() == b"ab" + bytes(4998) + b"z"


def test_a_write_in_the_middle_keeps_the_rest(place: Path) -> None:
    (place / "f").write_bytes(b"0123456789")
    put(place / "f", b"abc", 3)
    assert (place / "f").read_bytes() == b"012abc6789"


def test_truncation_cuts_and_extends(place: Path) -> None:
    file = place / "f"
    file.write_bytes(b"0123456789")
    os.truncate(file, 4)
    assert file.read_bytes() == b"0123"
    os.truncate(file, 6)
    assert file.read_bytes() == b"0123\0\0"
    descriptor = os.open(file, os.O_WRONLY)
    os.ftruncate(descriptor, 1)
    os.close(descriptor)
    assert file.read_bytes() == b"0"


def test_an_empty_file_can_be_extended(place: Path) -> None:
    file = place / "f"
    file.touch()
    os.truncate(file, 3)
    assert file.read_bytes() == bytes(3)
    os.truncate(file, 0)
    os.truncate(file, 2)
    assert file.read_bytes() == bytes(2)


def test_a_mebibyte_is_the_limit_for_writes_and_truncations(place: Path) -> None:
    file = place / "f"
    file.touch()
    assert put(file, b"x", MEBIBYTE - 1) == 1
    assert file.stat().st_size == MEBIBYTE
    assert refusal(put, file, b"x", MEBIBYTE) == errno.EFBIG
    assert refusal(put, file, b"x", 2**32) == errno.EFBIG
    assert refusal(os.truncate, file, MEBIBYTE + 1) == errno.EFBIG
    assert refusal(os.truncate, file, 2**32 + 1) == errno.EFBIG
    assert file.stat().st_size == MEBIBYTE


def test_a_write_over_the_limit_is_short_and_keeps_what_it_says(place: Path) -> None:
    file = place / "f"
    written = put(file, b"x" * (MEBIBYTE + 10), 0, os.O_WRONLY | os.O_CREAT)
    assert 0 < written <= MEBIBYTE
    assert file.read_bytes() == b"x" * written
    assert refusal(put, file, bytes(MEBIBYTE), written) == errno.EFBIG


def test_renaming_replaces_the_target(place: Path) -> None:
    (place / "new").write_bytes(b"new")
    (place / "old").write_bytes(b"old")
    inode = (place / "new").stat().st_ino
    (place / "new").rename(place / "old")
    assert (place / "old").read_bytes() == b"new"
    assert (place / "old").stat().st_ino == inode
    assert listed(place) == ["old"]


def test_renaming_moves_between_directories(place: Path) -> None:
    (place / "a").mkdir()
    (place / "b").mkdir()
    (place / "a" / "f").write_bytes(b"text")
    (place / "a" / "f").rename(place / "b" / "g")
    assert (place / "b" / "g").read_bytes() == b"text"
    assert listed(place / "a") == []


def test_unlinking_removes_the_name_at_once(place: Path) -> None:
    (place / "f").touch()
    (place / "f").unlink()
    assert not (place / "f").exists()
    assert listed(place) == []


def test_mknod_makes_a_regular_file(place: Path) -> None:
    os.mknod(place / "f")
    assert (place / "f").read_bytes() == b""


def test_times_are_set_in_whole_seconds(place: Path) -> None:
    file = place / "f"
    file.touch()
    os.utime(file, ns=(5, 1_234_567_890_123_456_789))
    stat = file.stat()
    assert stat.st_mtime_ns == stat.st_atime_ns == stat.st_ctime_ns == 1_234_567_890_000_000_000


def test_a_fresh_file_has_the_time_of_now(place: Path) -> None:
    (place / "reference").touch()
    os.utime(place / "reference")
    (place / "f").write_bytes(b"x")
    assert abs((place / "f").stat().st_mtime - (place / "reference").stat().st_mtime) <= 1


def test_syncing_and_closing_succeed(place: Path) -> None:
    descriptor = os.open(place / "f", os.O_WRONLY | os.O_CREAT, 0o640)
    os.write(descriptor, b"x")
    os.fsync(descriptor)
    os.fdatasync(descriptor)
    os.close(os.dup(descriptor))
    os.close(descriptor)
    directory = os.open(place, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def test_a_file_replaced_by_the_way_of_the_tools_has_the_new_text(place: Path) -> None:
    target = place / "storage.cfg"
    for turn in range(3):
        temporary = place / f"storage.cfg.tmp.{turn}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        for word in (b"dir: local\n", b"path /x\n", b"%d\n" % turn):
            os.write(descriptor, word)
        os.close(descriptor)
        temporary.rename(target)
        assert target.read_bytes() == b"dir: local\npath /x\n%d\n" % turn
    assert listed(place) == ["storage.cfg"]

"""A mount with ``--gather-writes``: writes are answered at once, and made before anybody looks."""

import errno
import mmap
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.fuse import soak
from tests.fuse.calls import refusal
from tests.fuse.daemon import Daemon
from tests.fuse.tools import connect

OPTIONS = ("-l", "--gather-writes")
PIECE = b"0123456789abcdef" * 32
PIECES = 200


@pytest.fixture(scope="module")
def gathering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("gathering"))
    daemon.start(*OPTIONS)
    yield daemon
    complaints = daemon.complaints
    assert daemon.stop() == 0
    assert complaints == []


@pytest.fixture
def place(gathering: Daemon, request: pytest.FixtureRequest) -> Path:
    directory = gathering.mountpoint / f"place{len(os.listdir(gathering.mountpoint))}"  # noqa: PTH208
    directory.mkdir()
    return directory


@contextmanager
def opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def write_pieces(descriptor: int) -> bytes:
    for _ in range(PIECES):
        assert os.write(descriptor, PIECE) == len(PIECE)
    return PIECE * PIECES


def version(daemon: Daemon) -> int:
    return int(daemon.status()["tree_version"])


def test_many_small_writes_are_few_changes_and_there_when_it_is_closed(
    gathering: Daemon, place: Path
) -> None:
    with opened(place / "f") as descriptor:
        before = version(gathering)
        text = write_pieces(descriptor)
    assert version(gathering) - before < PIECES / 10
    with closing(sqlite3.connect(gathering.state_dir / "config.db")) as connection:
        rows = connection.execute("SELECT data FROM tree WHERE name = 'f'").fetchall()
    assert rows == [(text,)]


def read_again(path: Path) -> bytes:
    return path.read_bytes()


def stat_size(path: Path) -> bytes:
    return bytes(path.stat().st_size)


def scan_size(path: Path) -> bytes:
    with os.scandir(path.parent) as entries:
        return bytes({entry.name: entry.stat().st_size for entry in entries}[path.name])


@pytest.mark.parametrize(
    ("look", "seen"), [(read_again, b"more text"), (stat_size, bytes(9)), (scan_size, bytes(9))]
)
def test_who_looks_before_the_close_sees_it(
    place: Path, look: Callable[[Path], bytes], seen: bytes
) -> None:
    with opened(place / "f") as descriptor:
        os.write(descriptor, b"more")
        os.write(descriptor, b" text")
        assert look(place / "f") == seen


def test_management_tools_see_it_before_the_close(gathering: Daemon, place: Path) -> None:
    path = str(place.relative_to(gathering.mountpoint) / "f").encode()
    with opened(place / "f") as descriptor, closing(connect(gathering)) as client:
        os.write(descriptor, b"text")
        assert client.ask(6, path + b"\0") == (0, b"text")


def test_a_file_that_is_replaced_has_all_that_was_written(place: Path) -> None:
    with opened(place / "f.tmp") as descriptor:
        text = write_pieces(descriptor)
        (place / "f.tmp").rename(place / "f")
        assert (place / "f").read_bytes() == text


def test_cutting_and_writing_keep_their_order(place: Path) -> None:
    with opened(place / "f") as descriptor:
        for number in range(20):
            os.write(descriptor, b"old" * 100)
            os.ftruncate(descriptor, 3)
            os.lseek(descriptor, 0, os.SEEK_END)
            os.write(descriptor, b"%d" % number)
            assert os.pread(descriptor, 1000, 0) == b"old%d" % number
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)


def test_two_who_append_on_one_node_do_not_overwrite_each_other(place: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    with opened(place / "f", flags) as one, opened(place / "f", flags) as other:
        for _ in range(50):
            os.write(one, b"a")
            os.write(other, b"b")
    assert (place / "f").read_bytes() == b"ab" * 50


def test_a_mapping_and_writes_agree(place: Path) -> None:
    with opened(place / "f") as descriptor:
        os.write(descriptor, b"." * 8192)
        with mmap.mmap(descriptor, 8192) as mapping:
            os.pwrite(descriptor, b"written", 100)
            mapping[200:206] = b"mapped"
            mapping.flush()
            os.pwrite(descriptor, b"again", 300)
            assert mapping[100:107] == b"written"
        text = os.pread(descriptor, 8192, 0)
    assert (text[100:107], text[200:206], text[300:305]) == (b"written", b"mapped", b"again")
    assert (place / "f").read_bytes() == text


@pytest.mark.parametrize("flag", [os.O_SYNC, os.O_DSYNC])
def test_a_synchronous_write_is_made_when_it_returns(
    gathering: Daemon, place: Path, flag: int
) -> None:
    with opened(place / "f", os.O_WRONLY | os.O_CREAT | flag) as descriptor:
        before = version(gathering)
        os.write(descriptor, b"text")
        assert version(gathering) == before + 1


def test_what_is_known_is_refused_at_the_write(place: Path) -> None:
    with opened(place / "f") as descriptor:
        assert refusal(os.pwrite, descriptor, b"text", 2**20) == errno.EFBIG


def test_random_operations_are_those_of_a_file_in_memory(place: Path) -> None:
    soak.run(place, "gathered", 500)


def test_the_end_of_the_daemon_keeps_what_was_answered(
    new_daemon: Callable[[], Daemon],
) -> None:
    daemon = new_daemon()
    daemon.start(*OPTIONS)
    descriptor = os.open(daemon.mountpoint / "f", os.O_RDWR | os.O_CREAT)
    text = write_pieces(descriptor)
    assert daemon.stop() == 0
    assert refusal(os.close, descriptor) == errno.ENOTCONN
    daemon.start(*OPTIONS)
    assert (daemon.mountpoint / "f").read_bytes() == text


def test_who_closes_hears_of_a_disk_that_refused(new_daemon: Callable[[], Daemon]) -> None:
    daemon = new_daemon()
    daemon.start(*OPTIONS)
    descriptor = os.open(daemon.mountpoint / "f", os.O_RDWR | os.O_CREAT)
    with closing(sqlite3.connect(daemon.state_dir / "config.db")) as connection:
        connection.execute("DELETE FROM tree WHERE name = 'f'")
        connection.commit()
    assert os.write(descriptor, b"text") == 4
    assert refusal(os.close, descriptor) == errno.EIO
    assert (daemon.mountpoint / "f").read_bytes() == b""
    assert daemon.stop() == 0
    assert any("refused after its writer was answered" in line for line in daemon.complaints)

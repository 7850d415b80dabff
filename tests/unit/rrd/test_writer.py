"""Metrics on their way into files, through a real rrdcached or past it."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import rrdtool
import structlog
from pmxcfs_lab.eventually import eventually

from pmxcfs.rrd.room import Room
from pmxcfs.rrd.writer import RrdWriter

NOW_S = 1_700_000_000
STORAGE = b"pve-storage-9.0/n/s"
FILE = "pve-storage-9.0/n/s"
WITHIN_S = 20.0

CROWDED = "there is no room for more RRD files: metrics of what is new are shown, but not written"
EVERY_S = 0.005

Logs = list[Any]


class Rrdcached:
    """A real one that keeps what it gets until it ends."""

    def __init__(self, base: Path) -> None:
        self.socket = base.parent / "rrdcached.sock"
        listen, pid_file = f"unix:{self.socket}", str(base.parent / "rrdcached.pid")
        self.process = subprocess.Popen(
            ["rrdcached", "-g", "-l", listen, "-p", pid_file, "-b", str(base), "-B"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._connect, within_s=WITHIN_S, every_s=EVERY_S)

    def _connect(self) -> None:
        with socket.socket(socket.AF_UNIX) as client:
            assert client.connect_ex(str(self.socket)) == 0

    def stop(self) -> None:
        """End it; it writes all that it kept."""
        self.process.terminate()
        self.process.wait(WITHIN_S)


class Scene:
    """A directory for RRD files, and a writer that is started when asked for."""

    def __init__(self, directory: Path) -> None:
        self.base = directory / "db"
        self.base.mkdir()
        self.socket = directory / "rrdcached.sock"
        self.puts = 0
        self.writer = self.make()

    def make(
        self, answer_s_max: float = 0.2, retry_s: float = 0.0, queue_max: int = 100
    ) -> RrdWriter:
        self.puts = 0
        self.writer = RrdWriter(
            self.base,
            self.socket,
            clock=lambda: NOW_S,
            answer_s_max=answer_s_max,
            retry_s=retry_s,
            queue_max=queue_max,
        )
        return self.writer

    def put(self, age_s: int = 0, key: bytes = STORAGE, text: bytes | None = None) -> None:
        """Publish metrics and wait until it is settled what becomes of them."""
        self.put_only(age_s, key, text)
        eventually(self._is_settled, within_s=WITHIN_S, every_s=EVERY_S)

    def put_only(self, age_s: int = 0, key: bytes = STORAGE, text: bytes | None = None) -> None:
        self.writer.put(key, text or f"{NOW_S - age_s}:10:5".encode())
        self.puts += 1

    def _is_settled(self) -> None:
        assert sum(self.counts) == self.puts

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.writer.written, self.writer.refused, self.writer.dropped

    def last_s(self, file: str = FILE) -> int:
        """Return the time of the newest value in a file."""
        last: int = rrdtool.last(str(self.base / file))
        return last


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    with suppress(RuntimeError):  # never started
        assert scene.writer.stop(WITHIN_S)


@pytest.fixture
def rrdcached(scene: Scene) -> Iterator[Rrdcached]:
    rrdcached = Rrdcached(scene.base)
    yield rrdcached
    rrdcached.process.kill()
    rrdcached.process.wait(WITHIN_S)


@pytest.fixture
def logs() -> Iterator[Logs]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def sentences(logs: Logs) -> list[str]:
    return [line["event"] for line in logs]


def test_without_rrdcached_files_are_written_directly(scene: Scene, logs: Logs) -> None:
    scene.writer.start()
    scene.put()
    assert scene.last_s() == NOW_S
    assert scene.counts == (1, 0, 0)
    assert logs == []


def test_a_file_begins_with_the_day(scene: Scene) -> None:
    scene.writer.start()
    scene.put(text=f"{NOW_S - 24 * 3600}:1:1".encode())
    assert scene.counts == (0, 1, 0), "it takes nothing from before its beginning"
    assert (scene.base / FILE).is_file()


@pytest.mark.needs("rrdcached")
def test_a_running_rrdcached_gets_the_values(scene: Scene, rrdcached: Rrdcached) -> None:
    scene.writer.start()
    scene.put(60)
    scene.put(0)
    assert scene.counts == (2, 0, 0)
    assert scene.last_s() < NOW_S - 60, "rrdcached keeps them for a while"
    rrdcached.stop()
    assert scene.last_s() == NOW_S


@pytest.mark.needs("rrdcached")
def test_what_rrdcached_refuses_is_tried_directly(
    scene: Scene, rrdcached: Rrdcached, logs: Logs
) -> None:
    scene.writer.start()
    scene.put(0)
    scene.put(60)
    assert scene.last_s() == NOW_S - 60
    scene.put(60)
    assert scene.counts == (2, 1, 0)
    assert sentences(logs) == ["RRD update error"]
    assert "illegal attempt to update using time" in logs[0]["reason"]


@pytest.mark.needs("rrdcached")
def test_after_the_end_of_rrdcached_files_are_written_directly(
    scene: Scene, rrdcached: Rrdcached, logs: Logs
) -> None:
    scene.writer.start()
    scene.put(120)
    rrdcached.stop()
    scene.put(60)
    assert scene.last_s() == NOW_S - 60
    assert scene.counts == (2, 0, 0)
    assert logs == []


@pytest.mark.needs("rrdcached")
def test_a_hanging_rrdcached_costs_the_metrics_of_that_time_and_two_lines(
    scene: Scene, rrdcached: Rrdcached, logs: Logs
) -> None:
    scene.writer.start()
    scene.put(300)
    os.kill(rrdcached.process.pid, signal.SIGSTOP)
    for age_s in (240, 180, 120):
        scene.put(age_s)
    assert scene.counts == (1, 0, 3)
    os.kill(rrdcached.process.pid, signal.SIGCONT)
    scene.put(0)
    assert scene.counts == (2, 0, 3)
    began, over = logs
    assert began["event"].startswith("rrdcached does not answer")
    assert over["event"] == "rrdcached answers again"
    assert over["dropped"] == 3


@pytest.mark.needs("rrdcached")
def test_a_hanging_rrdcached_is_left_alone_for_a_while(scene: Scene, rrdcached: Rrdcached) -> None:
    os.kill(rrdcached.process.pid, signal.SIGSTOP)
    scene.make(retry_s=1000.0, answer_s_max=0.05, queue_max=1000).start()
    for _ in range(1000):  # each of which would take 50 ms
        scene.put_only()
    assert scene.writer.stop(WITHIN_S)
    assert scene.counts == (0, 0, 1000)


@pytest.mark.needs("rrdcached")
def test_putting_never_waits_for_rrdcached(scene: Scene, rrdcached: Rrdcached, logs: Logs) -> None:
    os.kill(rrdcached.process.pid, signal.SIGSTOP)
    scene.make(answer_s_max=1000.0, queue_max=10).start()
    scene.put_only()
    eventually(lambda: _assert(len(scene.writer) == 0), within_s=WITHIN_S, every_s=EVERY_S)
    for _ in range(15):
        scene.put_only()
    assert len(scene.writer) == 10
    assert scene.counts == (0, 0, 5)
    assert len(logs) == 1
    assert not scene.writer.stop(0.0), "it hangs, and nobody waits for it"
    os.kill(rrdcached.process.pid, signal.SIGCONT)
    assert scene.writer.stop(WITHIN_S)


def _assert(holds: bool) -> None:
    assert holds


def test_a_full_queue_drops_and_says_so_once(scene: Scene, logs: Logs) -> None:
    scene.make(queue_max=4)
    for number in range(10):
        scene.put_only(100 - number)
    assert len(scene.writer) == 4
    scene.writer.start()
    eventually(lambda: _assert(scene.writer.written == 4), within_s=WITHIN_S, every_s=EVERY_S)
    scene.put()
    assert scene.counts == (5, 0, 6)
    assert [line["log_level"] for line in logs] == ["warning", "info"]
    assert logs[1]["dropped"] == 6


def test_a_missing_directory_is_reported_once_until_it_is_there(scene: Scene, logs: Logs) -> None:
    scene.base.rmdir()
    scene.writer.start()
    scene.put(60)
    scene.put(50)
    assert [line["log_level"] for line in logs] == ["warning"]
    assert logs[0]["directory"] == str(scene.base)
    scene.base.mkdir()
    scene.put(0)
    assert scene.counts == (1, 0, 2)
    assert [line["log_level"] for line in logs] == ["warning", "info"]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (b"pve2-storage/../x", None),
        (b"pve2-storage/../../x", None),
        (b"pve2-node/../../x", b"1:2:1:1:1:1:1:1:1:1:1:1:1:1:1"),
        (b"pve2-vm/../../x", None),
        (b"pve-storage-9.0/n/s", b"1:2"),
        (b"pve-storage-9.0/n/s", b"--help"),
        (b"pve-storage-9.0/n/s\nFLUSHALL", None),
        (b"\xff", b"\xff"),
        (b"", b":::"),
    ],
)
def test_what_makes_no_sense_touches_no_file(
    scene: Scene, logs: Logs, key: bytes, text: bytes | None
) -> None:
    before = set(scene.base.parent.rglob("*"))
    scene.writer.start()
    for _ in range(3):
        scene.put(key=key, text=text)
    assert scene.counts == (0, 3, 0)
    assert len(logs) == 1, "one line for a key, until it has worked"
    assert set(scene.base.parent.rglob("*")) == before


def test_a_complaint_comes_again_after_the_key_has_worked(scene: Scene, logs: Logs) -> None:
    scene.writer.start()
    scene.put(text=b"x")
    scene.put()
    scene.put(text=b"x")
    assert sentences(logs) == 2 * ["RRD update error: unknown/wrong key or value"]


def test_a_link_that_leads_out_of_the_directory_is_not_followed(scene: Scene, logs: Logs) -> None:
    outside = scene.base.parent / "outside"
    outside.mkdir()
    (scene.base / "pve-storage-9.0").symlink_to(outside)
    scene.writer.start()
    scene.put()
    assert scene.counts == (0, 1, 0)
    assert list(outside.iterdir()) == []
    assert "a link leads out" in logs[0]["reason"]


def test_the_directory_itself_may_be_a_link(scene: Scene) -> None:
    real = scene.base.rename(scene.base.with_name("elsewhere"))
    scene.base.symlink_to(real)
    scene.writer.start()
    scene.put()
    assert (real / FILE).is_file()


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_is_no_rrd_file_is_left_as_it_is(
    scene: Scene, logs: Logs, make: Callable[[Path], None]
) -> None:
    path = scene.base / FILE
    path.parent.mkdir(parents=True)
    make(path)
    before = path.stat()
    scene.writer.start()
    scene.put()
    assert scene.counts == (0, 1, 0)
    assert len(logs) == 1
    assert path.stat().st_ctime_ns == before.st_ctime_ns


class Impostor:
    """Answers the first line of each client with the same bytes, then hangs up if told so."""

    def __init__(self, path: Path, answer: bytes, *, hangs_up: bool) -> None:
        self._answer = answer
        self._hangs_up = hangs_up
        self._clients: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):  # the end
            while True:
                client, _ = self._listener.accept()
                client.recv(4096)
                client.sendall(self._answer)
                if self._hangs_up:
                    client.close()
                self._clients.append(client)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(WITHIN_S)
        for client in [*self._clients, self._listener]:
            client.close()


@pytest.mark.parametrize(
    ("answer", "hangs_up"),
    [
        (b"", False),
        (b"", True),
        (b"0 errors, without end of line", False),
        (b"what?\n", False),
        (b"2 two lines\none\n", False),
        (b"x" * 10_000, False),
        (b"\xff\n", True),
    ],
)
def test_an_answer_that_makes_no_sense_is_silence(
    scene: Scene, logs: Logs, answer: bytes, hangs_up: bool
) -> None:
    impostor = Impostor(scene.socket, answer, hangs_up=hangs_up)
    try:
        scene.writer.start()
        scene.put()
    finally:
        impostor.stop()
    assert scene.counts == (0, 0, 1)
    assert sentences(logs)[0].startswith("rrdcached does not answer")


def test_a_path_with_blanks_reaches_rrdcached_whole(tmp_path: Path) -> None:
    parent = tmp_path / "a \\b c"
    parent.mkdir()
    scene = Scene(parent)
    impostor = Impostor(scene.socket, b"0 errors, enqueued 1 value(s).\n", hangs_up=False)
    try:
        scene.writer.start()
        scene.put()
    finally:
        impostor.stop()
        assert scene.writer.stop(WITHIN_S)
    assert scene.counts == (1, 0, 0)


def crowded(scene: Scene, **limits: int) -> None:
    scene.writer = RrdWriter(
        scene.base,
        scene.socket,
        clock=lambda: NOW_S,
        room=Room(scene.base, **limits),
    )
    scene.writer.start()


def name_of(number: int) -> bytes:
    return b"pve-storage-9.0/n/s%d" % number


def test_new_names_make_only_so_many_files_and_one_line(scene: Scene, logs: Logs) -> None:
    crowded(scene, files_max=3)
    for number in range(6):
        scene.put(key=name_of(number))
    scene.put(age_s=-60, key=name_of(0))
    assert sorted(file.name for file in scene.base.rglob("s*")) == ["s0", "s1", "s2"]
    assert (scene.counts, sentences(logs)) == ((4, 0, 3), [CROWDED])
    assert logs[0]["reason"] == "there are 3 RRD files already"


def test_files_that_were_there_before_count_and_those_removed_make_room(
    scene: Scene, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pmxcfs.rrd.room.COUNT_PERIOD_S", 0.0)
    (scene.base / "old").write_bytes(b"")
    crowded(scene, files_max=1)
    scene.put(key=name_of(0))
    (scene.base / "old").unlink()
    scene.put(key=name_of(0))
    assert scene.counts == (1, 0, 1)
    assert sentences(logs) == [CROWDED, "there is room for more RRD files again"]


def test_no_file_is_made_on_a_disk_that_is_nearly_full(scene: Scene, logs: Logs) -> None:
    crowded(scene, free_bytes_min=1 << 60)
    scene.put(key=name_of(0))
    assert list(scene.base.iterdir()) == []
    assert (scene.counts, sentences(logs)) == ((0, 0, 1), [CROWDED])

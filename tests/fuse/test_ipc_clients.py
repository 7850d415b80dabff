"""Clients that are many, slow, dead or hostile: others and the file system do not notice."""

import contextlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from errno import ECHRNG
from pathlib import Path

import pytest

from tests.e2e import ipc_client
from tests.fuse.daemon import Daemon
from tests.fuse.tools import (
    Answer,
    ask_as,
    connect,
    descriptors_of,
    porter_of,
    resident_kib_of,
    shared_memory_of,
)

WITHIN_S = 60

MEMBERS, SET_STATUS, GET_STATUS, FILE = 2, 4, 5, 6

DISCONNECT = -3
"""The number with which libqb's clients say goodbye."""

KILLED = """
import os, signal, sys
exec(sys.stdin.read())
clients = [Connection(sys.argv[1].encode()) for _ in range(3)]
clients[0].ask(2)
clients[1].send(2)
print("connected", flush=True)
signal.pause()
"""


POINTING = """
import glob, socket
os.setgroups([])
os.setresgid(33, 33, 33)
os.setresuid(33, 33, 33)
client = Connection(sys.argv[1].encode())
assert client.ask(2)[0] == 0
for header in glob.glob(f"/dev/shm/qb-*-{os.getpid()}-*/qb-{sys.argv[2]}-*-header"):
    with open(header, "r+b") as file:
        file.seek(4 * int(sys.argv[3]))
        file.write(int(sys.argv[4]).to_bytes(4, "little"))
    if sys.argv[2] == "response":
        client.send(2)
    for fd in range(3, 64):
        try:
            socket.socket(fileno=os.dup(fd)).send(b"!")
        except OSError:
            pass
    break
else:
    sys.exit("there is no such ring")
os._exit(0)  # libqb would follow its own pointers
"""


def eventually(check: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not check():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@pytest.fixture
def own_daemon(new_daemon: Callable[[], Daemon]) -> Iterator[Daemon]:
    """Return a daemon whose porter may come to harm."""
    daemon = new_daemon()
    daemon.start("-l")
    porter = porter_of(daemon)
    yield daemon
    assert daemon.stop() == 0
    assert not shared_memory_of(porter)


def name(text: bytes) -> bytes:
    return text.ljust(256, b"\0")


def test_sixty_clients_at_once_get_each_its_own_answers(daemon: Daemon) -> None:
    clients = [connect(daemon) for _ in range(60)]
    wrong: list[str] = []

    def ask(number: int) -> None:
        key = name(b"kv/client%d" % number)
        for turn in range(10):
            value = b"%d of %d" % (turn, number)
            clients[number].ask(SET_STATUS, key + value)
            if clients[number].ask(GET_STATUS, key + name(b"")) != (0, value):
                wrong.append(f"{number}: {turn}")
        clients[number].ask(SET_STATUS, key)
        clients[number].close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN_S)
    assert wrong == []


def test_a_killed_client_leaves_nothing(daemon: Daemon) -> None:
    porter = porter_of(daemon)
    others, descriptors = shared_memory_of(porter), descriptors_of(porter)
    script = Path(ipc_client.__file__).read_text().partition("if __name__")[0]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, daemon.ipc_name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(script)
        client.stdin.close()
        assert client.stdout.readline() == "connected\n"
        assert len(shared_memory_of(porter) - others) == 3
        client.kill()
    eventually(lambda: shared_memory_of(porter) <= others)
    eventually(lambda: descriptors_of(porter) <= descriptors)


def test_who_does_not_read_responses_delays_nobody(daemon: Daemon, place: Path) -> None:
    (place / "file").write_bytes(bytes(900_000))
    slow, other = connect(daemon), connect(daemon)
    for _ in range(3):
        slow.send(FILE, place.name.encode() + b"/file\0")
    for _ in range(20):
        assert other.ask(MEMBERS)[0] == 0
    assert [len(slow.receive()[1]) for _ in range(3)] == [900_000] * 3
    slow.close()
    other.close()


def test_who_connects_and_says_nothing_delays_nobody(daemon: Daemon) -> None:
    silent = [socket.socket(socket.AF_UNIX) for _ in range(150)]
    for line in silent:
        line.connect(f"\0{daemon.ipc_name}".ljust(108, "\0"))
    eventually(lambda: len(_readable(silent)) >= 150 - 128)  # turned away: that many are enough
    eventually(lambda: _can_connect(daemon))
    eventually(lambda: len(_readable(silent)) == 150)  # nobody may say nothing for ever
    for line in silent:
        line.close()


@pytest.mark.parametrize(("requests", "flags"), [(1, socket.MSG_OOB), (2, 0)])
def test_requests_without_their_wake_up_bytes_do_not_hang_the_porter(
    own_daemon: Daemon, requests: int, flags: int
) -> None:
    """libqb waits for one byte a request, for ever; an urgent byte wakes it and is not read."""
    client = connect(own_daemon)
    fd = _socket_descriptors(own_daemon)[-1]
    one, other_end = socket.socketpair()
    with socket.socket(fileno=os.dup(fd)) as line, one, other_end:
        os.dup2(one.fileno(), fd)
        for _ in range(requests):
            client.send(MEMBERS)
        os.dup2(line.fileno(), fd)
        line.send(b"!", flags)
    assert connect(own_daemon).ask(MEMBERS)[0] == 0
    assert client.receive()[0] == 0


def test_a_hostile_client_may_end_the_porter_but_not_the_file_system(own_daemon: Daemon) -> None:
    """Shared memory that shrinks under the porter ends it: SIGBUS. The reference itself dies."""
    porter = porter_of(own_daemon)
    client = connect(own_daemon)
    for directory in shared_memory_of(porter):
        for file in Path("/dev/shm", directory).iterdir():
            os.truncate(file, 0)
    with socket.socket(fileno=os.dup(_socket_descriptors(own_daemon)[-1])) as line:
        line.send(b"!")
    eventually(lambda: any("starting another" in text for text in own_daemon.log))
    (own_daemon.mountpoint / "file").write_bytes(b"the mount lives")
    eventually(lambda: _can_connect(own_daemon))
    assert connect(own_daemon).ask(FILE, b"file\0") == (0, b"the mount lives")
    assert not shared_memory_of(porter)
    assert client is not None


@pytest.mark.parametrize("ring", ["request", "response"])
@pytest.mark.parametrize("number", [0, 1, 2], ids=["write", "read", "size"])
@pytest.mark.parametrize("value", [0x0007_FFFF, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_pointers_of_a_ring_that_a_client_moves_harm_no_other(
    pointed_at: Daemon, ring: str, number: int, value: int
) -> None:
    """libqb follows them without a look: it reads and writes elsewhere in the porter, or dies."""
    daemon = pointed_at
    eventually(lambda: _is_listened(daemon))
    script = Path(ipc_client.__file__).read_text().partition("if __name__")[0] + POINTING
    subprocess.run(
        [sys.executable, "-", daemon.ipc_name, ring, str(number), str(value)],
        input=script.encode(),
        check=True,
        timeout=WITHIN_S,
    )
    for turn in range(3):
        (daemon.mountpoint / "file").write_bytes(b"the mount lives %d" % turn)
        assert _ask_again(daemon, FILE, b"file\0") == (0, b"the mount lives %d" % turn)


@pytest.fixture(scope="module")
def pointed_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Return a daemon whose porters may die one after the other."""
    daemon = Daemon(tmp_path_factory.mktemp("pointed"))
    daemon.start("-l")
    yield daemon
    porter = porter_of(daemon)
    assert daemon.stop() == 0
    assert not shared_memory_of(porter)


def _ask_again(daemon: Daemon, number: int, payload: bytes) -> Answer:
    """Ask as tools do: again over a new connection, if one is lost."""
    for _ in range(2):
        eventually(lambda: _is_listened(daemon))
        with contextlib.suppress(OSError):
            client = connect(daemon)
            answer = client.ask(number, payload)
            client.close()
            return answer
    raise AssertionError("no answer over two connections")


def _is_listened(daemon: Daemon) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        return line.connect_ex(f"\0{daemon.ipc_name}".ljust(108, "\0")) == 0


def test_a_client_cannot_name_the_files_that_the_porter_removes(
    own_daemon: Daemon, tmp_path: Path
) -> None:
    """libqb removes what its shared memory names, which clients can write; as root."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    client, porter = connect(own_daemon), porter_of(own_daemon)
    assert client.ask(MEMBERS)[0] == 0
    for directory in shared_memory_of(porter):
        for header in Path("/dev/shm", directory).glob("*-header"):
            with header.open("r+b") as file:
                file.seek(12)  # behind three numbers: the names of header and data
                file.write((bytes(victim).ljust(4096, b"\0")) * 2)
    client.close()
    assert connect(own_daemon).ask(MEMBERS)[0] == 0
    eventually(lambda: len(shared_memory_of(porter)) == 2)
    assert victim.read_text() == "mine"


def test_the_porter_sees_nothing_but_shared_memory(own_daemon: Daemon) -> None:
    porter = porter_of(own_daemon)
    root = Path(f"/proc/{porter}/root")
    assert [path.name for path in root.iterdir()] == ["dev"]
    assert [path.name for path in (root / "dev").iterdir()] == ["shm"]
    capabilities = Path(f"/proc/{porter}/status").read_text().partition("CapEff:")[2].split()[0]
    assert int(capabilities, 16) == 0b1011  # to make, give away and remove files of clients


def test_a_killed_porter_is_replaced(own_daemon: Daemon) -> None:
    client, porter = connect(own_daemon), porter_of(own_daemon)
    assert client.ask(MEMBERS)[0] == 0
    os.kill(porter, signal.SIGKILL)
    with pytest.raises(OSError, match="no answer"):
        client.ask(MEMBERS)
    eventually(lambda: _can_connect(own_daemon))
    assert connect(own_daemon).ask(MEMBERS)[0] == 0
    assert not shared_memory_of(porter)


def test_the_porter_ends_with_a_daemon_that_is_killed(new_daemon: Callable[[], Daemon]) -> None:
    daemon = new_daemon()
    daemon.start("-l")
    porter, client = porter_of(daemon), connect(daemon)
    assert client.ask(MEMBERS)[0] == 0
    os.kill(daemon.pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{porter}").exists())
    assert not shared_memory_of(porter)
    daemon.kill()
    daemon.detach()


def test_a_name_that_is_taken_is_waited_for(tmp_path: Path) -> None:
    first, second = Daemon(tmp_path / "1"), Daemon(tmp_path / "2")
    second.ipc_name = first.ipc_name
    first.start("-l")
    second.start("-l")
    assert any("another process serves IPC clients" in text for text in second.log)
    assert first.stop() == 0
    eventually(lambda: _can_connect(second))
    assert second.stop() == 0
    assert len(second.complaints) == 1


def test_no_request_does_harm(daemon: Daemon) -> None:
    """Requests of all numbers and sizes, with sizes in their headers that are lies."""
    chance = random.Random(20261122)
    porter, client = porter_of(daemon), connect(daemon)
    canary = name(b"kv/canary")
    assert client.ask(SET_STATUS, canary + b"alive") == (0, b"")

    def rush(count: int) -> None:
        for _ in range(count):
            number = chance.choice([*range(16), chance.randrange(-(2**31), 2**31)])
            size = chance.choice([chance.randrange(64), chance.randrange(2000), 1 << 20])
            payload = _payload(chance, min(size, (1 << 20) - 16))
            lie = chance.choice([None, None, *range(-2, 20), chance.randrange(1 << 31)])
            if number not in (SET_STATUS, DISCONNECT):
                error, answer = client.ask(number, payload, lie)
                assert not (error and answer)
                assert number in range(1, 14) or error

    rush(100)
    descriptors = descriptors_of(porter), descriptors_of(daemon.pid)
    memory_kib = resident_kib_of(porter) + resident_kib_of(daemon.pid)
    rush(600)
    assert client.ask(GET_STATUS, canary + name(b"")) == (0, b"alive")
    assert client.ask(14) == (ECHRNG, b"")
    client.ask(SET_STATUS, canary)
    client.close()
    assert porter_of(daemon) == porter
    assert (descriptors_of(porter), descriptors_of(daemon.pid)) <= descriptors
    assert resident_kib_of(porter) + resident_kib_of(daemon.pid) < memory_kib + 16 * 1024


def test_no_request_of_the_group_changes_anything_or_shows_a_secret(daemon: Daemon) -> None:
    chance = random.Random(20261130)
    secret = daemon.mountpoint / "priv" / "key"
    secret.parent.mkdir(exist_ok=True)
    secret.write_bytes(b"the secret")
    client = connect(daemon)
    assert client.ask(FILE, b"priv/key\0") == (0, b"the secret")
    questions = [
        (chance.choice([*range(16), FILE, FILE]), _payload(chance, chance.randrange(700)))
        for _ in range(1500)
    ]
    version = client.ask(1)
    answers = ask_as(33, 33, daemon, questions)
    assert isinstance(answers, list)
    for (number, payload), (error, answer) in zip(questions, answers, strict=True):
        assert b"the secret" not in answer, (number, payload)
        assert not (error and answer)
    assert client.ask(1) == version
    client.close()
    secret.unlink()


def _payload(chance: random.Random, size: int) -> bytes:
    kind = chance.randrange(3)
    if kind == 0:
        return bytes(size)
    if kind == 1:
        return (chance.randbytes(97) * (size // 97 + 1))[:size]
    text = chance.choice([b"nodes/", b"priv/key\0", b"name\0", b"\x64\0\0\0\1lock\0", b"\6\5\4"])
    return (text * (size // len(text) + 1))[:size]


def _can_connect(daemon: Daemon) -> bool:
    try:
        connect(daemon).close()
    except OSError:
        return False
    return True


def _readable(lines: list[socket.socket]) -> list[socket.socket]:
    return select.select(lines, [], [], 0)[0]


def _socket_descriptors(daemon: Daemon) -> list[int]:
    """Return our own descriptors that are connected to a daemon's porter, oldest first."""
    descriptors = sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    return [fd for fd in descriptors if _peer(fd).startswith(f"\0{daemon.ipc_name}")]


def _peer(fd: int) -> str:
    try:
        with socket.socket(fileno=os.dup(fd)) as line:
            peer = line.getpeername()
    except OSError:
        return ""
    return peer.decode() if isinstance(peer, bytes) else str(peer)

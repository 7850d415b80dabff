"""What the service manager hears of us, and what it does not."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from pmxcfs.supervision import WORDS_A_PERIOD, Supervisor, supervisor


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        yield listener


def heard(manager: socket.socket) -> list[str]:
    words = []
    try:
        while True:
            words.append(manager.recv(4096).decode())
    except BlockingIOError:
        return words


def test_it_is_told_that_we_are_ready_and_that_we_end(manager: socket.socket) -> None:
    ours = Supervisor(manager.getsockname())
    ours.tell_ready("standalone, mounted on /etc/pve")
    ours.tell_ending()
    assert heard(manager) == ["READY=1\nSTATUS=standalone, mounted on /etc/pve", "STOPPING=1"]


def test_an_abstract_socket_is_found() -> None:
    name = f"pmxcfs-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        Supervisor("@" + name).tell_ending()
        assert listener.recv(4096) == b"STOPPING=1"


async def test_the_watchdog_hears_of_a_loop_that_turns_and_of_no_other(
    manager: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    ours = Supervisor(manager.getsockname(), patience_s=60)
    with trio.move_on_after(59):
        await ours.tell_progress()
    assert heard(manager) == ["WATCHDOG=1"] * WORDS_A_PERIOD
    assert heard(manager) == []


async def test_without_a_watchdog_nothing_is_said(manager: socket.socket) -> None:
    await Supervisor(manager.getsockname()).tell_progress()
    assert heard(manager) == []


def test_a_manager_that_takes_nothing_does_not_hold_us_up(manager: socket.socket) -> None:
    ours = Supervisor(manager.getsockname())
    for _ in range(2000):  # more than the socket's queue holds
        ours.tell_ready("again")
    assert 0 < len(heard(manager)) < 2000


def test_a_manager_that_is_gone_is_not_missed(tmp_path: Path) -> None:
    Supervisor(str(tmp_path / "nobody")).tell_ready("ready")
    Supervisor().tell_ready("ready")


def test_our_children_cannot_speak_for_us() -> None:
    environment = {
        "NOTIFY_SOCKET": "/run/notify",
        "WATCHDOG_USEC": "60000000",
        "WATCHDOG_PID": str(os.getpid()),
        "PATH": "/bin",
    }
    assert supervisor(environment) == Supervisor("/run/notify", patience_s=60)
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "environment",
    [
        {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "often"},
        {},
    ],
)
def test_a_watchdog_that_is_not_ours_is_not_spoken_to(environment: dict[str, str]) -> None:
    assert supervisor(environment).patience_s is None

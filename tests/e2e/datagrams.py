"""Datagrams between two nodes of a lab, to see what becomes of them on the way."""

import json
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pmxcfs_lab.lab import Lab

from .where import PYTHON

PORT = 9753
QUIET_S = 0.7

RECEIVE = """
import json, socket, sys, time
arrived = []
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.bind(("", int(sys.argv[1])))
    print("ready", flush=True)
    one.settimeout(3)
    try:
        while True:
            number, sent_s = one.recv(2000).split()[:2]
            arrived.append([int(number), time.monotonic() - float(sent_s)])
            one.settimeout(float(sys.argv[2]))
    except TimeoutError:
        print(json.dumps(arrived))
"""

SEND = """
import socket, sys, time
address, port, count, gap_s = sys.argv[1], *map(int, sys.argv[2:4]), float(sys.argv[4])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    for number in range(count):
        one.sendto(f"{number} {time.monotonic()} ".encode().ljust(1000, b"x"), (address, port))
        time.sleep(gap_s)
"""


@dataclass(frozen=True, slots=True)
class Arrived:
    """One datagram.

    Attributes:
        number: how many were sent before it.
        took_s: how long it was under way; all nodes have one clock.
    """

    number: int
    took_s: float


def send(
    lab: Lab,
    from_: str,
    to: str,
    count: int = 100,
    *,
    gap_s: float = 0.002,
    link: int = 0,
    port: int = PORT,
) -> list[Arrived]:
    """Send datagrams of 1000 bytes; return those that arrived, in the order in which they did."""
    receive = lab.attach_argv(to, [PYTHON, "-c", RECEIVE, str(port), str(QUIET_S)])
    with subprocess.Popen(receive, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "ready\n"
        address = lab.plan.node(to).address_on(link)
        arguments = (address, str(port), str(count), str(gap_s))
        sent = lab.exec(from_, PYTHON, "-c", SEND, *arguments)
        assert sent.exit_status == 0, sent.stderr
        arrived = json.loads(receiver.stdout.read())
    return [Arrived(*one) for one in arrived]


def heard(lab: Lab) -> Mapping[str, set[str]]:
    """Return by node from which others anything arrives."""
    names = lab.plan.names

    def listen(name: str) -> set[str]:
        others = [other for other in names if other != name]
        with ThreadPoolExecutor(len(others)) as pool:
            ports = [PORT + names.index(other) for other in others]
            found = pool.map(
                lambda other, port: send(lab, other, name, 2, port=port), others, ports
            )
            return {other for other, arrived in zip(others, found, strict=True) if arrived}

    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(listen, names), strict=True))

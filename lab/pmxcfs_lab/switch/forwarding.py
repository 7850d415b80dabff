"""The switch itself: takes a frame, gives it its number and its fate, and hands it on."""

import heapq
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pmxcfs_lab.links.rules import Quality, Rule, Way, rules_from_json, table
from pmxcfs_lab.switch.fates import WayState, fate, flip, way_seed
from pmxcfs_lab.switch.timing import Entry, Timetable

ADDRESS_PREFIX = bytes.fromhex("024c4142")
"""First four octets of the nodes' Ethernet addresses; link and node id follow."""

FRAME_SIZE_MAX = 65_536
BURST_MAX = 64
"""Frames of one port before the others get their turn."""

Clock = Callable[[], float]
Hear = Callable[[dict[str, Any]], None]


def ethernet_address(link: int, node_id: int) -> bytes:
    """Return the address of a node's interface."""
    return ADDRESS_PREFIX + bytes((link, node_id))


@dataclass(frozen=True, slots=True)
class Port:
    """Where a node is plugged in.

    Attributes:
        node: its name.
        link: number of its interface.
        fd: reads what it sends, takes what it gets.
    """

    node: str
    link: int
    fd: int


@dataclass(frozen=True, slots=True, order=True)
class _Waiting:
    at_s: float
    serial: int
    fd: int = field(compare=False)
    frame: bytes = field(compare=False)


class Switch:
    """All ports, the rules between them, and the timetable.

    Args:
        clock: seconds that never go back.
        hear: is told what fired, with its moment.
        capture: takes every frame that a port sent, or None.
    """

    def __init__(self, clock: Clock, hear: Hear) -> None:
        self._clock = clock
        self._hear = hear
        self.capture: Callable[[bytes], object] | None = None
        self.ports: dict[bytes, Port] = {}
        self.shapes: dict[str, tuple[Rule, ...]] = {}
        self.sent = self.lost = 0
        self._ways: dict[Way, Quality] = {}
        self._waiting: list[_Waiting] = []
        self._serial = 0
        self.begin(0, ())

    def begin(self, seed: int, entries: Iterable[Entry]) -> None:
        """Start virtual time, the numbers of frames and all chances anew."""
        self._seed = seed
        self._states: dict[Way, WayState] = {}
        self._timetable = Timetable(entries)
        self._began_s = self._clock()

    def plug_in(self, address: bytes, port: Port) -> None:
        """Add a port, in place of the one that the node had before."""
        before = self.ports.get(address)
        if before is not None:
            self.unplug(before.fd)
        self.ports[address] = port

    def unplug(self, fd: int) -> None:
        """Forget a port and what is under way to it."""
        self.ports = {address: port for address, port in self.ports.items() if port.fd != fd}
        self._waiting = [one for one in self._waiting if one.fd != fd]
        heapq.heapify(self._waiting)
        os.close(fd)

    def shape(self, key: str, rules: tuple[Rule, ...]) -> None:
        """Have these rules for the key instead of those it has; none at all removes it."""
        self.shapes.pop(key, None)
        if rules:
            self.shapes[key] = rules
        links = 1 + max((port.link for port in self.ports.values()), default=0)
        self._ways = table(self.shapes, links)

    def read_port(self, port: Port) -> None:
        """Take what the node sends, up to BURST_MAX frames.

        Raises:
            OSError: its interface is gone.
        """
        with suppress(BlockingIOError):
            for _ in range(BURST_MAX):
                self._take(port, os.read(port.fd, FRAME_SIZE_MAX))

    def pass_time(self) -> float | None:
        """Do what is due by now; return in how many seconds there is more, None for never."""
        now_s = self._clock()
        for entry in self._timetable.pass_time(now_s - self._began_s):
            self._fire(entry)
        while self._waiting and self._waiting[0].at_s <= now_s:
            waiting = heapq.heappop(self._waiting)
            _write(waiting.fd, waiting.frame)
        times = [self._waiting[0].at_s] if self._waiting else []
        entry_at_s = self._timetable.next_at_s()
        if entry_at_s is not None:
            times.append(self._began_s + entry_at_s)
        return max(0.0, min(times) - now_s) if times else None

    def now(self) -> Mapping[str, float]:
        """Return the present moment and counts, for people."""
        moment = self._timetable.now
        return {
            "virtual_t": moment.virtual_s,
            "frame": moment.frame,
            "sent": self.sent,
            "lost": self.lost,
        }

    def _take(self, port: Port, frame: bytes) -> None:
        for entry in self._timetable.number_frame():
            self._fire(entry)
        self.sent += 1
        if self.capture is not None:
            self.capture(frame)
        target = self.ports.get(frame[:6])
        if target is not None:
            self._carry(port, target, frame)
        elif frame[0] & 1:  # to all
            for other in self.ports.values():
                if other.link == port.link and other.fd != port.fd:
                    self._carry(port, other, frame)

    def _carry(self, port: Port, target: Port, frame: bytes) -> None:
        way = (port.node, target.node, port.link)
        quality = self._ways.get(way)
        if quality is None:
            _write(target.fd, frame)
            return
        now_s = self._clock()
        copies = fate(self._state(way), quality, len(frame), now_s)
        self.lost += not copies
        for copy in copies:
            arriving = frame if copy.flipped_bit is None else flip(frame, copy.flipped_bit)
            if copy.at_s <= now_s:
                _write(target.fd, arriving)
            else:
                self._serial += 1
                waiting = _Waiting(copy.at_s, self._serial, target.fd, arriving)
                heapq.heappush(self._waiting, waiting)

    def _state(self, way: Way) -> WayState:
        state = self._states.get(way)
        if state is None:
            state = self._states[way] = WayState(way_seed(self._seed, way))
        return state

    def _fire(self, entry: Entry) -> None:
        if entry.key is not None:
            self.shape(entry.key, rules_from_json(entry.rules))
        moment = entry.moment
        self._hear({**entry.note, "virtual_t": moment.virtual_s, "frame": moment.frame})


def _write(fd: int, frame: bytes) -> None:
    """Hand a frame to a node; one whose interface is down or gone gets nothing, as in life."""
    with suppress(OSError):
        os.write(fd, frame)

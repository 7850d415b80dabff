"""A process that joins a group of a real cluster, agrees with all, and then sends nonsense.

Run on a node: GROUP SEED ROUNDS MESSAGES. In each round it answers the synchronisation with the
state that somebody else has told, so that all come into sync with it, and then sends its messages:
random bytes, and recorded messages that were cut, changed, or joined to others. With FLOOD as a
fifth argument it publishes endless values instead.

It sends no header with a version that is a little newer than the group's: for that, all would have
to leave for good.
"""

import json
import lzma
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Self

from pmxcfs.corosync.cpg import CpgHandle
from pmxcfs.corosync.handle import Code, CorosyncError
from pmxcfs.dfsm.events import ConfigurationChange, Delivered
from pmxcfs.dfsm.machine import VERSIONS_AHEAD_MAX
from pmxcfs.dfsm.wire import MessageType
from pmxcfs.identity import Member
from pmxcfs.status.kvstore import VALUE_BYTES_MAX

RECORDED = Path(__file__).parents[1] / "golden" / "vectors" / "cpg" / "node1.jsonl.xz"
EPOCH = slice(16, 32)
STATE_WITHIN_S = 90.0
OTHERS = 3
VERSION_OF = {"pve_dcdb_v1": 1, "pve_kvstore_v1": 0}


class Attacker:
    """Its place in the group."""

    def __init__(self, group: str) -> None:
        self._group = group.encode() + b"\0"
        self._handle = CpgHandle()
        self._members: frozenset[Member] = frozenset()
        self._epoch = b""
        self._told: set[Member] = set()
        self._untold: bytes | None = None

    def __enter__(self) -> Self:
        self._handle.open()
        self._persist(lambda: self._handle.join(self._group))
        return self

    def __exit__(self, *_: object) -> None:
        self._persist(lambda: self._handle.leave(self._group))
        self._handle.close()

    @property
    def epoch(self) -> bytes:
        """The epoch of the last synchronisation, 16 bytes."""
        return self._epoch

    def agree(self) -> None:
        """Return once all others are there and everybody, ourselves too, has told a state."""
        deadline_s = time.monotonic() + STATE_WITHIN_S
        while not (len(self._members) == OTHERS + 1 and self._told == self._members):
            assert time.monotonic() < deadline_s, (self._members, self._told)
            self._listen()

    def send(self, data: bytes) -> None:
        """Send, however long corosync is busy."""
        self._persist(lambda: self._handle.multicast(data))
        self._listen(wait_ms=0)

    def _persist(self, request: Callable[[], None]) -> None:
        while True:
            try:
                request()
            except CorosyncError as error:
                if error.code != Code.TRY_AGAIN:
                    raise
                self._listen()
            else:
                return

    def _listen(self, wait_ms: int = 20) -> None:
        self._tell()
        poll = select.poll()
        poll.register(self._handle.fd, select.POLLIN)
        if not poll.poll(wait_ms):
            return
        for event in self._handle.dispatch():
            match event:
                case ConfigurationChange(members):
                    self._members, self._told = frozenset(members), set()
                case Delivered(sender, data):
                    self._hear(sender, data)

    def _hear(self, sender: Member, data: bytes) -> None:
        kind = int.from_bytes(data[:2], "little")
        if kind == MessageType.SYNC_START:
            self._epoch, self._told, self._untold = data[EPOCH], set(), None
        elif kind == MessageType.STATE and data[EPOCH] == self._epoch:
            is_first = not self._told
            self._told.add(sender)
            if is_first:
                self._untold = data
                self._tell()

    def _tell(self) -> None:
        """Tell our state if that is due; corosync may be too busy for it now."""
        if self._untold is None:
            return
        try:
            self._handle.multicast(self._untold)
        except CorosyncError as error:
            if error.code != Code.TRY_AGAIN:
                raise
        else:
            self._untold = None


def recorded(group: str) -> list[bytes]:
    """Return what the group was sent once, but for changes of corosync.conf."""
    lines = lzma.decompress(RECORDED.read_bytes()).decode().splitlines()
    events = [json.loads(line) for line in lines]
    messages = [
        bytes.fromhex(event["hex"])
        for event in events
        if event["ev"] == "send" and event["group"] == group
    ]
    return [data for data in messages if b"corosync.conf" not in data]


def nonsense(group: str, chance: Random, epoch: bytes) -> Iterator[bytes]:
    """Yield messages without end."""
    pool, version = recorded(group), VERSION_OF[group]
    while True:
        data = bytearray(_change(pool, chance, epoch))
        claimed = int.from_bytes(data[4:8], "little")
        if not version < claimed <= version + VERSIONS_AHEAD_MAX:
            yield bytes(data)


def _change(pool: list[bytes], chance: Random, epoch: bytes) -> bytes:
    data = bytearray(chance.choice(pool))
    if int.from_bytes(data[:2], "little") != MessageType.NORMAL and chance.random() < 0.7:
        data[EPOCH] = epoch
    match chance.randrange(5):
        case 0:
            return chance.randbytes(chance.randrange(200))
        case 1:
            return bytes(data[: chance.randrange(len(data))])
        case 2:
            for _ in range(chance.randrange(1, 4)):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case 3:
            data[chance.randrange(len(data)) :] = chance.choice(pool)[chance.randrange(64) :]
        case 4:
            start = chance.randrange(len(data))
            data[start : start + 4] = chance.choice([b"\xff" * 4, b"\0" * 4, b"\0\0\0\x80"])
    return bytes(data)


def flood(chance: Random) -> Iterator[bytes]:
    """Yield updates of the status group, each with another key and the largest value."""
    value = chance.randbytes(VALUE_BYTES_MAX)
    for number in range(2**32):
        header = b"\0\0\1\0" + bytes(12) + number.to_bytes(8, "little")
        yield header + (b"kv/hostile-%d" % number).ljust(256, b"\0") + value


def main() -> None:
    """Do as the arguments say."""
    group, seed, rounds, count = sys.argv[1], *map(int, sys.argv[2:5])
    chance = Random(seed)
    with Attacker(group) as attacker:
        for _ in range(rounds):
            attacker.agree()
            is_flood = sys.argv[5:] == ["FLOOD"]
            messages = flood(chance) if is_flood else nonsense(group, chance, attacker.epoch)
            for _, data in zip(range(count), messages, strict=False):
                attacker.send(data)
    print("done")


if __name__ == "__main__":
    main()

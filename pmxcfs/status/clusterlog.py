"""The cluster log: what all nodes have logged lately, in order, each entry once.

Source: docs/PROTOCOL.md, "Cluster log".
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cmp_to_key

import structlog

from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member
from pmxcfs.status.entry import ENTRY_BYTES_MAX, Key, LogEntry, decode_entry, digest, new_entry
from pmxcfs.status.ring import FIRST_PLACE, RING_BYTES, Ring, decode_ring, rounded_size

log = structlog.get_logger("status")

MERGED_BYTES_MAX = RING_BYTES - FIRST_PLACE - ENTRY_BYTES_MAX

_U32 = 2**32
_I32 = 2**31


class ClusterLog:
    """The log as this node has it.

    Args:
        node_name: under which this node logs.
        first_uid: number of our first entry. If it rises within each second, a daemon that is
            started again within one does not make entries that look like those of its predecessor.

    Attributes:
        revision: counts what has happened to the log, so that who follows it need not compare.
    """

    def __init__(self, node_name: bytes, first_uid: int = 1) -> None:
        self._node_name = node_name
        self._node_digest = digest(node_name)
        self._next_uid = first_uid
        self.revision = 0
        self._ring = Ring()
        self._newest: dict[int, tuple[int, int]] = {}

    def add(
        self, *, priority: int, ident: bytes, tag: bytes, text: bytes, pid: int, now_s: int
    ) -> LogEntry:
        """Log something here and return what the other members are to be sent.

        It gets a later time, or the same and a greater number, than all that this node has logged,
        for the others drop everything else: whatever the clock does, nothing is lost.
        """
        newest_s, newest_uid = self._newest.get(self._node_digest, (0, 0))
        time_s = max(now_s % _U32, newest_s)
        if time_s == newest_s:
            self._next_uid = max(self._next_uid, newest_uid + 1)
        entry = new_entry(
            uid=self._next_uid % _U32,
            time_s=time_s,
            pid=pid % _U32,
            priority=priority,
            node=self._node_name,
            ident=ident,
            tag=tag,
            text=text,
        )
        self._next_uid += 1
        self._insert(entry)
        return entry

    def receive(self, payload: bytes) -> None:
        """Take over an entry that another member has logged, unless it is not news.

        Raises:
            ProtocolError: the payload is no entry.
        """
        entry = decode_entry(payload)
        if (entry.time_s, entry.uid) > self._newest.get(entry.node_digest, (-1, -1)):
            self._insert(entry)
        else:
            log.debug("dropped a log entry that is not new", node=_name(entry), uid=entry.uid)

    def state(self) -> bytes:
        """Sort the log and return all of it, as it is sent to other members (131 072 bytes)."""
        self._ring = Ring(_sorted({entry.key: entry for entry in self._ring.walk()}.values()))
        return bytes(self._ring)

    def merge(self, states: Mapping[Member, bytes], me: Member | None) -> None:
        """Become what the logs of all members are together.

        Args:
            states: what each member sent, in the order of members. Of ours the present log counts.
            me: who we are.
        """
        logs = [self._log_of(member, state, me) for member, state in states.items()]
        entries = _sorted(_newest_of(logs))
        self._ring = Ring(entries)
        self.revision += 1
        self._newest = {}
        for entry in entries:
            self._note(entry)

    def entries(self, ident: bytes = b"") -> Iterator[LogEntry]:
        """Yield what is shown of the log, the newest first; of one user only if named."""
        wanted = digest(ident)
        return (
            entry
            for entry in self._ring.walk_for_display()
            if not ident or entry.ident_digest == wanted
        )

    def _insert(self, entry: LogEntry) -> None:
        self._ring.add(entry)
        self.revision += 1
        self._note(entry)

    def _note(self, entry: LogEntry) -> None:
        known = self._newest.get(entry.node_digest, (-1, -1))
        self._newest[entry.node_digest] = max(known, (entry.time_s, entry.uid))

    def _log_of(self, member: Member, state: bytes, me: Member | None) -> list[LogEntry]:
        if member == me:
            return list(self._ring.walk())
        try:
            return decode_ring(state)
        except ProtocolError as error:
            log.warning("ignoring a member's cluster log", member=member, reason=str(error))
            return []


def _newest_of(logs: Iterable[list[LogEntry]]) -> list[LogEntry]:
    """Return the newest entries of several logs (each the newest first) that fit in one."""
    rest = [list(reversed(entries)) for entries in logs]
    merged: dict[Key, LogEntry] = {}
    size = 0
    while size < MERGED_BYTES_MAX:
        latest = max((entries for entries in rest if entries), key=_time_of_last, default=None)
        if latest is None or latest[-1].time_s == 0:
            break
        entry = latest.pop()
        if entry.key not in merged:
            merged[entry.key] = entry
            size += rounded_size(entry)
    return list(merged.values())


def _time_of_last(entries: list[LogEntry]) -> int:
    return entries[-1].time_s


def _sorted(entries: Iterable[LogEntry]) -> list[LogEntry]:
    return sorted(entries, key=cmp_to_key(_compare))


def _compare(one: LogEntry, other: LogEntry) -> int:
    """Compare by time, node and number, each by the sign of a 32-bit difference as peers do."""
    for ours, theirs in zip(one.key, other.key, strict=True):
        difference = (ours - theirs) % _U32
        if difference:
            return -1 if difference >= _I32 else 1
    return 0


def _name(entry: LogEntry) -> str:
    return entry.node.decode(errors="replace")

"""One node's status without I/O: what happens in the status group, and what local callers ask for.

What is asked for happens here at once and is then told to the others. While they cannot be told,
it is kept for them, but for the values, since each synchronisation tells all of those.
"""

from collections import deque

from pmxcfs.dfsm.effects import Effect
from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    GroupEvent,
    SendFailed,
)
from pmxcfs.dfsm.machine import Machine
from pmxcfs.dfsm.modes import Mode
from pmxcfs.identity import Pid
from pmxcfs.kvstore import PROTOCOL_VERSION, RecordMetrics, StatusApplication
from pmxcfs.status.entry import LogEntry
from pmxcfs.status.messages import Update, encode_log, encode_update
from pmxcfs.status.state import ClusterStatus, is_metrics
from pmxcfs.waits.stalls import Waiting
from pmxcfs.waits.vigil import Vigil, WatchEvent

StatusEvent = GroupEvent | WatchEvent

UNSENT_ENTRIES_MAX = 256
"""How many log entries are kept for the others; each synchronisation tells the older ones too."""

START_TAG = b"cluster"
START_IDENT = b"root"
START_TEXT = b"starting cluster log"
START_PRIORITY = 6


class StatusNode:
    """The status of the cluster as this node sees it, and its place in the status group.

    Without a group, as in standalone mode, all works but for the others.
    """

    def __init__(self, status: ClusterStatus) -> None:
        self.status = status
        self._application = StatusApplication(status)
        self._machine = Machine(
            self._application, protocol_version=PROTOCOL_VERSION, domain="status"
        )
        self._vigil = Vigil(
            self._machine, domain="status", consequence="what others publish is not seen"
        )
        self._unsent_updates: dict[bytes, Update] = {}
        self._unsent_entries: deque[LogEntry] = deque(maxlen=UNSENT_ENTRIES_MAX)

    @property
    def mode(self) -> Mode:
        """Where this node stands in the replication protocol."""
        return self._machine.mode

    @property
    def waiting(self) -> Waiting | None:
        """What the group waits for at the moment."""
        return self._vigil.waiting

    def start_log(self, pid: Pid, now_s: int) -> None:
        """Log that the daemon starts; a log that is told to others must not be empty."""
        self.status.log.add(
            priority=START_PRIORITY,
            ident=START_IDENT,
            tag=START_TAG,
            text=START_TEXT,
            pid=pid,
            now_s=now_s,
        )

    def step(self, event: StatusEvent, now_s: int) -> list[Effect]:
        """Take in one event and return what follows from it."""
        effects: list[Effect] = []
        for due in self._vigil.admit(event, lambda: True):
            effects += self._react(due, now_s)
        return self._finish([*effects, *self._vigil.taken()], now_s)

    def publish(self, key: bytes, value: bytes, now_s: int) -> list[Effect]:
        """Set a value of this node; an empty one removes it.

        Raises:
            OperationError: EFBIG, it is too long; ENOMEM, it is not what its key demands.
        """
        update = self.status.publish(key, value, now_s)
        self._unsent_updates.pop(update.key, None)
        effects: list[Effect] = [RecordMetrics(update)] if is_metrics(update) else []
        if self._machine.may_send:
            effects += self._machine.send(*encode_update(update), now_s)
        elif self.mode is Mode.SYNCED or not self.status.is_told_at_sync(update):
            self._unsent_updates[update.key] = update
        return effects

    def log(
        self, *, priority: int, ident: bytes, tag: bytes, text: bytes, pid: int, now_s: int
    ) -> list[Effect]:
        """Add something to the cluster log, in the name of this node.

        Args:
            priority: 0 to 7, as in syslog.
            ident: name of the user whom it is about.
            tag: what kind of program logs it.
            text: what happened, as the client wrote it.
            pid: process id of the client.
            now_s: our clock.
        """
        entry = self.status.log.add(
            priority=priority, ident=ident, tag=tag, text=text, pid=pid, now_s=now_s
        )
        if self._machine.may_send:
            return self._machine.send(*encode_log(entry), now_s)
        self._unsent_entries.append(entry)
        return []

    def _react(self, event: GroupEvent, now_s: int) -> list[Effect]:
        match event:
            case Delivered(sender, data):
                return self._machine.on_message(sender, data, now_s)
            case ConfigurationChange():
                return self._machine.on_configuration(event, now_s)
            case SendFailed(data):
                return self._machine.on_send_failed(data)
            case Connected(me):
                self._application.me = me
                return self._machine.connect(me)
            case Disconnected():
                return self._machine.disconnect()

    def _finish(self, effects: list[Effect], now_s: int) -> list[Effect]:
        """Tell what was kept, now that somebody may be there to be told."""
        finished = list(effects)
        if self._machine.may_send:
            messages = [*map(encode_update, self._unsent_updates.values())]
            messages += map(encode_log, self._unsent_entries)
            self._unsent_updates.clear()
            self._unsent_entries.clear()
            for subtype, payload in messages:
                finished += self._machine.send(subtype, payload, now_s)
        return finished

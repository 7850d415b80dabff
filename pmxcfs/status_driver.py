"""Feeds the status group's events to the status node and performs its effects, without waiting."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from pmxcfs.dfsm.effects import Effect, LeaveGroup, Multicast
from pmxcfs.kvstore import RecordMetrics
from pmxcfs.status.members import ClusterInfo
from pmxcfs.status.rrd import KEY_PREFIX as METRICS_PREFIX
from pmxcfs.status_node import StatusEvent, StatusNode


class Group(Protocol):
    """The closed process group that carries the status."""

    def multicast(self, data: bytes) -> None:
        """Send to all members, ourselves included; never blocks. A failure comes as an event."""

    def leave(self, *, for_good: bool) -> None:
        """Leave, and join again unless ``for_good``; never blocks."""


class Recorder(Protocol):
    """Where metrics go that are to be kept."""

    def put(self, key: bytes, text: bytes) -> None:
        """Write what a node measures, without NUL, under a key without prefix; never blocks."""


class NoRecorder:
    """For when nothing is kept."""

    def put(self, key: bytes, text: bytes) -> None:
        """Nothing is written."""


class StatusDriver:
    """One status node with its group, if it has one, and its local callers.

    Args:
        node: the pure state.
        clock: returns UNIX seconds.
    """

    def __init__(self, node: StatusNode, clock: Callable[[], int]) -> None:
        self.node = node
        self._clock = clock
        self._group: Group | None = None
        self._recorder: Recorder = NoRecorder()

    @property
    def group(self) -> Group | None:
        """The group, if there is one."""
        return self._group

    def attach(self, group: Group) -> None:
        """Name the group; its events come to ``feed``, but never from within ``multicast``."""
        self._group = group

    def attach_recorder(self, recorder: Recorder) -> None:
        """Name what writes metrics into files."""
        self._recorder = recorder

    def feed(self, events: Iterable[StatusEvent]) -> None:
        """Take in events, in order, and do what follows from them before returning."""
        for event in events:
            self._perform(self.node.step(event, self._clock()))

    def learn_nodes(self, info: ClusterInfo) -> None:
        """Take over a new reading of corosync's configuration."""
        self.node.status.learn_nodes(info)

    def publish(self, key: bytes, value: bytes) -> None:
        """Set a value of this node; an empty one removes it.

        Raises:
            OperationError: EFBIG, it is too long; ENOMEM, it is not what its key demands.
        """
        self._perform(self.node.publish(key, value, self._clock()))

    def log(self, *, priority: int, ident: bytes, tag: bytes, text: bytes, pid: int) -> None:
        """Add something to the cluster log; see ``StatusNode.log``."""
        effects = self.node.log(
            priority=priority, ident=ident, tag=tag, text=text, pid=pid, now_s=self._clock()
        )
        self._perform(effects)

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case RecordMetrics(update):
                    key = update.key.removeprefix(METRICS_PREFIX)
                    self._recorder.put(key, update.value.partition(b"\0")[0])
                case Multicast(data):
                    assert self._group is not None, "without a group nothing is sent"
                    self._group.multicast(data)
                case LeaveGroup(for_good):
                    assert self._group is not None, "without a group nothing is sent"
                    self._group.leave(for_good=for_good)

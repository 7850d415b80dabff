"""The configuration tree as the application of its replication group (upstream: dcdb).

Source: docs/PROTOCOL.md, "Configuration tree messages" and "Synchronisation".
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from errno import EIO

import structlog

from pmxcfs.dfsm.application import Comparison, Delivery
from pmxcfs.dfsm.effects import Effect, Send
from pmxcfs.errors import ProtocolError, StorageError
from pmxcfs.identity import Member, NodeId
from pmxcfs.memdb.absences import Absences
from pmxcfs.memdb.entry import Change, Entry
from pmxcfs.memdb.index import Index, index_of, tree_checksum
from pmxcfs.memdb.limits import Gauge
from pmxcfs.memdb.losses import lost_paths
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.messages import (
    decode_operation,
    encode_operation,
    encode_update,
)
from pmxcfs.memdb.operations import Create, Operation, Rename, Write
from pmxcfs.memdb.sharing import Sharing
from pmxcfs.memdb.sync import Updates, catch_up, choose_leader, differing_inodes
from pmxcfs.memdb.tree import Tree
from pmxcfs.values import value

log = structlog.get_logger("dcdb")

PROTOCOL_VERSION = 1
COROSYNC_CONF = b"corosync.conf"

LOST_PATHS_LOGGED_MAX = 20


@value(frozen=True, slots=True)
class Commit(Effect):
    """Write these changes to the database; nobody may hear of them before that is done.

    ``is_copy`` tells a synchronisation from an operation.
    """

    changes: tuple[Change, ...]
    is_copy: bool = False


@value(frozen=True, slots=True)
class Forget(Effect):
    """Tell the kernel that what it cached of these entries is old; ``is_own``: we asked for it."""

    changes: tuple[Change, ...]
    is_own: bool = False


@value(frozen=True, slots=True)
class ForgetAll(Effect):
    """Tell the kernel that everything it cached may be old."""


@value(frozen=True, slots=True)
class PublishCorosyncConf(Effect):
    """Bring the host's corosync.conf up to this text; with ``notify`` corosync reloads it."""

    text: bytes
    notify: bool


@value(frozen=True, slots=True)
class KeepLosingTree(Effect):
    """Before anything is committed, keep these entries: a synchronisation is about to drop them."""

    entries: tuple[Entry, ...]
    now_s: int


@value(frozen=True, slots=True)
class MarkUnshared(Effect):
    """Before anything is committed, remember since which version no other node may have ours."""

    version: int


@value(frozen=True, slots=True)
class TreeShared(Effect):
    """All was committed, and a majority of the cluster has the same tree: forget the mark."""


class DiskState(Enum):
    """What this node's database does with changes."""

    WRITABLE = auto()
    REFUSING = auto()
    """It was locked or full for too long; a test transaction will tell when it is no longer."""
    FAILED = auto()
    """It will take nothing until a restart."""


class TreeApplication:
    """Applies what the group delivers to the tree, and exchanges whole states when members join.

    Attributes:
        works_alone: whether this is a node of a cluster that was told to work without it.
        cluster_size: how many nodes the cluster's configuration names; 0 while unknown.
        applied: how many operations were applied, by anybody.
        applied_bytes: what those among them that write had to write.
    """

    is_idempotent = False

    def __init__(self, memdb: Memdb, unshared_since: int | None = None) -> None:
        self.memdb = memdb
        self.sharing = Sharing(unshared_since)
        self.absences = Absences()
        self.works_alone = False
        self.cluster_size = 0
        self.applied = 0
        self.applied_bytes = 0
        self.is_quorate = False
        self.disk = DiskState.WRITABLE
        self.me: Member | None = None
        self.leader: Member | None = None
        self._members: frozenset[Member] = frozenset()
        self._node_count = 0
        self._leader_index: Index | None = None
        self._updates = Updates()
        self._gauge = Gauge()
        self._warn_of_limits()

    def deliver(
        self, sender: Member, subtype: int, payload: bytes, time_s: int, now_s: int
    ) -> Delivery:
        """Apply one operation as ``sender`` and at the sender's ``time_s``.

        Raises:
            ProtocolError: the message is malformed, or this node is not quorate.
        """
        operation = decode_operation(subtype, payload)
        if not self.is_quorate:
            raise ProtocolError(f"{type(operation).__name__} delivered while not quorate")
        if self.disk is not DiskState.WRITABLE:
            return Delivery(-EIO)
        outcome = self.memdb.apply(operation, sender.node_id, time_s, now_s)
        effects: list[Effect] = []
        if outcome.changes:
            self.applied += 1
            self.applied_bytes += len(operation.data) if isinstance(operation, Write) else 0
            effects += self._note_applied(sender, now_s)
            is_own = sender == self.me
            effects += [Commit(outcome.changes), Forget(outcome.changes, is_own)]
            self._warn_of_limits()
        if outcome.expired is not None and self._is_lowest():
            effects.append(Send(*encode_operation(outcome.expired)))
        if outcome.result >= 0 and _touches_corosync_conf(operation):
            effects += self.publication(notify=sender == self.me)
        return Delivery(outcome.result, tuple(effects))

    def state(self) -> bytes:
        """Return the index of the tree as it is now."""
        return index_of(self.memdb.tree).encode()

    def compare_states(self, states: Mapping[Member, bytes]) -> Comparison:
        """Choose the leader; as leader, say what the others lack.

        Raises:
            ProtocolError: a member sent something that is not an index.
        """
        index_by_member = {member: Index.decode(blob) for member, blob in states.items()}
        leader = choose_leader(index_by_member)
        index = index_by_member[leader]
        self.leader, self._leader_index = leader, index
        synced = frozenset(member for member, blob in states.items() if blob == states[leader])
        log.info(
            "states compared",
            leader=leader.node_id,
            version=index.version,
            behind=sorted(member.node_id for member in states.keys() - synced),
        )
        if leader != self.me:
            return Comparison(synced=synced, leader=leader, updates=None)
        others = [index_by_member[member] for member in states if member not in synced]
        wanted = [self.memdb.tree.get(inode) for inode in differing_inodes(index, others)]
        updates = (encode_update(entry) for entry in wanted if entry is not None)
        return Comparison(synced=synced, leader=leader, updates=updates)

    def collect_update(self, payload: bytes) -> None:
        """Keep one entry of the leader's until the commit.

        Raises:
            ProtocolError: the payload is malformed, or there are more than a tree can have.
        """
        self._updates.collect(payload)

    def commit(self, now_s: int) -> Sequence[Effect]:
        """Replace our tree by the leader's.

        A tree in which a VM id has two configurations is not taken over, since no node could
        start with it; the reference takes it over and then refuses all changes. Either way
        this node is out of the cluster until somebody mends the leader's tree.

        Raises:
            ProtocolError: what was received does not give the leader's tree.
            StorageError: it is a tree that our next start would refuse; nothing has changed.
        """
        if self._leader_index is None:
            raise ProtocolError("an update was completed that nobody began")
        tree, changes = catch_up(self.memdb.tree, self._leader_index, self._updates.entries)
        losing = self._losing(tree, now_s)
        log.info("copied the leader's tree", changed=len(changes), version=tree.root.version)
        try:
            self.memdb.replace(tree, now_s)
        except StorageError as error:
            log.critical(
                "the leader's tree is unsound and not taken over; ours stays as it is. "
                "Remove what is wrong on a node that is in the cluster, then restart this one",
                leader=self.leader.node_id if self.leader is not None else None,
                error=str(error),
            )
            raise
        self._warn_of_limits()
        return [
            *losing,
            Commit(changes, is_copy=True),
            ForgetAll(),
            *self.publication(notify=False),
        ]

    def drop_sync(self) -> None:
        """Forget the states and updates of a sync that ended or was interrupted."""
        self._leader_index = None
        self._updates = Updates()

    def checksum(self) -> bytes:
        """Return the checksum of the whole tree (32 bytes)."""
        return tree_checksum(self.memdb.tree)

    def on_members(self, members: frozenset[Member], now_s: int) -> Sequence[Effect]:
        """Note who is there; a member alone has nobody to copy from."""
        has_parted = not self._members <= members
        self._members = members
        self._node_count = len(_nodes_of(members))
        if len(members) == 1:
            self.leader = next(iter(members))
        self.absences.note_members(
            _nodes_of(members),
            self.memdb.tree.root.version,
            is_half=self._are_half,
        )
        return self._on_parting(now_s) if has_parted else ()

    def on_group_lost(self, now_s: int) -> Sequence[Effect]:
        """Note that the group is gone, for us."""
        self.absences.forget()
        return self._on_parting(now_s)

    def _on_parting(self, now_s: int) -> Sequence[Effect]:
        """Note that other members, or the group itself, are gone: did they get our last changes?"""
        before = self.sharing.unshared_since
        self.sharing.note_parting(self.memdb.locks.steady_s(now_s))
        return self._marking(before)

    def note_agreement(self, now_s: int) -> None:
        """Note that all that was agreed upon is on our disk."""
        self.sharing.note_agreement(self.memdb.locks.steady_s(now_s))

    def on_agreed(self, now_s: int) -> Sequence[Effect]:
        """What we have, the others have too; nobody needs to remember that it was only here."""
        if not self._are_majority:
            return ()
        self.absences.note_agreement(_nodes_of(self._members), self.memdb.tree.root.version)
        return (TreeShared(),)

    def on_synced(self, now_s: int) -> Sequence[Effect]:
        """Nothing is sent when the tree is in sync."""
        return ()

    def publication(self, *, notify: bool) -> list[Effect]:
        """Return the effect that brings the tree's corosync.conf to the host, if there is one."""
        entry = self.memdb.tree.find(COROSYNC_CONF)
        if entry is None or entry.is_directory or not entry.data:
            return []
        return [PublishCorosyncConf(entry.data, notify)]

    def _note_applied(self, sender: Member, now_s: int) -> list[Effect]:
        before = self.sharing.unshared_since
        self.sharing.note_applied(
            self.memdb.tree.root.version,
            self.memdb.locks.steady_s(now_s),
            is_own=sender == self.me,
            is_shared=not self.works_alone and self._are_majority,
        )
        return self._marking(before)

    def _marking(self, before: int | None) -> list[Effect]:
        since = self.sharing.unshared_since
        return [MarkUnshared(since)] if since is not None and since != before else []

    @property
    def _are_majority(self) -> bool:
        """Whether members make up more than half of the cluster, or at least two if unknown."""
        count = self._node_count
        return 2 * count > self.cluster_size if self.cluster_size else count > 1

    @property
    def _are_half(self) -> bool:
        """Whether no others can be a majority of the cluster."""
        return 2 * self._node_count >= self.cluster_size > 0 or self._are_majority

    def _losing(self, tree: Tree, now_s: int) -> list[Effect]:
        """Return what saves our tree, if it has something that the leader's tree replaces it by."""
        unseen = self.absences.unseen_since(self.leader.node_id) if self.leader else None
        since = [known for known in (self.sharing.unshared_since, unseen) if known is not None]
        paths = lost_paths(self.memdb.tree, tree, min(since, default=None))
        if not paths:
            return []
        log.warning(
            "the leader's tree drops content of ours that no other node may have",
            leader=self.leader.node_id if self.leader is not None else None,
            our_version=self.memdb.tree.root.version,
            version=tree.root.version,
            entries=len(paths),
            paths=[path.decode(errors="replace") for path in paths[:LOST_PATHS_LOGGED_MAX]],
        )
        return [KeepLosingTree(tuple(self.memdb.tree.entries()), now_s)]

    def _warn_of_limits(self) -> None:
        for level in self._gauge.read(self.memdb.tree):
            log.warning(
                "the tree comes near a limit, at which this node refuses to let it grow",
                of=level.of,
                percent=level.percent,
                used=level.used,
                limit=level.limit,
            )

    def _is_lowest(self) -> bool:
        return self.me is not None and self.me.node_id == min(self._members).node_id


def _nodes_of(members: Iterable[Member]) -> frozenset[NodeId]:
    return frozenset(member.node_id for member in members)


def _touches_corosync_conf(operation: Operation) -> bool:
    match operation:
        case Create(path) | Write(path):
            return path == COROSYNC_CONF
        case Rename(_, target):
            return target == COROSYNC_CONF
        case _:
            return False

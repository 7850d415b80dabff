"""Everything that is told of this daemon, family by family.

Source: docs/OPERATIONS.md, "Monitoring".
"""

import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from pmxcfs import __version__
from pmxcfs.dfsm.modes import Mode
from pmxcfs.durable.promise import Promise
from pmxcfs.memdb.limits import CONTENT_BYTES_MAX, ENTRIES_MAX
from pmxcfs.metrics.families import (
    counter,
    counters,
    gauge,
    gauges,
    histogram,
    request_durations,
    request_errors,
)
from pmxcfs.metrics.parts import Parts
from pmxcfs.tallies import Durations

IO_COUNTS = Path("/proc/self/io")

Families = Iterator[Metric]


class NodeCollector(Collector):
    """Reads the parts of one daemon; to be asked on its event loop only."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Families:
        """Yield all families."""
        yield from self._node()
        yield from self._tree()
        yield from self._requests()
        yield from self._database()
        yield from self._fsync()
        yield from self._groups()
        yield from self._queues()
        yield from self._rrd()
        yield from _disk()

    def _node(self) -> Families:
        replica, status = self._parts.driver.replica, self._parts.status.node
        about = {"version": __version__, "nodename": replica.node_name}
        yield InfoMetricFamily("pmxcfs", "The daemon and its node.", value=about)
        yield gauge(
            "pmxcfs_standalone", "Whether it works without a cluster.", replica.is_standalone
        )
        yield gauge("pmxcfs_quorate", "Whether changes are allowed.", replica.is_quorate)
        synced = {"tree": replica.mode is Mode.SYNCED}
        if not replica.is_standalone:
            synced["status"] = status.mode is Mode.SYNCED
        yield gauges(
            "pmxcfs_synced", "Whether it is in sync with all members of a group.", "group", synced
        )
        yield gauge("pmxcfs_members", "Members of the tree's group.", len(replica.members))
        membership = status.status.membership
        nodes = membership.info.nodes if membership.info is not None else ()
        online = sum(membership.is_online(node.node_id) for node in nodes)
        yield gauges(
            "pmxcfs_nodes",
            "Nodes that the cluster's configuration names.",
            "state",
            {"online": online, "offline": len(nodes) - online},
        )

    def _tree(self) -> Families:
        replica = self._parts.driver.replica
        tree = replica.memdb.tree
        yield gauge("pmxcfs_tree_version", "Version of the tree.", tree.root.version)
        yield gauge("pmxcfs_tree_entries", "Files and directories, with the root.", len(tree))
        yield gauge("pmxcfs_tree_entries_limit", "How many there may be.", ENTRIES_MAX)
        yield gauge("pmxcfs_tree_content_bytes", "Content of all files.", tree.content_size_bytes)
        yield gauge("pmxcfs_tree_content_limit_bytes", "How much there may be.", CONTENT_BYTES_MAX)
        yield gauge("pmxcfs_locks", "Directories below priv/lock.", len(replica.memdb.locks))
        ages_s = [age_s for _, age_s in replica.memdb.locks.ages(int(time.time()))]
        yield gauge(
            "pmxcfs_oldest_lock_age_seconds",
            "For how long the oldest lock has not been renewed.",
            max(ages_s, default=0),
        )
        yield gauge("pmxcfs_guests", "Guest configurations.", len(list(replica.memdb.guests)))
        yield counter(
            "pmxcfs_applied_operations",
            "Changes applied to the tree, of all nodes.",
            replica.applied,
        )
        yield counter(
            "pmxcfs_applied_bytes",
            "What callers on all nodes have written into files: the logical bytes.",
            replica.applied_bytes,
        )

    def _requests(self) -> Families:
        fuse, ipc = self._parts.operations.requests, self._parts.ipc
        yield request_durations(
            "pmxcfs_fuse_request_duration_seconds",
            "How long the kernel waited for answers, by request.",
            fuse,
        )
        yield request_errors(
            "pmxcfs_fuse_request_errors", "Requests of the kernel that failed.", fuse
        )
        yield counters(
            "pmxcfs_kernel_invalidations",
            "How often the kernel was told to forget something.",
            "what",
            self._parts.operations.cache.told,
        )
        yield request_durations(
            "pmxcfs_ipc_request_duration_seconds",
            "How long requests of management tools took, by request.",
            ipc,
        )
        yield counters(
            "pmxcfs_ipc_remembered_answers",
            "Requests of management tools that cost the daemon nothing: nothing had changed.",
            "request",
            self._parts.ipc_remembered(),
        )
        yield request_errors(
            "pmxcfs_ipc_request_errors", "Requests of management tools that failed.", ipc
        )

    def _database(self) -> Families:
        driver, upkeep = self._parts.driver, self._parts.upkeep
        yield gauge(
            "pmxcfs_database_writable",
            "Whether the database takes changes.",
            not driver.replica.has_failed and driver.waiting is None,
        )
        yield histogram(
            "pmxcfs_database_commit_duration_seconds",
            "How long transactions took; each has all changes that had come.",
            driver.commits,
        )
        yield histogram(
            "pmxcfs_database_sync_duration_seconds",
            "How long the disk took to sync the write-ahead log.",
            upkeep.syncs.durations,
        )
        yield histogram(
            "pmxcfs_database_checkpoint_duration_seconds",
            "How long it took to bring the write-ahead log into the file.",
            upkeep.checkpoints.durations,
        )
        yield counter(
            "pmxcfs_database_log_written_bytes",
            "What was written to the write-ahead log.",
            upkeep.checkpoints.written_bytes,
        )
        yield gauge(
            "pmxcfs_database_log_bytes",
            "What is in the write-ahead log.",
            upkeep.checkpoints.size_bytes,
        )

    def _fsync(self) -> Families:
        durable = self._parts.durable
        promise = Promise.THIS_NODE if durable is None else durable.promise
        yield gauges(
            "pmxcfs_fsync_promise",
            "Whose disks a successful fsync stands for at the moment.",
            "disks",
            {each.name.lower(): each is promise for each in Promise},
        )
        yield histogram(
            "pmxcfs_fsync_wait_duration_seconds",
            "How long callers of fsync waited for our disk and for a majority.",
            Durations() if durable is None else durable.waits,
        )
        yield counters(
            "pmxcfs_fsync_waits",
            "Callers of fsync who waited for a majority, by what they got.",
            "result",
            {} if durable is None else durable.results,
        )
        yield gauge(
            "pmxcfs_silent_members",
            "Members that run this program and did not answer when they were asked the last time.",
            0 if durable is None else durable.count_silent(),
        )

    def _groups(self) -> Families:
        traffic = self._parts.traffic()
        texts = {
            "sent": ("pmxcfs_group_messages_sent", "Messages that corosync took."),
            "sent_bytes": ("pmxcfs_group_sent_bytes", "Size of the messages that corosync took."),
            "delivered": ("pmxcfs_group_messages_delivered", "Messages that came, ours too."),
            "retries": ("pmxcfs_group_send_retries", "How often corosync said: try again."),
            "given_back": ("pmxcfs_group_messages_given_back", "Messages that were not sent."),
        }
        for field, (name, text) in texts.items():
            values = {group: getattr(counts, field) for group, counts in traffic.items()}
            yield counters(name, text, "group", values)

    def _queues(self) -> Families:
        driver, parts = self._parts.driver, self._parts
        lengths = {
            "callers": driver.caller_count,
            "database": driver.queued,
            "held": driver.replica.held,
            "invalidations": parts.operations.cache.waiting,
            "rrd": len(parts.rrd),
        }
        if parts.durable is not None:
            lengths["fsync"] = parts.durable.callers
        for group, counts in parts.traffic().items():
            lengths[f"outbox_{group}"] = counts.waiting
            lengths[f"under_way_{group}"] = counts.under_way
        yield gauges("pmxcfs_queue_length", "What waits, by where it waits.", "queue", lengths)

    def _rrd(self) -> Families:
        rrd = self._parts.rrd
        counts = {name: getattr(rrd, name) for name in ("written", "refused", "dropped")}
        yield counters(
            "pmxcfs_rrd_updates", "Metrics for RRD files, by what became of them.", "result", counts
        )


def _disk() -> Families:
    """Tell what the kernel has written to disks for this process; nothing if it does not say."""
    try:
        lines = IO_COUNTS.read_text().splitlines()
    except OSError:
        return
    counts = dict(line.split(": ") for line in lines)
    yield counter(
        "pmxcfs_storage_written_bytes",
        "What this process has caused to be written to disks, as the kernel counts it.",
        int(counts["write_bytes"]),
    )

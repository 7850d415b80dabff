"""A process that watches quorum and the configuration map, for tests: one JSON object a report."""

import json
import sys

import structlog
import trio

from pmxcfs.corosync.cmap import ClusterMapWatch
from pmxcfs.corosync.quorum import QuorumWatch
from pmxcfs.corosync.restarts import Timing
from pmxcfs.identity import NodeId
from pmxcfs.status.members import ClusterInfo

TIMING = Timing(tick_s=0.1, gap_s=0.2, close_s_max=1.0)


def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    trio.run(_watch)


async def _watch() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(QuorumWatch(_say_quorate, TIMING, on_ring=_say_ring).run)
        nursery.start_soon(ClusterMapWatch(_say_cluster, TIMING).run)
        async for _ in trio.lowlevel.FdStream(sys.stdin.fileno()):
            pass  # the end of the input is the only order
        nursery.cancel_scope.cancel()


def _say_quorate(is_quorate: bool) -> None:
    _say(quorate=is_quorate)


def _say_ring(ring: frozenset[NodeId]) -> None:
    _say(ring=sorted(ring))


def _say_cluster(info: ClusterInfo) -> None:
    nodes = [[node.node_id, node.name] for node in info.nodes]
    _say(cluster={"name": info.name, "version": info.config_version, "nodes": nodes})


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()

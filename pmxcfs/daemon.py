"""The daemon: builds the parts, joins them, starts them in order and stops them in reverse."""

import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
import trio

from pmxcfs import compiled, instance, views
from pmxcfs.address import own_address
from pmxcfs.chronicle.recorder import HistoryRecorder, history_recorded
from pmxcfs.clockwork import count_repetitions, tell_time, verify_now_and_then
from pmxcfs.control import SOCKET_NAME, StatusSocket
from pmxcfs.database import Database, write_database
from pmxcfs.dcdb import PublishCorosyncConf
from pmxcfs.dfsm.events import GroupEvent
from pmxcfs.driver import Driver
from pmxcfs.durability import durability_of, durable_group, fsync_wait_of, promise_of, roll_of
from pmxcfs.durable_driver import DurableDriver
from pmxcfs.ending import Ending
from pmxcfs.errors import DamagedDatabaseError, StorageError
from pmxcfs.exits import ExitStatus
from pmxcfs.fuse import session
from pmxcfs.fuse.gathering_operations import GatheringOperations
from pmxcfs.fuse.mountpoint import MountError
from pmxcfs.fuse.operations import PmxcfsOperations
from pmxcfs.fuse.status_files import status_files
from pmxcfs.identity import LOCAL_NODE_ID, Member, NodeId, Pid
from pmxcfs.inquiries import Inquiries, Troubles
from pmxcfs.instance import StartError
from pmxcfs.ipc.handlers import Handlers, by_name, lasts
from pmxcfs.ipc.service import IpcService
from pmxcfs.loading import has_corosync_conf, load
from pmxcfs.logs import DebugSwitch, tell_repetitions
from pmxcfs.loopback import LoopbackGroup
from pmxcfs.lost_trees import LostTrees
from pmxcfs.metrics.exposition import Exposition
from pmxcfs.metrics.listener import MetricsListener
from pmxcfs.metrics.parts import Parts
from pmxcfs.options import Options
from pmxcfs.recording import recording
from pmxcfs.replica import QuorumChanged, Replica
from pmxcfs.rrd.writer import RrdWriter
from pmxcfs.status.members import ClusterInfo
from pmxcfs.status.state import ClusterStatus
from pmxcfs.status_driver import StatusDriver
from pmxcfs.status_node import StatusNode
from pmxcfs.supervision import Supervisor
from pmxcfs.upkeep import Upkeep, looked_after
from pmxcfs.waits.vigil import NodesNamed, RingSeen

if TYPE_CHECKING:
    from pmxcfs.corosync.publisher import Publisher

log = structlog.get_logger("main")


def run(
    options: Options, switch: DebugSwitch, supervisor: Supervisor, ready: Callable[[], None]
) -> ExitStatus:
    """Run until told to stop; return how all went, having logged what did not go well.

    Args:
        options: from the command line.
        switch: of the debug lines, for ``.debug``.
        supervisor: is told how we are.
        ready: called once the mount answers.
    """
    failures: list[BaseException] = []
    ending = Ending()
    try:
        gid = instance.group_id()
        os.umask(0o027)
        instance.prepare_directories(options, gid)
        with instance.only_one(options.lock_file):
            trio.run(_run_with_database, options, switch, gid, supervisor, ready, ending)
    except* (StartError, StorageError, MountError) as group:
        failures += _leaves(group)
        for failure in failures:
            log.critical(str(failure))
    except* Exception as group:
        failures += _leaves(group)
        log.critical("stopped by an error that should not happen", exc_info=group)
    finally:
        ending.over()
    if not failures:
        log.info("ended cleanly")
    tell_repetitions(is_end=True)
    return _status_after(failures)


def _status_after(failures: Sequence[BaseException]) -> ExitStatus:
    if any(isinstance(failure, DamagedDatabaseError) for failure in failures):
        return ExitStatus.DAMAGED_DATABASE
    return ExitStatus.FAILURE if failures else ExitStatus.CLEAN


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """Return the single exceptions of a group of groups."""
    leaves: list[BaseException] = []
    for part in group.exceptions:
        leaves += _leaves(part) if isinstance(part, BaseExceptionGroup) else [part]
    return leaves


async def _run_with_database(
    options: Options,
    switch: DebugSwitch,
    gid: int,
    supervisor: Supervisor,
    ready: Callable[[], None],
    ending: Ending,
) -> None:
    database = Database.open(options.database, now_s=int(time.time()))
    try:
        memdb = load(database, options)
        is_standalone = options.is_local or not has_corosync_conf(memdb)
        if options.is_local and has_corosync_conf(memdb):
            log.warning("forced local mode: the cluster's other nodes will not see changes")
        lost_trees = LostTrees(options.database, write_database)
        replica = Replica(
            memdb,
            node_name=options.node_name,
            standalone=is_standalone,
            unshared_since=lost_trees.unshared_since(),
        )
        driver = Driver(replica, database, clock=_now_s, steady_clock=_steady_s)
        driver.attach_keeper(lost_trees)
        status = await _status(options, is_standalone=is_standalone)
        async with looked_after(database, driver, options.database) as upkeep:
            with (
                recording(status, options) as rrd,
                history_recorded(options.history, options.history_mib * 2**20) as history,
            ):
                parts = (driver, status, lost_trees, upkeep, rrd, history, supervisor)
                await _serve(options, switch, gid, *parts, ready, ending)
    finally:
        ending.wait_for("the database to close")
        database.close()


async def _status(options: Options, *, is_standalone: bool) -> StatusDriver:
    """Begin to know the cluster; the log begins with the news that we start."""
    ip = None if is_standalone else await own_address(options)
    # Counted in microseconds of the second: no number comes twice in one, whoever restarts us.
    first_uid = time.time_ns() // 1000 % 1_000_000 + 1
    node = StatusNode(ClusterStatus(options.node_name, ip=ip, first_uid=first_uid))
    node.start_log(Pid(os.getpid()), _now_s())
    return StatusDriver(node, clock=_now_s)


def _now_s() -> int:
    return int(time.time())


def _steady_s() -> int:
    """Count on while the machine sleeps, as all others do."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))


async def _serve(
    options: Options,
    switch: DebugSwitch,
    gid: int,
    driver: Driver,
    status: StatusDriver,
    lost_trees: LostTrees,
    upkeep: Upkeep,
    rrd: RrdWriter,
    history: HistoryRecorder | None,
    supervisor: Supervisor,
    ready: Callable[[], None],
    ending: Ending,
) -> None:
    """Start what the mount depends on, serve the mount, and stop in the reverse order."""
    replica = driver.replica
    durable = durability_of(driver, options)
    process = views.Process(Pid(os.getpid()), instance.start_time(options.lock_file, _now_s()))
    virtual = status_files(replica, status.node.status, process, switch, _now_s)
    kind = GatheringOperations if options.gathers_writes else PmxcfsOperations
    operations = kind(driver, virtual, gid=gid)
    status_socket = StatusSocket(
        options.run_dir / SOCKET_NAME,
        gid,
        lambda: views.status_line(replica, status.node.status, process, promise_of(durable)),
    )
    handlers = Handlers(replica, status, process, gid, _now_s, operations.content)
    ipc = IpcService(options.ipc_name, gid, handlers.answer, lasts)
    parts = Parts(
        *(driver, status, durable, operations, upkeep, rrd, handlers.requests),
        ipc_remembered=lambda: by_name(ipc.page.counts()),
    )
    exposition = Exposition(parts)
    group = _standalone_group if replica.is_standalone else _cluster_group
    async with (
        session.mounted(operations, options.mountpoint, options.fuse_binding) as mount,
        ending.then_for("the kernel to unmount"),
        group(driver, status, durable, options, mount) as troubles,
        trio.open_nursery() as services,
    ):
        services.start_soon(count_repetitions)
        services.start_soon(supervisor.tell_progress)
        await services.start(status_socket.run)
        inquiries = Inquiries(
            *(driver, status, process, options, lost_trees, troubles, switch),
            exposition=exposition.text,
            promise=lambda: promise_of(durable),
            fsync_wait=lambda: fsync_wait_of(durable, upkeep.syncs),
            roll=lambda: roll_of(durable),
        )
        if history is not None:
            inquiries.tap.attach(history.put)
        await services.start(inquiries.socket(gid).run)
        await services.start(ipc.run)
        if options.metrics_listen is not None:
            await services.start(MetricsListener(options.metrics_listen, exposition.encoded).run)
        await services.start(_stop_on_signal, mount, ending)
        with (
            instance.restart_flag(options.restart_flag, gid),
            instance.pid_file(options.pid_file),
        ):
            mode = "standalone" if replica.is_standalone else "cluster"
            log.info("ready", mode=mode, mountpoint=options.mountpoint, code=compiled.kind())
            ready()
            supervisor.tell_ready(f"{mode}, mounted on {options.mountpoint}")
            await mount.serve()
        supervisor.tell_ending()
        ending.begin()
        ending.wait_for("corosync to let us leave")
        log.info("stopping")
        services.cancel_scope.cancel()


@asynccontextmanager
async def _standalone_group(
    driver: Driver,
    status: StatusDriver,
    durable: DurableDriver | None,
    options: Options,
    mount: session.Mount,
) -> AsyncIterator[Troubles]:
    """Be the tree's group alone; the status needs none."""
    group = LoopbackGroup(Member(LOCAL_NODE_ID, Pid(os.getpid())), driver.feed)
    driver.attach(group)
    group.start()
    yield dict


@asynccontextmanager
async def _cluster_group(
    driver: Driver,
    status: StatusDriver,
    durable: DurableDriver | None,
    options: Options,
    mount: session.Mount,
) -> AsyncIterator[Troubles]:
    """Take part in the cluster: the groups, the quorum and the list of nodes, each on its own."""
    # Only a cluster needs corosync's libraries.
    from pmxcfs.corosync.cmap import ClusterMapWatch
    from pmxcfs.corosync.group import DCDB_GROUP, KVSTORE_GROUP, CpgGroup
    from pmxcfs.corosync.quorum import QuorumWatch

    def on_group(events: Sequence[GroupEvent]) -> None:
        driver.feed(events)

    def on_quorum(is_quorate: bool) -> None:
        driver.feed([QuorumChanged(is_quorate)])
        if durable is not None:
            durable.learn_quorum(is_quorate)

    def on_ring(node_ids: frozenset[NodeId]) -> None:
        driver.feed([RingSeen(node_ids)])
        status.feed([RingSeen(node_ids)])

    def on_nodes(info: ClusterInfo) -> None:
        names = NodesNamed({node.node_id: node.name for node in info.nodes})
        driver.feed([names])
        status.feed([names])
        status.learn_nodes(info)
        if durable is not None:
            durable.learn_nodes(info)

    group = CpgGroup(DCDB_GROUP, on_group, admission=driver.wait_until_writable)
    driver.attach(group)
    mount.hear_too(group)
    status_group = CpgGroup(KVSTORE_GROUP, status.feed, log_domain="status")
    status.attach(status_group)
    nodes = ClusterMapWatch(on_nodes)
    async with durable_group(durable), trio.open_nursery() as nursery:
        nursery.start_soon(_publisher(driver, options).run)
        quorum = QuorumWatch(on_quorum, on_ring=on_ring)
        for task in (quorum.run, nodes.run, group.run, status_group.run):
            nursery.start_soon(task)
        nursery.start_soon(verify_now_and_then, driver.feed)
        nursery.start_soon(tell_time, driver.feed, status.feed)
        yield lambda: {
            "quorum": quorum.trouble,
            "cmap": nodes.trouble,
            "tree": group.trouble,
            "status": status_group.trouble,
        }
        nursery.cancel_scope.cancel()


def _publisher(driver: Driver, options: Options) -> "Publisher":
    """Return what brings the tree's corosync.conf to the host: once now, then on every change."""
    from pmxcfs.corosync import host_config
    from pmxcfs.corosync.publisher import Publisher

    async def publish(text: bytes, notify: bool) -> None:
        await host_config.publish(text, options.corosync_conf, notify=notify)

    def put(effect: PublishCorosyncConf) -> None:
        publisher.put(effect.text, notify=effect.notify)

    publisher = Publisher(publish)
    driver.attach_publisher(put)
    driver.publish_corosync_conf()
    return publisher


async def _stop_on_signal(
    mount: session.Mount,
    ending: Ending,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    with trio.open_signal_receiver(signal.SIGHUP, signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            log.info("told to stop", signal=signal.Signals(number).name)
            ending.begin()
            mount.stop()

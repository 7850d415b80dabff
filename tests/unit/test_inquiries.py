"""What the daemon answers people's tools: from memory, whatever the disk does, nothing private."""

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import trio

from pmxcfs import inquiries as inquiries_module
from pmxcfs import views
from pmxcfs.control import RefusedError, Request
from pmxcfs.driver import Driver
from pmxcfs.durable.promise import Promise
from pmxcfs.durable_driver import FsyncWait
from pmxcfs.errors import StorageError, TemporaryStorageError
from pmxcfs.identity import LOCAL_NODE_ID, Member, NodeId, Pid
from pmxcfs.inquiries import Inquiries
from pmxcfs.logs import DebugSwitch
from pmxcfs.loopback import LoopbackGroup
from pmxcfs.lost_trees import LostTrees
from pmxcfs.memdb.entry import Change
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Mkdir
from pmxcfs.memdb.tree import Tree
from pmxcfs.options import Options
from pmxcfs.replica import Replica
from pmxcfs.status.members import ClusterInfo, ClusterNode
from pmxcfs.status.messages import Update
from pmxcfs.status.state import ClusterStatus
from pmxcfs.status_driver import StatusDriver
from pmxcfs.status_node import StatusNode

NOW_S = 1_700_000_000


class Disk:
    """Takes every change, until it is given a reason not to."""

    refusal: StorageError | None = None

    def commit(self, changes: Sequence[Change]) -> None:
        if self.refusal is not None:
            raise self.refusal

    def probe(self) -> None:
        self.commit(())


class Node:
    """One node alone, with its answers."""

    def __init__(self, directory: Path) -> None:
        self.disk, self.roll_s = Disk(), 0.0
        self.fsync_wait: FsyncWait | None = None
        replica = Replica(Memdb(Tree.new(), NOW_S), node_name="node1", standalone=True)
        self.driver = Driver(replica, self.disk, lambda: NOW_S)
        group = LoopbackGroup(Member(LOCAL_NODE_ID, Pid(42)), self.driver.feed)
        self.driver.attach(group)
        group.start()
        self.status = StatusDriver(StatusNode(ClusterStatus("node1")), lambda: NOW_S)
        options = Options("node1", state_dir=directory, run_dir=directory / "run")
        options.database.write_bytes(b"x" * 4096)
        self.switch = DebugSwitch(is_on=False)
        self.inquiries = Inquiries(
            self.driver,
            self.status,
            views.Process(Pid(42), NOW_S),
            options,
            LostTrees(options.database, lambda *_: None),
            dict,
            self.switch,
            exposition=lambda: "pmxcfs_up 1\n",
            promise=lambda: Promise.THIS_NODE,
            fsync_wait=lambda: self.fsync_wait,
            roll=self._roll,
        )

    async def _roll(self) -> Mapping[NodeId, bool]:
        await trio.sleep(self.roll_s)
        return {NodeId(2): False}

    async def ask(self, word: str, *, is_root: bool = True, **arguments: object) -> dict[str, Any]:
        request = Request(word, is_root, arguments)
        async with aclosing(self.inquiries.answerers()[word].replies(request)) as replies:
            async for reply in replies:
                json.dumps(reply)
                return reply
        raise AssertionError("no answer")

    def log(self, text: bytes) -> None:
        self.status.log(priority=6, ident=b"root", tag=b"test", text=text, pid=7)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_the_state_has_tree_database_and_locks(node: Node) -> None:
    for path in (b"priv", b"priv/lock", b"priv/lock/one"):
        await node.driver.submit(Mkdir(path))
    state = (await node.ask("status"))["status"]
    assert (state["mode"], state["writable"], state["quorum"]["quorate"]) == (
        "standalone",
        True,
        True,
    )
    assert (state["tree"]["version"], state["tree"]["entries"]) == (4, 4)
    assert (state["database"]["state"], state["database"]["size_bytes"]) == ("writable", 4096)
    [lock] = state["locks"]["held"]
    assert (lock["path"], lock["holder"], lock["node_id"]) == ("priv/lock/one", "node1", 0)


async def test_who_is_not_root_learns_of_locks_only_how_many(node: Node) -> None:
    for path in (b"priv", b"priv/lock", b"priv/lock/secret"):
        await node.driver.submit(Mkdir(path))
    reply = await node.ask("status", is_root=False)
    assert reply["status"]["locks"]["count"] == 1
    assert "secret" not in json.dumps(reply)


async def test_a_waiting_a_refusing_and_a_failed_database_give_their_reason(node: Node) -> None:
    node.disk.refusal = TemporaryStorageError("disk is full")
    node.driver.begin(Create(b"late"), lambda result: None)
    state = (await node.ask("status"))["status"]
    assert (state["writable"], state["database"]["state"]) == (False, "waiting")
    assert state["database"]["reason"] == "disk is full"
    assert state["waits"][0]["who"] == "database"
    node.driver.stop_waiting()
    state = (await node.ask("status"))["status"]
    assert (state["database"]["state"], state["database"]["reason"]) == ("refusing", "disk is full")
    node.driver.on_storage_failed(StorageError("I/O error"))
    state = (await node.ask("status"))["status"]
    assert (state["database"]["state"], state["database"]["reason"]) == ("failed", "I/O error")
    assert (state["writable"], state["database"]["is_final"]) == (False, True)


async def test_a_disk_that_does_not_answer_is_not_waited_for(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object, **__: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(inquiries_module, "DISK_WAIT_S_MAX", 0.01)
    monkeypatch.setattr(trio.to_thread, "run_sync", hang)
    with trio.fail_after(5):
        state = (await node.ask("status"))["status"]
    assert (state["database"]["answers"], state["database"]["size_bytes"]) == (False, None)


async def test_kept_trees_and_the_mark_are_told(node: Node, tmp_path: Path) -> None:
    (tmp_path / "config.db.lost-20260101T000000").touch()
    (tmp_path / "config.db.unshared").write_text("7\n")
    state = (await node.ask("status"))["status"]
    assert state["kept_trees"] == (str(tmp_path / "config.db.lost-20260101T000000"),)
    assert state["unshared_since"] == 7


async def test_the_log_is_told_from_the_oldest_and_followed(
    node: Node, autojump_clock: object
) -> None:
    for text in (b"one", b"two", b"three"):
        node.log(text)
    request = Request("log", is_root=False, arguments={"count": 2, "follow": True})
    told: list[str] = []
    async with aclosing(node.inquiries.answerers()["log"].replies(request)) as replies:
        async for reply in replies:
            told.append(reply["entry"]["msg"])
            if len(told) == 2:
                node.log(b'a "quoted" one')
            if len(told) == 3:
                break
    assert told == ["two", "three", 'a "quoted" one']


async def test_values_are_listed_by_node_and_key_without_their_content(node: Node) -> None:
    node.status.publish(b"key", b"secret value")
    reply = await node.ask("values")
    assert reply == {"values": {"node1": {"key": {"version": 0, "size": 12}}}}


async def test_metrics_are_handed_on_as_they_are(node: Node) -> None:
    assert await node.ask("metrics", is_root=False) == {"metrics": "pmxcfs_up 1\n"}


async def test_debug_lines_are_switched_by_root_only(node: Node) -> None:
    assert await node.ask("debug", is_root=False) == {"debug": False}
    assert await node.ask("debug", on=True) == {"debug": True}
    with pytest.raises(RefusedError):
        await node.ask("debug", is_root=False, on=False)
    assert node.switch.is_on


@pytest.mark.parametrize("path", ["priv", "/priv/", "priv/a", "nodes//x/priv", "./priv"])
async def test_private_paths_are_watched_by_root_only(node: Node, path: str) -> None:
    assert await node.ask("watch", path=path) == {"watching": path}
    if path != "./priv":
        with pytest.raises(RefusedError):
            await node.ask("watch", is_root=False, path=path)


async def test_changes_are_told_with_who_made_them(node: Node) -> None:
    request = Request("watch", is_root=False, arguments={"path": ""})
    changes = []
    async with aclosing(node.inquiries.answerers()["watch"].replies(request)) as replies:
        async for reply in replies:
            if "watching" in reply:
                await node.driver.submit(Mkdir(b"priv"))
                await node.driver.submit(Create(b"priv/hidden"))
                await node.driver.submit(Create(b"seen"))
                continue
            changes.append(reply["change"])
            break
    [change] = changes
    assert (change["path"], change["node"], change["tree_version"]) == ("seen", "node1", 4)
    assert len(node.inquiries.tap) == 0


async def test_members_are_shown_with_their_answers_and_the_age_of_their_metrics(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: NOW_S + 50)
    names = {1: "node1", 2: "node2"}
    nodes = tuple(ClusterNode(NodeId(number), name) for number, name in names.items())
    node.status.learn_nodes(ClusterInfo("clu", 1, nodes))
    node.status.node.status.receive(
        NodeId(2), Update(b"rrd/pve2-node/node2", b"1:2\0"), now_s=NOW_S
    )
    state = (await node.ask("status"))["status"]
    seen = [(each["name"], each["answers"], each["metrics_age_s"]) for each in state["members"]]
    assert seen == [("node1", None, None), ("node2", False, 50)]


async def test_callers_of_fsync_are_among_what_waits(node: Node) -> None:
    node.fsync_wait = FsyncWait(3, ("node2 (id 2)",), 4.25)
    [wait] = (await node.ask("status"))["status"]["waits"]
    assert (wait["who"], wait["callers"]) == ("fsync", 3)
    assert (wait["waits_for"], wait["waited_s"]) == (["node2 (id 2)"], 4.2)

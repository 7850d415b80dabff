"""What a node answers to its own callers, and brings to its host."""

from errno import ENOENT

import pytest

from pmxcfs.dcdb import PublishCorosyncConf
from pmxcfs.dfsm.events import ConfigurationChange
from pmxcfs.errors import OperationError
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, SetMtime, Write
from pmxcfs.memdb.tree import Tree
from pmxcfs.replica import Replica
from tests.unit.test_driver import Disk, Outbox, clustered, standalone


async def test_at_the_start_corosync_conf_is_brought_to_the_host_and_corosync_is_told() -> None:
    memdb = Memdb(Tree.new(), 0)
    for operation in (Create(b"corosync.conf"), Write(b"corosync.conf", 0, b"text")):
        memdb.apply(operation, 0, 1, 1)
    replica = Replica(memdb, node_name="n", standalone=False)
    assert replica.publication() == [PublishCorosyncConf(b"text", notify=True)]


@pytest.mark.parametrize(
    ("path", "errno"),
    [(b"priv/lock/missing", ENOENT), (b"missing", ENOENT), (b"f", None)],
)
async def test_a_time_of_zero_where_there_is_no_lock_is_a_time_like_others(
    path: bytes, errno: int | None
) -> None:
    driver = standalone(Disk())
    await driver.submit(Create(b"f"))
    if errno is None:
        assert await driver.submit(SetMtime(path, 0)) == 0
        return
    with pytest.raises(OperationError) as refusal:
        await driver.submit(SetMtime(path, 0))
    assert refusal.value.errno == errno


def test_members_are_in_order() -> None:
    driver = clustered(Disk(), Outbox())
    members = tuple(Member(NodeId(number), Pid(101)) for number in range(1, 9))
    driver.feed([ConfigurationChange(members[::-1], joined=members[1:])])
    assert driver.replica.members == members

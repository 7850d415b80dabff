"""The configuration map's keys become the cluster's description."""

from pmxcfs.corosync.cmap import Value, cluster_info
from pmxcfs.identity import NodeId
from pmxcfs.status.members import ClusterInfo, ClusterNode

NAMED: dict[str, Value] = {"totem.cluster_name": "testing", "totem.config_version": 3}


def nodes(keys: dict[str, Value]) -> list[tuple[int, str]]:
    prefixed = {f"nodelist.node.{key.replace('_', '.', 1)}": value for key, value in keys.items()}
    info = cluster_info({**NAMED, **prefixed})
    assert info is not None
    return [(node.node_id, node.name) for node in info.nodes]


def test_the_whole_description() -> None:
    info = cluster_info(
        {
            **NAMED,
            "nodelist.node.0.nodeid": 1,
            "nodelist.node.0.name": "one",
            "nodelist.node.0.quorum_votes": 1,
        }
    )
    assert info == ClusterInfo("testing", 3, (ClusterNode(NodeId(1), "one"),))


def test_a_node_without_a_name_is_called_by_its_address() -> None:
    assert nodes({"0_nodeid": 1, "0_ring0_addr": "10.0.0.1"}) == [(1, "10.0.0.1")]
    assert nodes({"0_nodeid": 1, "0_ring0_addr": "10.0.0.1", "0_name": "one"}) == [(1, "one")]


def test_a_node_without_id_or_name_does_not_count() -> None:
    assert nodes({"0_nodeid": 0, "0_name": "none", "1_nodeid": 2, "2_name": "three"}) == []


def test_of_two_nodes_with_one_id_the_later_wins() -> None:
    keys: dict[str, Value] = {
        "10_nodeid": 1,
        "10_name": "later",
        "2_nodeid": 1,
        "2_name": "earlier",
    }
    assert nodes(keys) == [(1, "later")]


def test_nodes_are_ordered_by_id() -> None:
    assert nodes({"0_nodeid": 2, "0_name": "two", "1_nodeid": 1, "1_name": "one"}) == [
        (1, "one"),
        (2, "two"),
    ]


def test_a_missing_version_is_zero() -> None:
    info = cluster_info({"totem.cluster_name": "testing"})
    assert info is not None
    assert info.config_version == 0


def test_without_a_cluster_name_there_is_no_description() -> None:
    assert cluster_info({"totem.config_version": 3}) is None


def other_votes(*node_votes: int, **quorum: Value) -> int:
    """Return the votes that belong to no node; ``__`` in a key stands for a dot."""
    keys: dict[str, Value] = {
        f"quorum.{key.replace('__', '.')}": value for key, value in quorum.items()
    }
    for place, votes in enumerate(node_votes):
        keys[f"nodelist.node.{place}.nodeid"] = place + 1
        keys[f"nodelist.node.{place}.name"] = f"node{place + 1}"
        keys[f"nodelist.node.{place}.quorum_votes"] = votes
    info = cluster_info({**NAMED, **keys})
    assert info is not None
    return info.other_votes


def test_a_quorum_device_has_votes_that_no_node_has() -> None:
    assert other_votes(1, 1) == 0
    assert other_votes(1, 1, device__model="net", device__votes=1) == 1
    assert other_votes(1, 1, 1, device__model="net") == 2
    assert other_votes(1, 1, device__votes=1) == 0, "without a model there is no device"


def test_expected_votes_count_if_they_are_more_than_there_are() -> None:
    assert other_votes(1, 1, 1, expected_votes=5) == 2
    assert other_votes(1, 1, 1, expected_votes=2) == 0
    assert other_votes(2, 1, 1, expected_votes=4) == 0
    assert other_votes(1, 1, device__model="net", device__votes=1, expected_votes=3) == 1

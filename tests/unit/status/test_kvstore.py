"""The tables of values, the metrics, and the counter of what is known of the members."""

from errno import EFBIG, ENOMEM

import pytest

from pmxcfs.errors import OperationError, ProtocolError
from pmxcfs.identity import NodeId
from pmxcfs.status.kvstore import KEYS_MAX, TABLE_BYTES_MAX, VALUE_BYTES_MAX, Value
from pmxcfs.status.members import ClusterInfo, ClusterNode
from pmxcfs.status.messages import Update, decode_update, encode_update
from pmxcfs.status.rrd import Metrics
from pmxcfs.status.state import ClusterStatus

NOW_S = 1_700_000_000
ONE, TWO, THREE = (NodeId(number) for number in (1, 2, 3))


def cluster(*node_ids: NodeId) -> ClusterInfo:
    return ClusterInfo("clu", 1, tuple(ClusterNode(number, f"node{number}") for number in node_ids))


@pytest.fixture
def status() -> ClusterStatus:
    made = ClusterStatus("node1", ip="10.0.0.1")
    made.learn_nodes(cluster(ONE, TWO))
    return made


def test_a_value_has_a_version_that_counts_what_came_after_it(status: ClusterStatus) -> None:
    for data in (b"a", b"b", b"b"):
        status.publish(b"kv/x", data, NOW_S)
        status.receive(TWO, Update(b"kv/x", data), NOW_S)
    table = status.values.of(TWO)
    assert table is not None
    assert table.values == status.values.own.values == {b"kv/x": Value(b"b", 2)}


def test_an_empty_value_removes_and_the_next_one_is_new(status: ClusterStatus) -> None:
    for data in (b"a", b"b", b"", b"c"):
        status.publish(b"kv/x", data, NOW_S)
    assert status.values.own.values == {b"kv/x": Value(b"c", 0)}


def test_a_node_that_leaves_the_cluster_loses_its_values(status: ClusterStatus) -> None:
    status.receive(TWO, Update(b"kv/x", b"a"), NOW_S)
    status.learn_online({ONE})
    status.learn_nodes(cluster(ONE, TWO, THREE))
    assert status.values.of(TWO) is not None, "it is only offline"
    status.learn_nodes(cluster(ONE, THREE))
    status.learn_nodes(cluster(ONE, TWO, THREE))
    assert status.values.of(TWO) is None


def test_what_a_node_tells_before_the_configuration_names_it_is_not_lost(
    status: ClusterStatus,
) -> None:
    status.learn_online({ONE, THREE})
    status.receive(THREE, Update(b"nodeip", b"10.0.0.3\0"), NOW_S)
    status.receive(THREE, Update(b"kv/x", b"a"), NOW_S)
    assert status.values.of(THREE) is None
    status.learn_nodes(cluster(ONE, TWO, THREE))
    assert status.membership.ip_of("node3") == b"10.0.0.3"
    assert status.values.of(THREE) is not None


def test_what_an_unknown_node_told_is_forgotten_when_it_goes(status: ClusterStatus) -> None:
    status.receive(THREE, Update(b"kv/x", b"a"), NOW_S)
    status.learn_online({ONE})
    status.learn_nodes(cluster(ONE, TWO, THREE))
    assert status.values.of(THREE) is None


def test_a_value_above_the_limit_is_refused(status: ClusterStatus) -> None:
    status.publish(b"kv/x", bytes(VALUE_BYTES_MAX), NOW_S)
    with pytest.raises(OperationError) as refusal:
        status.publish(b"kv/y", bytes(VALUE_BYTES_MAX + 1), NOW_S)
    assert refusal.value.errno == EFBIG
    with pytest.raises(ProtocolError):
        status.receive(TWO, Update(b"kv/y", bytes(VALUE_BYTES_MAX + 1)), NOW_S)
    assert list(status.values.own.values) == [b"kv/x"]


def test_a_long_key_is_cut(status: ClusterStatus) -> None:
    update = status.publish(b"k" * 300, b"v", NOW_S)
    assert update.key == b"k" * 255
    assert decode_update(encode_update(update)[1]) == update


@pytest.mark.parametrize("payload", [b"", b"k\0", b"k" * 256 + b"value", b"k" + bytes(254)])
def test_an_update_without_a_whole_key_is_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_update(payload)


def test_what_follows_the_end_of_a_key_means_nothing() -> None:
    assert decode_update(b"k\0" + b"\xee" * 254 + b"v") == Update(b"k", b"v")


@pytest.mark.parametrize("value", [b"", b"10.0.0.2", b"1" * 255 + b"\0"])
@pytest.mark.parametrize("is_early", [False, True])
def test_a_bad_address_is_refused(status: ClusterStatus, value: bytes, is_early: bool) -> None:
    with pytest.raises(ProtocolError):
        status.receive(THREE if is_early else TWO, Update(b"nodeip", value), NOW_S)
    with pytest.raises(OperationError) as refusal:
        status.publish(b"nodeip", value, NOW_S)
    assert refusal.value.errno == ENOMEM
    status.learn_nodes(cluster(ONE, TWO, THREE))
    assert status.membership.ip_of("node1") == b"10.0.0.1"


def test_only_a_change_of_an_address_counts(status: ClusterStatus) -> None:
    before = status.membership.version
    for _ in range(2):
        status.receive(TWO, Update(b"nodeip", b"10.0.0.2\0"), NOW_S)
        status.publish(b"nodeip", b"10.0.0.1\0", NOW_S)
    assert status.membership.version == before + 1


def test_the_counter_of_a_node_alone_is_3_at_first() -> None:
    status = ClusterStatus("node1", ip="10.0.0.1")
    status.learn_nodes(cluster(ONE))
    status.learn_online({ONE})
    assert status.membership.version == 3


def test_an_address_is_kept_by_name(status: ClusterStatus) -> None:
    status.receive(TWO, Update(b"nodeip", b"10.0.0.2\0"), NOW_S)
    status.learn_nodes(cluster(ONE))
    status.learn_nodes(cluster(ONE, TWO))
    assert status.membership.ip_of("node2") == b"10.0.0.2"


def test_old_metrics_are_no_longer_shown() -> None:
    metrics = Metrics()
    metrics.receive(b"old", b"1\0", NOW_S)
    metrics.receive(b"new", b"2:U\0", NOW_S + 1)
    assert metrics.dump(NOW_S + 300).text == b"old:1\nnew:2:U\n"
    assert metrics.dump(NOW_S + 301).text == b"old:1\nnew:2:U\n", "as it was a second ago"
    assert metrics.dump(NOW_S + 302).text == b""


def test_metrics_are_shown_at_once_after_the_clock_stepped_back() -> None:
    metrics = Metrics()
    assert metrics.dump(NOW_S).is_new
    assert not metrics.dump(NOW_S + 1).is_new
    metrics.receive(b"k", b"1\0", NOW_S - 100)
    assert metrics.dump(NOW_S - 100).text == b"k:1\n"


@pytest.mark.parametrize("value", [b"", b"1:2", b"1" * 4095 + b"\0"])
def test_bad_metrics_are_refused(status: ClusterStatus, value: bytes) -> None:
    with pytest.raises(ProtocolError):
        status.receive(TWO, Update(b"rrd/k", value), NOW_S)
    with pytest.raises(OperationError) as refusal:
        status.publish(b"rrd/k", value, NOW_S)
    assert refusal.value.errno == ENOMEM
    assert status.metrics.dump(NOW_S).text == b""


def test_metrics_are_not_kept_of_a_node_that_the_cluster_does_not_have(
    status: ClusterStatus,
) -> None:
    assert not status.receive(THREE, Update(b"rrd/k", b"1\0"), NOW_S)
    assert status.receive(TWO, Update(b"rrd/l", b"2\0"), NOW_S)
    assert status.metrics.dump(NOW_S).text == b"l:2\n"


def test_a_node_can_make_others_keep_only_so_many_keys(status: ClusterStatus) -> None:
    for number in range(KEYS_MAX):
        status.receive(TWO, Update(b"kv/%d" % number, b"a"), NOW_S)
    with pytest.raises(ProtocolError, match="node 2 publishes too much, 1024 keys"):
        status.receive(TWO, Update(b"kv/more", b"a"), NOW_S)
    status.receive(TWO, Update(b"kv/0", b"bb"), NOW_S)
    status.receive(TWO, Update(b"kv/1", b""), NOW_S)
    status.receive(TWO, Update(b"kv/more", b"a"), NOW_S)
    table = status.values.of(TWO)
    assert table is not None
    assert (len(table.values), table.values[b"kv/0"].data) == (KEYS_MAX, b"bb")


def test_a_node_can_make_others_keep_only_so_many_bytes(status: ClusterStatus) -> None:
    whole = bytes(VALUE_BYTES_MAX)
    for number in range(TABLE_BYTES_MAX // (VALUE_BYTES_MAX + 4)):
        status.receive(TWO, Update(b"%04d" % number, whole), NOW_S)
    with pytest.raises(ProtocolError, match="publishes too much"):
        status.receive(TWO, Update(b"more", whole), NOW_S)
    status.receive(TWO, Update(b"more", b"a"), NOW_S)
    with pytest.raises(ProtocolError, match="publishes too much"):
        status.receive(TWO, Update(b"more", whole), NOW_S)
    status.receive(TWO, Update(b"0000", b"a"), NOW_S)
    status.receive(TWO, Update(b"more", whole), NOW_S)
    table = status.values.of(TWO)
    assert table is not None
    kept_bytes = sum(len(key) + len(value.data) for key, value in table.values.items())
    assert TABLE_BYTES_MAX - VALUE_BYTES_MAX < kept_bytes <= TABLE_BYTES_MAX


def test_metrics_of_too_many_things_are_refused_until_old_ones_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pmxcfs.status.rrd.SAMPLES_MAX", 3)
    metrics = Metrics()
    for number in range(3):
        metrics.receive(b"%d" % number, b"1\0", NOW_S)
    metrics.receive(b"0", b"2\0", NOW_S)
    with pytest.raises(ProtocolError, match="metrics of 3 things"):
        metrics.receive(b"3", b"1\0", NOW_S + 300)
    metrics.receive(b"3", b"1\0", NOW_S + 301)
    assert metrics.dump(NOW_S + 301).text == b"3:1\n"


def test_a_client_can_make_the_cluster_keep_only_so_many_keys(
    status: ClusterStatus, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(KEYS_MAX):
        status.publish(b"kv/%d" % number, b"a", NOW_S)
    with pytest.raises(OperationError) as refusal:
        status.publish(b"kv/more", b"a", NOW_S)
    assert refusal.value.errno == ENOMEM
    assert "this node publishes too much, 1024 keys" in capsys.readouterr().out
    status.publish(b"kv/0", b"", NOW_S)
    status.publish(b"kv/more", b"a", NOW_S)
    assert len(status.values.own.values) == KEYS_MAX

"""Quorum and the configuration map follow what corosync says, and outlive corosync."""

from collections.abc import Iterator

import pytest

from tests.cluster.corosyncs import SETTLED_WITHIN_S, Corosyncs, Process

pytestmark = pytest.mark.needs("root", "corosync")


@pytest.fixture
def watching(corosyncs: Corosyncs) -> Iterator[Process]:
    with corosyncs.process(1, "tests.cluster.watching") as process:
        yield process


def quorate(process: Process) -> bool:
    """The next change of quorum."""
    return bool(process.await_line("quorate", SETTLED_WITHIN_S))


def test_quorum_goes_with_the_majority_and_comes_back_with_it(
    corosyncs: Corosyncs, watching: Process
) -> None:
    assert quorate(watching)
    corosyncs.partition([1], [2, 3])
    assert not quorate(watching)
    corosyncs.partition([1, 2, 3])
    assert quorate(watching)


def test_without_corosync_there_is_no_quorum(corosyncs: Corosyncs, watching: Process) -> None:
    assert quorate(watching)
    corosyncs.kill(1)
    assert not quorate(watching)
    corosyncs.start(1)
    assert quorate(watching)


def test_the_ring_has_the_nodes_that_hear_each_other(
    corosyncs: Corosyncs, watching: Process
) -> None:
    def ring_is(*node_ids: int) -> bool:
        rings = [line["ring"] for line in watching.lines if "ring" in line]
        return rings[-1:] == [list(node_ids)]

    watching.wait_until(lambda: ring_is(1, 2, 3), "the whole ring", SETTLED_WITHIN_S)
    corosyncs.partition([1, 2], [3])
    watching.wait_until(lambda: ring_is(1, 2), "a ring of two", SETTLED_WITHIN_S)
    corosyncs.kill(1)
    watching.wait_until(lambda: ring_is(), "no ring", SETTLED_WITHIN_S)


def test_a_node_that_starts_before_corosync_finds_quorum_later(corosyncs: Corosyncs) -> None:
    corosyncs.kill(1)
    with corosyncs.process(1, "tests.cluster.watching") as process:
        corosyncs.start(1)
        assert quorate(process)


def test_the_map_names_the_cluster_and_its_nodes(corosyncs: Corosyncs, watching: Process) -> None:
    cluster = watching.await_line("cluster")
    assert cluster["name"] == corosyncs.name
    assert cluster["nodes"] == [[1, "node1"], [2, "node2"], [3, "node3"]]


def test_a_published_configuration_reaches_the_map(corosyncs: Corosyncs, watching: Process) -> None:
    watching.await_line("cluster")
    text = corosyncs.corosync_conf(config_version=2).replace("name: node3", "name: renamed")
    for node_id in (2, 3):
        assert corosyncs.publish(node_id, text, notify=False) == "WRITTEN"
    assert corosyncs.publish(1, text, notify=True) == "RELOADED"
    await_cluster(watching, version=2, third_name="renamed")
    same_version = corosyncs.corosync_conf(config_version=2)
    for node_id in (1, 2):
        assert corosyncs.publish(node_id, same_version, notify=False) == "WRITTEN"
    assert corosyncs.publish(3, same_version, notify=True) == "RELOADED"
    await_cluster(watching, version=2, third_name="node3")


def await_cluster(watching: Process, version: int, third_name: str) -> None:
    """A reload changes one key after the other; wait for the last."""
    while True:
        cluster = watching.await_line("cluster")
        if cluster["version"] == version and cluster["nodes"][2] == [3, third_name]:
            return


def test_a_restart_of_corosync_with_the_same_map_is_no_news(
    corosyncs: Corosyncs, watching: Process
) -> None:
    watching.await_line("cluster")
    assert quorate(watching)
    corosyncs.kill(1)
    assert not quorate(watching)
    corosyncs.start(1)
    assert quorate(watching)
    text = corosyncs.corosync_conf(config_version=4)
    for node_id in (2, 3):
        corosyncs.publish(node_id, text, notify=False)
    corosyncs.publish(1, text, notify=True)
    assert watching.await_line("cluster")["version"] == 4

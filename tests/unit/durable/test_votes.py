"""Which nodes share at least one with every quorum."""

from itertools import combinations

import pytest

from pmxcfs.durable.votes import Votes
from pmxcfs.identity import NodeId


def votes(*of: int, others: int = 0) -> Votes:
    return Votes({NodeId(number): count for number, count in enumerate(of, start=1)}, others)


def test_more_than_half_are_a_majority_and_half_are_not() -> None:
    assert votes(1, 1, 1).are_majority([NodeId(1), NodeId(3)])
    assert not votes(1, 1, 1).are_majority([NodeId(2)])
    assert not votes(1, 1, 1, 1).are_majority([NodeId(1), NodeId(2)])
    assert not votes(1, 1).are_majority([NodeId(1)])


def test_a_node_counts_once_and_a_stranger_does_not() -> None:
    assert not votes(1, 1, 1).are_majority([NodeId(1), NodeId(1)])
    assert not votes(1, 1, 1).are_majority([NodeId(1), NodeId(7)])


def test_while_no_nodes_are_known_there_is_no_majority() -> None:
    assert not Votes().are_majority([NodeId(1)])


def test_votes_of_a_device_are_expected_of_nobody() -> None:
    assert not votes(1, 1, others=1).are_majority([NodeId(1)])
    assert votes(1, 1, others=1).are_majority([NodeId(1), NodeId(2)])
    assert not votes(1, 1, 1, others=2).are_majority([NodeId(1), NodeId(2)])


@pytest.mark.parametrize(
    "case",
    [votes(1, 1, 1), votes(3, 1, 1), votes(1, 1, 1, 1, others=1), votes(2, 1, 1, others=3)],
    ids=str,
)
def test_every_quorum_has_a_node_of_every_majority(case: Votes) -> None:
    nodes = list(case.of)
    groups = [set(group) for size in range(1, 5) for group in combinations(nodes, size)]
    quorum = case.expected // 2 + 1
    for majority in filter(case.are_majority, groups):
        for group in groups:
            if sum(case.of[node] for node in group) + case.others >= quorum:
                assert majority & group


def test_the_position_that_a_majority_has_reached() -> None:
    three = votes(1, 1, 1)
    assert three.majority_position({}) == -1
    assert three.majority_position({NodeId(1): 9}) == -1
    assert three.majority_position({NodeId(1): 9, NodeId(3): 4}) == 4
    assert three.majority_position({NodeId(1): 2, NodeId(2): 9, NodeId(3): 4}) == 4
    assert votes(3, 1, 1).majority_position({NodeId(1): 2, NodeId(2): 9}) == 2

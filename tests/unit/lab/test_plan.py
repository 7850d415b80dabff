"""Plans: what the command line may ask for, and what it may not."""

import pytest
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.plan import Plan, make_plan, node_name, parse_assignments, parse_groups

NAMES = ("node1", "node2", "node3")


def test_nodes_are_numbered_from_one_and_have_addresses_of_their_own() -> None:
    plan = make_plan("lab", 9)
    assert plan.names == tuple(f"node{number}" for number in range(1, 10))
    assert len({node.address for node in plan.nodes}) == 9


@pytest.mark.parametrize("count", [0, 10, -1])
def test_a_lab_has_one_to_nine_nodes(count: int) -> None:
    with pytest.raises(LabError, match="1 to 9"):
        make_plan("lab", count)


def test_a_binary_for_a_node_outside_the_lab_is_refused() -> None:
    with pytest.raises(LabError, match="no node4"):
        make_plan("lab", 3, {"node4": "/bin/true"})


def test_a_plan_survives_being_stored() -> None:
    plan = make_plan("two", 2, {"node2": "/opt/other/pmxcfs"}, local=True)
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("text", ["2", "node2", " 2 "])
def test_a_node_can_be_named_by_its_number(text: str) -> None:
    assert node_name(text) == "node2"


@pytest.mark.parametrize("text", ["", "0", "10", "node", "nodeX", "2,3", "-1"])
def test_what_names_no_node_is_refused(text: str) -> None:
    with pytest.raises(LabError, match="is no node"):
        node_name(text)


def test_assignments_are_taken_by_node() -> None:
    assert parse_assignments(["1=/a", "node3=/b=c"], "PATH") == {"node1": "/a", "node3": "/b=c"}


@pytest.mark.parametrize("texts", [["/a"], ["1="], ["x=/a"], ["1=/a", "node1=/b"]])
def test_an_assignment_needs_one_node_and_a_value(texts: list[str]) -> None:
    with pytest.raises(LabError):
        parse_assignments(texts, "PATH")


@pytest.mark.parametrize(
    ("texts", "groups"),
    [
        (["1,2", "3"], (("node1", "node2"), ("node3",))),
        (["3"], (("node3",), ("node1", "node2"))),
        (["1", "2"], (("node1",), ("node2",), ("node3",))),
        (["1,2,3"], (("node1", "node2", "node3"),)),
    ],
)
def test_nodes_not_named_in_a_partition_stay_together(
    texts: list[str], groups: tuple[tuple[str, ...], ...]
) -> None:
    assert parse_groups(texts, NAMES) == groups


@pytest.mark.parametrize("texts", [[], ["4"], ["1,1"], ["1", "1,2"], ["1,,2"]])
def test_groups_that_are_no_partition_are_refused(texts: list[str]) -> None:
    with pytest.raises(LabError):
        parse_groups(texts, NAMES)

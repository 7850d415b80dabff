"""Comparing trees entry by entry."""

from pmxcfs_lab.trees import describe, differences

FILE = {"mode": "0o100640", "size": 3, "sha256": "abc"}


def test_equal_trees_have_no_differences() -> None:
    assert differences({"node1": {"a": FILE}, "node2": {"a": dict(FILE)}}) == []


def test_a_difference_names_path_nodes_and_what_differs() -> None:
    (line,) = differences({"node1": {"a": FILE}, "node2": {"a": {**FILE, "size": 4}}})
    assert line == "a: node1 size=3, node2 size=4"


def test_an_entry_on_one_side_only_is_a_difference() -> None:
    trees = {"node1": {"a": FILE}, "node2": {"b": FILE}, "node3": {"a": FILE}}
    assert differences(trees) == [
        "a: node1 has it, node2 has none",
        "b: node1 has none, node2 has it",
    ]


def test_a_flood_of_differences_is_cut() -> None:
    assert describe([str(number) for number in range(12)]).endswith("9\nand 2 more")

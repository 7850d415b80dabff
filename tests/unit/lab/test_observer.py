"""Whether an observer reads all files of a node, which takes long, or believes its checksum."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from pmxcfs_lab.observer import Observer
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.provider import Provider

RUNS = {"pid": 1, "exit_status": None}
MOUNT = {"quorate": True, "members": {"node1": {"online": 1}}}
DAEMON = {
    "quorate": True,
    "sync": "synced",
    "members": [{"name": "node1"}],
    "tree_version": 7,
    "tree_checksum": "sum",
}
SEEN: dict[str, Any] = {
    "services": {"corosync": RUNS, "pmxcfs": RUNS},
    "corosync": {"quorate": True},
    "mount": MOUNT,
    "daemon": DAEMON,
}


def kinds(seen: Mapping[str, dict[str, Any]], *theirs: str) -> tuple[set[str | None], bool]:
    """Return the kinds of fingerprints that two nodes show, and whether files were read."""
    was_read = []

    def probe(name: str, *, with_tree: bool) -> dict[str, Any]:
        was_read.append(with_tree)
        return {**SEEN, **seen.get(name, {}), "tree": {} if with_tree else None}

    plan = make_plan("test", 2, dict.fromkeys(theirs, "/their/binary"))
    provider = cast("Provider", SimpleNamespace(probe=probe))
    rows = Observer(provider, plan).statuses()
    return {row.fingerprint_kind for row in rows}, any(was_read)


def test_checksums_are_believed_where_all_have_one() -> None:
    assert kinds({}) == ({"checksum"}, False)
    assert kinds({}, "node2") == ({"checksum"}, False)


def test_one_node_without_a_checksum_has_all_trees_read() -> None:
    assert kinds({"node2": {"daemon": None}}, "node2") == ({"digest"}, True)


def test_nothing_is_read_for_a_daemon_of_ours_that_is_only_just_starting() -> None:
    assert kinds({"node2": {"daemon": None}}) == ({"checksum", None}, False)


def test_nothing_is_read_for_another_daemon_that_is_down() -> None:
    down = {
        "daemon": None,
        "mount": None,
        "services": {**SEEN["services"], "pmxcfs": {**RUNS, "pid": None}},
    }
    assert kinds({"node2": down}, "node2") == ({"checksum", None}, False)

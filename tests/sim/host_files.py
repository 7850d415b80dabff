"""The claim about each host's own corosync.conf, which the tree's is brought to."""

import re
from collections.abc import Collection, Sequence

from tests.sim.checker import Checker
from tests.sim.node import Node


class HostFileFollows(Checker):
    """A newer file is never replaced by an older one, nor a good one by a bad one.

    When nothing is under way, each host has the tree's file, unless its own is newer.
    """

    def on_published(self, node: Node, before: bytes | None, after: bytes) -> None:
        if not _version(before or b"") <= _version(after) or not _is_good(after):
            self.refuse(f"on node {node.node_id} {after!r} replaces {before!r}")

    def on_settled(self, rings: Sequence[Collection[Node]]) -> None:
        for ring in rings:
            for node in ring:
                self._compare(node)

    def _compare(self, node: Node) -> None:
        entry = node.running.replica.memdb.tree.find(b"corosync.conf")
        text = entry.data if entry is not None else b""
        host_text = node.host_file or b""
        is_due = _is_good(text) and _version(text) >= _version(host_text)
        if is_due and text != host_text and not node.is_failed:
            self.refuse(f"node {node.node_id} has {text!r}, its host still {host_text!r}")


def _is_good(text: bytes) -> bool:
    """Whether corosync can read it: what is broken here lacks its braces."""
    return _version(text) > 0 and text.endswith(b"}")


def _version(text: bytes) -> int:
    found = re.search(rb"config_version\s*:\s*(\d+)", text)
    return int(found[1]) if found else 0

"""What the daemon refuses about guests: an id twice, and a file where a directory belongs."""

from collections.abc import Iterator
from dataclasses import dataclass

from pmxcfs.memdb.entry import ROOT_INODE, Entry
from pmxcfs.memdb.guests import KIND_OF_DIRECTORY, NODES_DIRECTORY, parse_guest_path
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools.problems import Kind, Problem, Severity, printable


@dataclass(frozen=True, slots=True)
class GuestFault:
    """An entry that would have to go.

    ``reason`` ends a sentence that begins with the entry, which ``problem`` has as a whole.
    """

    entry: Entry
    reason: str
    problem: Problem


def guest_faults(tree: Tree) -> Iterator[GuestFault]:
    """Yield what is wrong with the guests of a tree.

    Of several configurations with one id the one with the highest version is right.

    Source: docs/PROTOCOL.md, "Guest list".
    """
    first: dict[int, Entry] = {}
    configurations = []
    for directory, path in _guest_directories(tree):
        if directory.is_directory:
            configurations += tree.children(directory.inode)
        else:
            reason = "is a file, where only a directory can be"
            yield _fault(Kind.FILE_AS_GUEST_DIRECTORY, directory, path, reason)
    for entry in sorted(configurations, key=lambda entry: (-entry.version, entry.inode)):
        path = tree.path_of(entry.inode)
        guest = parse_guest_path(path)
        if guest is None or entry.is_directory:
            continue
        winner = first.setdefault(guest.vmid, entry)
        if winner is not entry:
            other = printable(tree.path_of(winner.inode))
            versions = f"version {winner.version} against {entry.version}"
            reason = f"has the VM id of '{other}', which is newer ({versions})"
            yield _fault(Kind.DUPLICATE_VMID, entry, path, reason)


def _guest_directories(tree: Tree) -> Iterator[tuple[Entry, bytes]]:
    """Yield what is where directories of guest configurations belong, with its path."""
    nodes = tree.child(ROOT_INODE, NODES_DIRECTORY)
    for node in tree.children(nodes.inode) if nodes else ():
        for name in KIND_OF_DIRECTORY:
            path = b"/".join((NODES_DIRECTORY, node.name, name))
            entry = tree.child(node.inode, name)
            if entry is not None and parse_guest_path(path + b"/1.conf"):
                yield entry, path


def _fault(kind: Kind, entry: Entry, path: bytes, reason: str) -> GuestFault:
    sentence = f"inode {entry.inode} ('{printable(path)}') {reason}"
    return GuestFault(entry, reason, Problem(kind, Severity.REFUSED, sentence, entry.inode))

"""Writing a whole tree into a new database, as the daemon itself would have."""

from collections.abc import Sequence
from pathlib import Path

from pmxcfs.database import Database
from pmxcfs.memdb.entry import ROOT_INODE, Change
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools.publishing import publish, refuse_existing, workshop


def build(tree: Tree, target: Path) -> None:
    """Write a tree to a new database; the reference can open it too.

    Raises:
        StorageError: there is something of that name, or it can't be written.
    """
    refuse_existing(target)
    with workshop(target) as directory:
        draft = directory / "config.db"
        database = Database.open(draft, now_s=tree.root.mtime)
        try:
            database.commit(changes_to(database.load(), tree))
        finally:
            database.close()
        publish(draft, target)


def changes_to(new: Tree, tree: Tree) -> Sequence[Change]:
    """Return the changes that make one tree of a new one."""
    entries = [Change(None, entry) for entry in tree.entries() if entry.inode != ROOT_INODE]
    return [*entries, Change(new.root, tree.root)]

"""Writing a whole tree into a new database, as the daemon itself would have."""

from pathlib import Path

from pmxcfs.database import write_database
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
        write_database(draft, tree.entries())
        publish(draft, target)

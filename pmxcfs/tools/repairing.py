"""What has to happen to a damaged database so that it is sound, and doing so in a new one.

What has no place in the sound tree goes to a directory beside the new database; nothing gets lost
but what could not be read, and that is kept too, as raw pages.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.tree import Tree
from pmxcfs.tools.building import build
from pmxcfs.tools.checking import Examination
from pmxcfs.tools.guest_rules import guest_faults
from pmxcfs.tools.placing import Misfit
from pmxcfs.tools.publishing import refuse_existing
from pmxcfs.tools.saving import save

SIDE_DIRECTORY_ENDING = ".lost+found"


@dataclass(frozen=True, slots=True)
class Repair:
    """A sound tree made of a damaged database.

    Attributes:
        tree: what the new database will hold.
        misfits: what of the old one is not in it, and goes to the side directory.
        amendments: what else is not as it was, as sentences.
        lost_pages: the bytes of pages that could not be read as a whole, by number; none of a
            page that is missing.
    """

    tree: Tree
    misfits: tuple[Misfit, ...]
    amendments: tuple[str, ...]
    lost_pages: tuple[tuple[int, bytes], ...]

    @property
    def has_losses(self) -> bool:
        """Whether the new database has less in it than the old one may have had."""
        return bool(self.misfits or self.lost_pages)


def plan_repair(examination: Examination) -> Repair:
    """Return the sound tree that is closest to what could be read.

    After a loss the time of the tree is set to 0: should the database meet another node that is at
    the same version, the other one's tree wins.
    """
    placement = examination.placement
    tree, misfits = Tree.from_entries(placement.tree.entries()), list(placement.misfits)
    for fault in list(guest_faults(tree)):
        misfits.append(Misfit(tree.remove(fault.entry.inode), fault.reason))
    repair = Repair(tree, tuple(misfits), placement.amendments, examination.contents.lost_pages)
    if repair.has_losses or repair.amendments:
        tree.put(replace(tree.root, mtime=0))
    Memdb(tree, now_s=0)  # the daemon will do the same
    return repair


def perform_repair(repair: Repair, target: Path) -> Path | None:
    """Write the sound database, and beside it what is not in it; return where that is.

    Raises:
        StorageError: one of the two is there already, or the disk failed.
    """
    side = side_directory_of(target)
    refuse_existing(target)
    if repair.has_losses:
        save(repair.misfits, repair.lost_pages, side)
    build(repair.tree, target)
    return side if repair.has_losses else None


def side_directory_of(target: Path) -> Path:
    """Return where what is left over goes when a database is repaired into a target."""
    return target.with_name(target.name + SIDE_DIRECTORY_ENDING)

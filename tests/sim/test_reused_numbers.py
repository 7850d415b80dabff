"""Two sides of a cluster give one number to different files, while one side's is open in a mount.

The mounts' operations stand on simulated nodes: real drivers and replicas, and a group that falls
apart and comes together again.
"""

from collections.abc import Coroutine
from typing import Any, TypeVar, cast

import pytest

from pmxcfs.errors import OperationError
from pmxcfs.fuse.gathering_operations import GatheringOperations
from pmxcfs.fuse.inodes import KERNEL_ROOT
from pmxcfs.fuse.operations import PmxcfsOperations
from pmxcfs.identity import NodeId
from pmxcfs.stepping import Step
from tests.sim.world import World

ONE, TWO, THREE = (NodeId(number) for number in (1, 2, 3))

T = TypeVar("T")


class MountedWorld(World):
    """Three nodes, of which the third has a mount."""

    def __init__(self, kind: type[PmxcfsOperations], *, is_silent: bool) -> None:
        super().__init__(3)
        self.settle()
        self.fs = kind(self.nodes[THREE].running.driver, [], gid=0)
        self.fs.silence_opens(is_silent)

    def call(self, request: Coroutine[Any, Any, T]) -> T:
        """Do a request of the third node's kernel, letting that node read what it has to."""
        answers: list[T] = []
        errors: list[Exception] = []
        Step(request, answers.append, errors.append).run()
        while not answers and not errors:
            assert self.nodes[THREE].has_unread(), "nothing is left that could answer it"
            self.deliver(THREE)
        if errors:
            raise errors[0]
        return answers[0]

    def make(self, name: str, parent: int = KERNEL_ROOT) -> int:
        """Make a file through the mount, and have it open."""
        return self.call(self.fs.create(parent, name.encode(), 0o640, 0)).st_ino

    def number(self, node_id: NodeId, path: bytes) -> int:
        """Return the number of a path in a node's tree, as the kernel sees it."""
        entry = self.nodes[node_id].running.replica.memdb.tree.find(path)
        assert entry is not None
        return entry.inode + 1

    def come_together(self) -> None:
        """End the partition; the third node takes over the others' tree."""
        self.write(ONE, "/more", "so that this is the tree that wins")
        self.settle()
        self.heal()
        self.settle()
        assert self.text(THREE, "/more") is not None


@pytest.fixture(params=[PmxcfsOperations, GatheringOperations])
def kind(request: pytest.FixtureRequest) -> type[PmxcfsOperations]:
    return cast("type[PmxcfsOperations]", request.param)


@pytest.fixture(params=["told", "silent"])
def world(request: pytest.FixtureRequest, kind: type[PmxcfsOperations]) -> MountedWorld:
    return MountedWorld(kind, is_silent=request.param == "silent")


def write(world: MountedWorld, handle: int, offset: int, data: bytes) -> None:
    """Write as the kernel does: gathered where that is possible."""
    fs = world.fs
    if not (isinstance(fs, GatheringOperations) and fs.has_taken(handle, offset, data)):
        world.call(fs.write(handle, offset, data))


async def test_what_is_open_never_touches_the_file_that_has_its_number(world: MountedWorld) -> None:
    world.isolate(THREE)
    draft = world.make("draft")  # nobody has told it yet that quorum is lost
    write(world, draft, 0, b"before")
    world.write(ONE, "/theirs", "kept")
    world.come_together()
    assert world.number(ONE, b"theirs") == world.number(THREE, b"theirs") == draft

    write(world, draft, 0, b"DRAFT.")
    assert world.call(world.fs.read(draft, 0, 100)) == b"DRAFT."
    world.write(TWO, "/theirs", "changed")
    world.settle()
    assert world.call(world.fs.read(draft, 0, 100)) == b"DRAFT."
    world.isolate(TWO)
    world.heal()
    world.settle()
    write(world, draft, 6, b"more")
    assert world.call(world.fs.read(draft, 0, 100)) == b"DRAFT.more"
    assert world.call(world.fs.getattr(draft)).st_nlink == 0

    found = world.call(world.fs.lookup(KERNEL_ROOT, b"theirs"))
    assert (found.st_ino, found.st_size, found.st_nlink) == (draft, len("changed"), 1)
    assert found.generation == 1
    world.settle()
    assert {world.text(node_id, "/theirs") for node_id in (ONE, TWO, THREE)} == {"changed"}
    assert {world.text(node_id, "/draft") for node_id in (ONE, TWO, THREE)} == {None}


async def test_a_directory_of_the_same_number_hides_no_other_file(world: MountedWorld) -> None:
    world.isolate(THREE)
    mine = world.call(world.fs.mkdir(KERNEL_ROOT, b"mine", 0o750)).st_ino
    conf = world.make("conf", mine)
    world.mkdir(ONE, "/theirs")
    world.settle()
    world.write(ONE, "/theirs/conf", "kept")
    world.come_together()
    assert world.number(THREE, b"theirs") == mine
    assert world.number(THREE, b"theirs/conf") == conf

    write(world, conf, 0, b"mine")
    with pytest.raises(OperationError):
        world.call(world.fs.lookup(mine, b"conf"))
    world.settle()
    assert {world.text(node_id, "/theirs/conf") for node_id in (ONE, TWO, THREE)} == {"kept"}
    assert world.call(world.fs.read(conf, 0, 100)) == b"mine"


async def test_a_write_that_was_held_when_the_trees_met_stays_with_its_file() -> None:
    world = MountedWorld(GatheringOperations, is_silent=True)
    fs = cast("GatheringOperations", world.fs)
    world.isolate(THREE)
    draft = world.make("draft")
    assert fs.has_taken(draft, 0, b"held")
    world.write(ONE, "/theirs", "kept")
    world.come_together()
    assert world.number(THREE, b"theirs") == draft
    assert world.call(fs.read(draft, 0, 100)) == b"held"
    world.settle()
    assert {world.text(node_id, "/theirs") for node_id in (ONE, TWO, THREE)} == {"kept"}

"""An inode number that stands for another file since a synchronisation: who has the first open.

A member that is cut off counts inodes by itself, as the others do; so a file of its own and one of
theirs can have one number.
"""

from errno import ENOENT, ESTALE
from typing import cast

import pytest

from pmxcfs.fuse.gathering_operations import GatheringOperations
from pmxcfs.fuse.inodes import KERNEL_ROOT
from pmxcfs.fuse.operations import PmxcfsOperations
from pmxcfs.memdb.operations import Delete, Rename, Write
from tests.unit.fuse.scene import NOW_S, Scene, refused


@pytest.fixture(params=["told", "silent"])
def scene(request: pytest.FixtureRequest) -> Scene:
    return opened_as(request.param, PmxcfsOperations)


@pytest.fixture(params=["told", "silent"])
def gathering(request: pytest.FixtureRequest) -> Scene:
    return opened_as(request.param, GatheringOperations)


def opened_as(how: str, kind: type[PmxcfsOperations]) -> Scene:
    scene = Scene(kind)
    scene.fs.silence_opens(how == "silent")
    return scene


async def take_over(scene: Scene, *paths: str) -> None:
    """Replace the tree by one in which these were made, one after the other."""
    other = Scene()
    for path in paths:
        await other.make(path, None if path.endswith("/") else b"kept")
    scene.driver.replica.memdb.replace(other.driver.replica.memdb.tree, NOW_S)
    scene.fs.cache.forget_all()


async def test_what_is_written_and_read_stays_with_who_has_it_open(scene: Scene) -> None:
    await scene.make("draft", b"mine")
    handle = await scene.open("draft")
    await take_over(scene, "theirs")
    await scene.others(Write(b"theirs", 4, b" and changed"))
    assert await scene.fs.read(handle, 0, 100) == b"mine"
    await scene.fs.write(handle, 0, b"MY")
    await scene.setattr(handle, size=3)
    assert await scene.fs.read(handle, 0, 100) == b"MYn"
    assert scene.content("theirs") == b"kept and changed"


async def test_it_stays_so_over_the_next_synchronisation(scene: Scene) -> None:
    await scene.make("draft", b"mine")
    handle = await scene.open("draft")
    await take_over(scene, "theirs")
    await scene.others(Write(b"theirs", 0, b"more"))
    scene.fs.cache.forget_all()
    await scene.fs.write(handle, 0, b"MINE")
    assert scene.content("theirs") == b"more"
    assert await scene.fs.read(handle, 0, 100) == b"MINE"


async def test_it_stays_so_when_the_other_file_is_removed(scene: Scene) -> None:
    scene.invalidator.knows_names = True
    scene.fs.cache.attach(scene.invalidator)
    await scene.make("draft", b"mine")
    handle = await scene.open("draft")
    await take_over(scene, "theirs")
    await scene.others(Delete(b"theirs"))
    assert await scene.fs.read(handle, 0, 100) == b"mine"


async def test_a_file_that_nobody_has_open_is_not_found_by_its_old_number(scene: Scene) -> None:
    scene.invalidator.knows_names = True
    scene.fs.cache.attach(scene.invalidator)
    scene.fs.silence_opens(False)
    await scene.make("draft", b"mine")
    number = await scene.find("draft")
    await take_over(scene, "theirs")
    await scene.others(Delete(b"theirs"))
    with refused(ESTALE):
        await scene.fs.open(number, 0)


async def test_a_file_of_the_same_name_in_a_directory_of_the_same_number_is_another(
    scene: Scene,
) -> None:
    await scene.make("a/conf", b"mine")
    handle = await scene.open("a/conf")
    await take_over(scene, "b/conf")
    assert await scene.fs.write(handle, 0, b"more") == 4
    assert scene.content("b/conf") == b"kept"


async def test_a_directory_that_is_another_leads_nowhere(scene: Scene) -> None:
    await scene.make("mine/file", b"mine")
    number = await scene.find("mine")
    handle = await scene.fs.opendir(number)
    await take_over(scene, "theirs/file")
    with refused(ESTALE):
        await scene.fs.lookup(number, b"file")
    with refused(ESTALE):
        await scene.fs.lookup(number, b"absent")
    with refused(ESTALE):
        await scene.fs.create(number, b"new", 0o640, 0)
    assert await listed(scene, handle) == []
    assert await listed(scene, await scene.fs.opendir(await scene.find("theirs"))) == [
        b".",
        b"..",
        b"file",
    ]


async def listed(scene: Scene, handle: int) -> list[bytes]:
    names: list[bytes] = []

    def add(name: bytes, *_: object) -> bool:
        names.append(name)
        return True

    await scene.fs.readdir(handle, 0, add)
    return names


async def test_both_can_be_open_and_are_closed_in_any_order() -> None:
    scene = Scene()
    await scene.make("draft", b"mine")
    first = await scene.open("draft")
    await take_over(scene, "theirs")
    second = await scene.open("theirs")
    await scene.fs.release(first)
    await scene.others(Delete(b"theirs"))
    assert await scene.fs.read(second, 0, 100) == b"kept"
    await scene.fs.release(second)
    with refused(ESTALE):
        await scene.fs.read(second, 0, 100)


async def test_a_write_that_is_decided_after_the_synchronisation_is_not_tried_at_the_other_file(
    scene: Scene,
) -> None:
    await scene.make("draft", b"mine")
    await scene.make("moved")
    handle = await scene.open("draft")
    other = Scene()
    await other.make("theirs", b"kept")

    def replace_first() -> None:
        scene.driver.before_delivery = lambda: None
        scene.driver.replica.memdb.replace(other.driver.replica.memdb.tree, NOW_S)
        scene.fs.cache.forget_all()
        lookup = scene.fs.lookup(KERNEL_ROOT, b"theirs")
        with pytest.raises(StopIteration):
            lookup.send(None)

    scene.driver.before_delivery = replace_first
    with refused(ENOENT):
        await scene.fs.write(handle, 0, b"more")
    assert scene.content("theirs") == b"kept"


async def test_gathered_writes_stay_with_who_has_it_open(gathering: Scene) -> None:
    fs = cast("GatheringOperations", gathering.fs)
    await gathering.make("draft", b"mine")
    handle = await gathering.open("draft")
    assert fs.has_taken(handle, 0, b"M")
    await take_over(gathering, "theirs")
    entry = gathering.entry("theirs")
    assert entry is not None
    assert fs.content(entry) == b"kept", "what is held is not laid over the other file"
    assert not fs.has_taken(handle, 1, b"I"), "it has to be made first: nobody may refuse it"
    await fs.write(handle, 1, b"I")
    assert await fs.read(handle, 0, 100) == b"MIne"
    assert gathering.content("theirs") == b"kept"


async def test_what_was_gathered_before_is_made_before_the_other_file_is_found(
    gathering: Scene,
) -> None:
    fs = cast("GatheringOperations", gathering.fs)
    await gathering.make("draft", b"mine")
    handle = await gathering.open("draft")
    fs.has_taken(handle, 0, b"M")
    await take_over(gathering, "theirs")
    number = await gathering.find("theirs")
    await fs.fsync(number)
    assert gathering.content("theirs") == b"kept"
    assert fs.has_taken(number, 0, b"K")
    await fs.flush(number)
    assert gathering.content("theirs") == b"Kept"


async def test_a_file_that_the_kernel_has_been_told_to_move_keeps_its_number(scene: Scene) -> None:
    await scene.make("f", b"old")
    handle = await scene.open("f")
    await scene.others(Rename(b"f", b"g"))
    scene.fs.cache.forget_all()
    await scene.fs.write(handle, 0, b"new")
    assert scene.content("g") == b"new"

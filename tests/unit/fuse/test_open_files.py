"""Files that are removed while they are open here live on until they are closed."""

from collections.abc import Awaitable, Callable
from errno import EFBIG, ESTALE

import pytest

from pmxcfs.fuse import open_files
from pmxcfs.fuse.inodes import KERNEL_ROOT
from pmxcfs.fuse.open_files import REMOVED_MAX
from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, Write
from pmxcfs.memdb.tree import Tree
from tests.unit.fuse.scene import NOW_S, Scene, refused


async def _unlinked_here(scene: Scene) -> None:
    await scene.fs.unlink(KERNEL_ROOT, b"f")


async def _unlinked_elsewhere(scene: Scene) -> None:
    await scene.others(Delete(b"f"))


async def _replaced(scene: Scene) -> None:
    await scene.make("g", b"new")
    await scene.fs.rename(KERNEL_ROOT, b"g", KERNEL_ROOT, b"f", 0)


async def _gone_in_a_synchronisation(scene: Scene) -> None:
    scene.driver.replica.memdb.replace(Tree.new(), NOW_S)
    scene.fs.cache.forget_all()


removals = pytest.mark.parametrize(
    "remove", [_unlinked_here, _unlinked_elsewhere, _replaced, _gone_in_a_synchronisation]
)
Removal = Callable[[Scene], Awaitable[None]]


@removals
async def test_a_removed_file_keeps_its_content_for_who_has_it_open(remove: Removal) -> None:
    scene = Scene()
    await scene.make("f", b"old")
    handle = await scene.open("f")
    await scene.others(Write(b"f", 3, b" and newer"))
    await remove(scene)
    assert await scene.fs.read(handle, 0, 100) == b"old and newer"
    attributes = await scene.fs.getattr(handle)
    assert (attributes.st_nlink, attributes.st_size) == (0, 13)


@removals
async def test_a_removed_file_still_takes_changes_but_nobody_else_sees_them(
    remove: Removal,
) -> None:
    scene = Scene()
    await scene.make("f", b"old")
    handle = await scene.open("f")
    await remove(scene)
    scene.driver.sent.clear()
    assert await scene.fs.write(handle, 5, b"xyz") == 3
    assert await scene.fs.read(handle, 0, 100) == b"old\0\0xyz"
    assert await scene.fs.write(handle, 1, b"LD") == 2
    await scene.setattr(handle, size=4)
    attributes = await scene.setattr(handle, atime_s=9, mtime_s=9)
    assert await scene.fs.read(handle, 0, 100) == b"oLD\0"
    assert (attributes.st_size, attributes.st_mtime_ns) == (4, 9_000_000_000)
    assert scene.driver.sent == []
    with refused(EFBIG):
        await scene.fs.write(handle, FILE_SIZE_BYTES_MAX, b"x")
    with refused(EFBIG):
        await scene.setattr(handle, size=FILE_SIZE_BYTES_MAX + 1)


async def test_the_content_goes_with_the_last_handle() -> None:
    scene = Scene()
    await scene.make("f", b"old")
    first, second = await scene.open("f"), await scene.open("f")
    await _unlinked_here(scene)
    await scene.fs.release(first)
    assert await scene.fs.read(second, 0, 100) == b"old"
    await scene.fs.release(second)
    with refused(ESTALE):
        await scene.fs.read(second, 0, 100)
    with refused(ESTALE):
        await scene.fs.write(second, 0, b"x")
    with refused(ESTALE):
        await scene.setattr(second, size=0)


async def test_a_write_that_loses_the_race_with_a_removal_is_not_lost_for_the_writer() -> None:
    scene = Scene()
    await scene.make("f", b"old")
    handle = await scene.open("f")
    memdb = scene.driver.replica.memdb

    def remove_first() -> None:
        outcome = memdb.apply(Delete(b"f"), 0, NOW_S, NOW_S)
        scene.fs.cache.forget(outcome.changes)

    scene.driver.before_delivery = remove_first
    assert await scene.fs.write(handle, 3, b"er") == 2
    assert await scene.fs.read(handle, 0, 100) == b"older"


async def test_what_others_move_before_a_change_is_decided_is_changed_at_its_new_place() -> None:
    """A guest that is migrated while its configuration is being written."""
    scene = Scene()
    await scene.make("f", b"old")
    handle = await scene.open("f")
    memdb = scene.driver.replica.memdb
    places = [b"f", b"g", b"h", b"i"]

    def move_first() -> None:
        if len(places) > 1:
            outcome = memdb.apply(Rename(places.pop(0), places[0]), 0, NOW_S, NOW_S)
            scene.fs.cache.forget(outcome.changes)

    scene.driver.before_delivery = move_first
    assert await scene.fs.write(handle, 3, b"er") == 2
    assert scene.content("i") == b"older"
    places[:] = [b"i", b"j"]
    await scene.setattr(handle, size=3)
    assert scene.content("j") == b"old"


async def test_a_moved_file_is_written_where_it_is_now() -> None:
    scene = Scene()
    await scene.make("f", b"old")
    handle = await scene.open("f")
    await scene.others(Rename(b"f", b"g"), Create(b"f"))
    await scene.fs.write(handle, 0, b"new")
    assert (scene.content("g"), scene.content("f")) == (b"new", b"")


async def test_nothing_is_kept_of_removed_files_that_are_not_open() -> None:
    scene = Scene()
    await scene.make("f", b"old")
    number = await scene.find("f")
    await scene.others(Delete(b"f"))
    with refused(ESTALE):
        await scene.fs.getattr(number)
    with refused(ESTALE):
        await scene.fs.open(number, 0)


async def test_what_a_synchronisation_brought_is_kept_when_the_file_is_removed() -> None:
    scene = Scene()
    await scene.make("f", b"old")
    handle = await scene.open("f")
    other = Scene()
    await other.make("f", b"synchronised")
    scene.driver.replica.memdb.replace(other.driver.replica.memdb.tree, NOW_S)
    scene.fs.cache.forget_all()
    await _unlinked_elsewhere(scene)
    assert await scene.fs.read(handle, 0, 100) == b"synchronised"


async def test_a_number_that_means_a_directory_now_is_another_object() -> None:
    scene = Scene()
    await scene.make("f", b"old")
    handle = await scene.open("f")
    other = Scene()
    await other.make("d")
    scene.driver.replica.memdb.replace(other.driver.replica.memdb.tree, NOW_S)
    scene.fs.cache.forget_all()
    assert await scene.fs.read(handle, 0, 100) == b"old"
    assert (await scene.fs.getattr(handle)).st_nlink == 0


async def test_a_number_that_means_another_file_now_is_not_written_by_who_had_the_first_open() -> (
    None
):
    other = Scene()
    await other.make("theirs", b"kept")
    scene = Scene()
    await scene.make("draft", b"mine")
    handle = await scene.open("draft")
    scene.driver.replica.memdb.replace(other.driver.replica.memdb.tree, NOW_S)
    scene.fs.cache.forget_all()
    assert await scene.fs.write(handle, 0, b"more") == 4
    assert await scene.fs.read(handle, 0, 100) == b"more"
    assert (await scene.fs.getattr(handle)).st_nlink == 0
    found = scene.driver.replica.memdb.tree.find(b"theirs")
    assert found is not None
    assert found.data == b"kept"


async def test_the_kernel_is_told_that_a_number_means_something_else_now() -> None:
    scene = Scene()
    await scene.make("draft", b"mine")
    before = await scene.fs.lookup(KERNEL_ROOT, b"draft")
    other = Scene()
    await other.make("theirs", b"kept")
    scene.driver.replica.memdb.replace(other.driver.replica.memdb.tree, NOW_S)
    scene.fs.cache.forget_all()
    after = await scene.fs.lookup(KERNEL_ROOT, b"theirs")
    assert after.st_ino == before.st_ino
    assert after.generation != before.generation
    assert await scene.fs.read(after.st_ino, 0, 100) == b"kept"


async def test_a_file_that_comes_back_with_a_synchronisation_is_the_trees_again() -> None:
    scene = Scene()
    await scene.make("f", b"old")
    tree = scene.driver.replica.memdb.tree
    handle = await scene.open("f")
    other = Memdb(Tree.new(), NOW_S).tree
    scene.driver.replica.memdb.replace(other, NOW_S)
    scene.fs.cache.forget_all()
    scene.driver.replica.memdb.replace(tree, NOW_S)
    scene.fs.cache.forget_all()
    await scene.others(Write(b"f", 0, b"new"))
    assert await scene.fs.read(handle, 0, 100) == b"new"
    assert (await scene.fs.getattr(handle)).st_nlink == 1


async def test_who_has_just_found_a_name_opens_the_file_that_it_had() -> None:
    """A file that others replace all the time is always there, and can always be opened."""
    scene = Scene()
    scene.invalidator.knows_names = True
    scene.fs.cache.attach(scene.invalidator)
    await scene.make("f", b"old")
    number = await scene.find("f")
    await scene.make("g", b"new")
    await scene.others(Rename(b"g", b"f"))
    assert (await scene.fs.getattr(number)).st_nlink == 0
    handle = await scene.fs.open(number, 0)
    assert await scene.fs.read(handle, 0, 10) == b"old"
    for turn in range(REMOVED_MAX):
        await scene.make(f"other{turn}", b"")
        await scene.others(Delete(f"other{turn}".encode()))
    assert await scene.fs.read(handle, 0, 10) == b"old"
    await scene.fs.release(handle)
    with refused(ESTALE):
        await scene.fs.open(number, 0)


@pytest.mark.parametrize("operation", [Create(b"f"), Mkdir(b"f")], ids=["file", "directory"])
async def test_what_is_removed_and_not_open_takes_no_change_though_it_is_remembered(
    operation: Operation,
) -> None:
    """Who asks to have a lock broken that its holder removes at this moment gets no EIO."""
    scene = Scene()
    scene.invalidator.knows_names = True
    scene.fs.cache.attach(scene.invalidator)
    await scene.others(operation)
    number = await scene.find("f")
    await scene.others(Delete(b"f"))
    with refused(ESTALE):
        await scene.setattr(number, atime_s=0, mtime_s=0)
    with refused(ESTALE):
        await scene.setattr(number, size=0)


async def test_without_certainty_about_names_a_removed_file_cannot_be_opened() -> None:
    scene = Scene()
    await scene.make("f", b"old")
    number = await scene.find("f")
    await scene.others(Delete(b"f"))
    with refused(ESTALE):
        await scene.fs.open(number, 0)


async def test_known_files_that_were_removed_last_are_kept_within_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_files, "KNOWN_ORPHANS_BYTES_MAX", 10)
    scene = Scene()
    scene.fs.silence_opens(True)
    names = ("a", "b", "c", "d")
    numbers = {}
    for name in names:
        await scene.make(name, b"1234")
        numbers[name] = await scene.find(name)
    for name in names[:3]:
        await scene.others(Delete(name.encode()))
    with refused(ESTALE):
        await scene.fs.read(numbers["a"], 0, 9)
    scene.fs.forget([(numbers["b"], 99)])
    with refused(ESTALE):
        await scene.fs.read(numbers["b"], 0, 9)
    await scene.others(Delete(b"d"))
    for name in ("c", "d"):
        assert await scene.fs.read(numbers[name], 0, 9) == b"1234"

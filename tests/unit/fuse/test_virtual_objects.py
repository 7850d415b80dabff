"""Status files and links: an inode stands for a text, and .debug takes 0 or 1."""

from errno import EACCES, EIO, ESTALE
from os import O_TRUNC, O_WRONLY

import pytest

from pmxcfs.errors import OperationError
from pmxcfs.fuse.inodes import FIRST_VIRTUAL_INODE, KERNEL_ROOT, VirtualInodes
from pmxcfs.fuse.virtual_files import VirtualFile, debug_switch, node_links, read_only
from pmxcfs.memdb.operations import Mkdir
from tests.unit.fuse.scene import Scene, refused


def test_links_lead_to_the_directories_of_our_node() -> None:
    targets = {link.name: link.target for link in node_links("n1")}
    assert targets == {
        b"local": b"nodes/n1",
        b"qemu-server": b"nodes/n1/qemu-server",
        b"lxc": b"nodes/n1/lxc",
        b"openvz": b"nodes/n1/openvz",
    }


def test_an_unchanged_text_keeps_its_inode_and_a_new_text_gets_a_new_one() -> None:
    texts = [b"one"]
    inodes = VirtualInodes([read_only(b".version", lambda: texts[-1])])
    first = inodes.current(b".version")
    assert inodes.current(b".version").number == first.number >= FIRST_VIRTUAL_INODE
    texts.append(b"two")
    second = inodes.current(b".version")
    assert (second.text, first.text) == (b"two", b"one")
    assert second.number != first.number


def test_a_text_that_the_kernel_never_got_is_not_kept() -> None:
    inodes = VirtualInodes([read_only(b".version", lambda: b"one")])
    assert inodes.get(inodes.current(b".version").number) is None


@pytest.mark.parametrize(("text", "is_on"), [(b"1\n", True), (b"0\n", False), (b"1\nmore", True)])
def test_debug_takes_a_digit_and_a_newline(text: bytes, is_on: bool) -> None:
    turned: list[bool] = []
    switch = debug_switch(lambda: False, turned.append)
    assert switch.write is not None
    assert switch.write(text) == 2
    assert turned == [is_on]


@pytest.mark.parametrize("text", [b"1", b"", b"2\n", b"10\n", b"\n"])
def test_debug_takes_nothing_else(text: bytes) -> None:
    turned: list[bool] = []
    switch = debug_switch(lambda: False, turned.append)
    assert switch.write is not None
    with pytest.raises(OperationError) as refusal:
        switch.write(text)
    assert (refusal.value.errno, turned) == (EIO, [])


async def test_who_has_a_status_file_open_reads_one_text_to_the_end() -> None:
    scene = Scene()
    handle = await scene.open(".version")
    begin = await scene.fs.read(handle, 0, 4)
    scene.version_text = b"something else entirely"
    assert begin + await scene.fs.read(handle, 4, 4096) == b"version 1"
    later = await scene.open(".version")
    assert await scene.fs.read(later, 0, 4096) == b"something else entirely"


async def test_a_status_file_must_be_looked_up_every_time_and_shows_its_size() -> None:
    scene = Scene()
    attributes = await scene.fs.lookup(KERNEL_ROOT, b".version")
    assert attributes.entry_timeout == 0
    assert (attributes.st_size, attributes.st_mode) == (9, 0o100440)


async def test_a_text_goes_when_the_kernel_gives_its_inode_back() -> None:
    scene = Scene()
    number = await scene.find(".version")
    assert await scene.find(".version") == number
    scene.fs.forget([(number, 1)])
    assert (await scene.fs.getattr(number)).st_size == 9
    scene.fs.forget([(number, 1)])
    with refused(ESTALE):
        await scene.fs.getattr(number)


async def test_debug_is_switched_through_the_mount_without_quorum() -> None:
    scene = Scene()
    scene.set_quorate(False)
    handle = await scene.open(".debug", O_WRONLY | O_TRUNC)
    assert await scene.fs.write(handle, 0, b"1\nrest") == 2
    assert scene.is_debug
    assert await scene.fs.read(await scene.open(".debug"), 0, 10) == b"1\n"
    with refused(EIO):
        await scene.fs.write(handle, 1, b"1\n")


async def test_status_files_are_not_written_or_cut() -> None:
    scene = Scene()
    with refused(EIO):
        await scene.open(".version", O_WRONLY | O_TRUNC)
    with refused(EIO):
        await scene.fs.write(await scene.open(".version"), 0, b"x")
    with refused(EIO):
        await scene.setattr(".version", size=0)


async def test_virtual_objects_are_not_touched_moved_replaced_or_removed() -> None:
    scene = Scene()
    await scene.make("f", b"")
    root = KERNEL_ROOT
    for name in (b".version", b"local"):
        with refused(EACCES):
            await scene.setattr(name.decode(), atime_s=1, mtime_s=1)
        with refused(EACCES):
            await scene.fs.unlink(root, name)
        with refused(EACCES):
            await scene.fs.rmdir(root, name)
        with refused(EACCES):
            await scene.fs.mkdir(root, name, 0o755)
        with refused(EACCES):
            await scene.fs.create(root, name, 0o644, 0)
        with refused(EACCES):
            await scene.fs.rename(root, name, root, b"new", 0)
        with refused(EACCES):
            await scene.fs.rename(root, b"f", root, name, 0)
    assert scene.driver.sent == []


async def test_a_link_hides_an_entry_of_its_name_only_at_the_root() -> None:
    scene = Scene()
    await scene.others(Mkdir(b"local"))
    await scene.make("sub/local", b"mine")
    assert await scene.fs.readlink(await scene.find("local")) == b"nodes/alone"
    assert await scene.fs.read(await scene.open("sub/local"), 0, 10) == b"mine"


def test_a_virtual_file_is_read_only_unless_it_says_otherwise() -> None:
    assert VirtualFile(b"x", 0o440, lambda: b"").write is None

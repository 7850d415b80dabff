"""What a request of this kernel changes is not told to it, and nothing else is left out."""

from errno import EEXIST

from pmxcfs.dfsm.events import Delivered
from pmxcfs.dfsm.wire import NormalHeader
from pmxcfs.fuse.inodes import KERNEL_ROOT
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.messages import encode_operation
from pmxcfs.memdb.operations import Create, Delete, Operation, Write
from tests.unit.fuse.scene import NOW_S, Scene, refused

OTHER = Member(NodeId(2), Pid(7))


def delivered(operation: Operation) -> Delivered:
    """Return a change by another node, as the group delivers it."""
    subtype, payload = encode_operation(operation)
    return Delivered(OTHER, NormalHeader(subtype, 1, NOW_S, 1).encode() + payload)


async def test_the_kernel_is_told_nothing_of_what_its_own_requests_change() -> None:
    scene = Scene()
    await scene.make("d/f", b"")
    directory, file = await scene.find("d"), await scene.find("d/f")
    scene.invalidator.inodes.clear()
    await scene.fs.mkdir(directory, b"e", 0)
    await scene.fs.create(directory, b"g", 0, 0)
    await scene.fs.write(file, 0, b"x")
    await scene.setattr(file, size=0)
    await scene.setattr(file, atime_s=NOW_S, mtime_s=NOW_S + 5)
    await scene.fs.rename(directory, b"f", directory, b"g", 0)
    await scene.fs.unlink(directory, b"g")
    await scene.fs.rmdir(directory, b"e")
    assert scene.invalidator.inodes == []


async def test_the_kernel_is_told_of_an_entry_that_got_another_mode_or_another_parent() -> None:
    scene = Scene()
    await scene.make("d/f", b"")
    await scene.make("e")
    d, e, file = await scene.find("d"), await scene.find("e"), await scene.find("d/f")
    scene.invalidator.inodes.clear()
    await scene.fs.rename(d, b"f", e, b"f", 0)
    assert scene.invalidator.inodes == [file]
    await scene.fs.rename(e, b"f", e, b"vps.mount", 0)
    assert scene.invalidator.inodes == [file, file]
    await scene.fs.rename(KERNEL_ROOT, b"d", KERNEL_ROOT, b"priv", 0)
    assert scene.invalidator.inodes == [file, file, d]


async def test_the_kernel_is_told_of_what_others_change_while_its_own_request_waits() -> None:
    scene = Scene()
    await scene.make("d/f", b"")
    directory, file = await scene.find("d"), await scene.find("d/f")
    scene.invalidator.inodes.clear()
    scene.driver.before_delivery = lambda: scene.driver.feed([delivered(Create(b"d/x"))])
    await scene.fs.mkdir(directory, b"e", 0)
    assert scene.invalidator.inodes == [directory]
    scene.driver.before_delivery = lambda: scene.driver.feed([delivered(Write(b"d/f", 0, b"x"))])
    await scene.fs.write(file, 0, b"y")
    assert scene.invalidator.inodes == [directory, file]
    scene.driver.before_delivery = lambda: scene.driver.feed([delivered(Delete(b"d/f"))])
    with refused(2):
        await scene.fs.unlink(directory, b"f")
    assert set(scene.invalidator.inodes[2:]) == {directory, file}
    assert scene.invalidator.names_forgotten == 1


async def test_the_kernel_is_told_of_what_changed_here_if_its_own_request_fails() -> None:
    scene = Scene()
    await scene.make("d")
    directory = await scene.find("d")

    def anticipate() -> None:
        scene.driver.begin(Create(b"d/e"), lambda result: None)

    scene.invalidator.inodes.clear()
    scene.driver.before_delivery = anticipate
    with refused(EEXIST):
        await scene.fs.mkdir(directory, b"e", 0)
    assert scene.invalidator.inodes == [directory]


async def test_the_kernel_is_told_of_what_comes_after_its_request_was_given_up() -> None:
    scene = Scene()
    await scene.make("d")
    directory = await scene.find("d")
    scene.invalidator.inodes.clear()
    await scene.fs.mkdir(directory, b"e", 0)
    await scene.others(Create(b"d/f"))
    assert scene.invalidator.inodes == [directory]

"""What requests become before they are sent to the members, and what is never sent."""

from errno import (
    EACCES,
    EEXIST,
    EFBIG,
    EINVAL,
    EISDIR,
    ENAMETOOLONG,
    ENOENT,
    ENOSYS,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    ESTALE,
)
from os import O_TRUNC, O_WRONLY
from stat import S_IFIFO, S_IFREG

import pyfuse3
import pytest

from pmxcfs.dcdb import PROTOCOL_VERSION
from pmxcfs.dfsm.events import Delivered
from pmxcfs.dfsm.outgoing import Outgoing
from pmxcfs.fuse.inodes import KERNEL_ROOT
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.memdb.entry import FILE_SIZE_BYTES_MAX
from pmxcfs.memdb.messages import encode_operation
from pmxcfs.memdb.operations import (
    Create,
    Delete,
    Mkdir,
    Operation,
    Rename,
    SetMtime,
    Write,
)
from tests.unit.fuse.scene import NOW_S, Scene, refused

FOUR_GIB = 2**32
ME, OTHER = Member(NodeId(0), Pid(42)), Member(NodeId(0), Pid(43))


async def test_every_change_becomes_one_operation_with_the_path_of_the_moment() -> None:
    scene = Scene()
    fs = scene.fs
    directory = (await fs.mkdir(KERNEL_ROOT, b"d", 0o777)).st_ino
    attributes = await fs.create(directory, b"f", 0o777, 0)
    assert await fs.write(attributes.st_ino, 3, b"abc") == 3
    await scene.others(Rename(b"d/f", b"d/g"))
    await scene.setattr(attributes.st_ino, size=2)
    await scene.setattr(attributes.st_ino, atime_s=1, mtime_s=77)
    await fs.rename(directory, b"g", KERNEL_ROOT, b"h", 0)
    await fs.unlink(KERNEL_ROOT, b"h")
    await fs.rmdir(KERNEL_ROOT, b"d")
    await fs.mknod(KERNEL_ROOT, b"n", S_IFREG | 0o600)
    assert scene.driver.sent == [
        Mkdir(b"d"),
        Create(b"d/f"),
        Write(b"d/f", 3, b"abc"),
        Write(b"d/g", 2, b"", truncate=True),
        SetMtime(b"d/g", 77),
        Rename(b"d/g", b"h"),
        Delete(b"h"),
        Delete(b"d"),
        Create(b"n"),
    ]


async def test_without_quorum_nothing_is_sent() -> None:
    scene = Scene()
    await scene.make("d/f", b"text")
    directory, file = await scene.find("d"), await scene.find("d/f")
    handle = await scene.open("d/f")
    scene.set_quorate(False)
    fs = scene.fs
    for request in (
        fs.mkdir(directory, b"x", 0),
        fs.create(directory, b"x", 0, 0),
        fs.mknod(directory, b"x", S_IFREG),
        fs.unlink(directory, b"f"),
        fs.rmdir(KERNEL_ROOT, b"d"),
        fs.rename(directory, b"f", directory, b"g", 0),
        fs.write(handle, 0, b"x"),
        fs.write(handle, FOUR_GIB, b"x"),
        fs.open(file, O_WRONLY | O_TRUNC),
        scene.setattr(file, size=1),
        scene.setattr(file, atime_s=1, mtime_s=1),
    ):
        with refused(EACCES):
            await request
    assert scene.driver.sent == []
    assert await fs.read(await scene.open("d/f"), 0, 100) == b"text"


@pytest.mark.parametrize("offset", [FILE_SIZE_BYTES_MAX, FOUR_GIB, FOUR_GIB + 5])
async def test_what_exceeds_a_mebibyte_is_refused_before_its_offset_can_wrap(offset: int) -> None:
    scene = Scene()
    await scene.make("f", b"text")
    handle = await scene.open("f")
    with refused(EFBIG):
        await scene.fs.write(handle, offset, b"x")
    with refused(EFBIG):
        await scene.setattr("f", size=offset + 1)
    assert scene.driver.sent == []


async def test_a_mebibyte_is_not_too_large() -> None:
    scene = Scene()
    await scene.make("f", b"")
    handle = await scene.open("f")
    await scene.fs.write(handle, FILE_SIZE_BYTES_MAX - 1, b"x")
    assert (await scene.fs.getattr(handle)).st_size == FILE_SIZE_BYTES_MAX
    await scene.setattr("f", size=FILE_SIZE_BYTES_MAX)


async def test_an_empty_file_grows_by_a_write_of_zeros() -> None:
    scene = Scene()
    await scene.make("f", b"")
    assert (await scene.setattr("f", size=3)).st_size == 3
    assert scene.driver.sent == [Write(b"f", 0, b"\0\0\0", truncate=True)]
    assert scene.content("f") == b"\0\0\0"


async def test_a_file_with_a_size_and_no_data_reads_as_zeros_and_is_mended_by_truncation() -> None:
    scene = Scene()
    await scene.make("f", b"")
    await scene.others(Write(b"f", 9, b"", truncate=True))
    assert (scene.content("f"), await scene.fs.read(await scene.open("f"), 4, 99)) == (
        b"",
        bytes(5),
    )
    assert (await scene.setattr("f", size=4)).st_size == 4
    assert scene.content("f") == bytes(4)


async def test_open_with_truncation_cuts_the_file_even_if_it_is_empty() -> None:
    scene = Scene()
    await scene.make("f", b"text")
    await scene.open("f", O_WRONLY | O_TRUNC)
    await scene.open("f", O_WRONLY | O_TRUNC)
    assert scene.driver.sent == [Write(b"f", 0, b"", truncate=True)] * 2
    assert scene.content("f") == b""


async def test_a_directory_with_children_is_not_moved() -> None:
    scene = Scene()
    await scene.make("d/f", b"")
    await scene.make("e")
    await scene.make("priv/lock/l/f", b"")
    with refused(ENOTEMPTY):
        await scene.fs.rename(KERNEL_ROOT, b"d", KERNEL_ROOT, b"e", 0)
    with refused(EACCES):
        await scene.fs.rename(await scene.find("priv/lock"), b"l", KERNEL_ROOT, b"m", 0)
    assert scene.driver.sent == []
    assert scene.entry("e") is not None


async def test_no_directory_takes_the_place_of_a_guests_configuration() -> None:
    scene = Scene()
    directory = KERNEL_ROOT
    for name in (b"nodes", b"b", b"lxc"):
        directory = (await scene.fs.mkdir(directory, name, 0o777)).st_ino
    await scene.fs.mkdir(directory, b"100", 0o777)
    sent = len(scene.driver.sent)
    with refused(EINVAL):
        await scene.fs.mkdir(directory, b"100.conf", 0o777)
    with refused(EINVAL):
        await scene.fs.rename(directory, b"100", directory, b"100.conf", 0)
    assert len(scene.driver.sent) == sent


async def test_a_rename_onto_itself_is_not_sent() -> None:
    scene = Scene()
    await scene.make("f", b"text")
    await scene.fs.rename(KERNEL_ROOT, b"f", KERNEL_ROOT, b"f", 0)
    assert scene.driver.sent == []
    assert scene.content("f") == b"text"


@pytest.mark.parametrize("flags", [pyfuse3.RENAME_NOREPLACE, pyfuse3.RENAME_EXCHANGE])
async def test_renames_with_flags_are_refused(flags: int) -> None:
    scene = Scene()
    await scene.make("f", b"")
    with refused(EINVAL):
        await scene.fs.rename(KERNEL_ROOT, b"f", KERNEL_ROOT, b"g", flags)


async def test_a_file_and_a_directory_never_take_each_others_place() -> None:
    scene = Scene()
    await scene.make("f", b"")
    await scene.make("d")
    with refused(EISDIR):
        await scene.fs.rename(KERNEL_ROOT, b"f", KERNEL_ROOT, b"d", 0)
    with refused(ENOTDIR):
        await scene.fs.rename(KERNEL_ROOT, b"d", KERNEL_ROOT, b"f", 0)
    with refused(EISDIR):
        await scene.fs.unlink(KERNEL_ROOT, b"d")
    with refused(ENOTDIR):
        await scene.fs.rmdir(KERNEL_ROOT, b"f")
    assert scene.driver.sent == []


async def test_the_members_verdict_reaches_the_caller() -> None:
    scene = Scene()
    await scene.make("d/f", b"")
    directory = await scene.find("d")
    with refused(EEXIST):
        await scene.fs.create(directory, b"f", 0, 0)
    with refused(ENOENT):
        await scene.fs.unlink(directory, b"x")
    with refused(ENOTEMPTY):
        await scene.fs.rmdir(KERNEL_ROOT, b"d")


async def test_a_duplicate_vm_id_is_refused() -> None:
    scene = Scene()
    await scene.make("nodes/a/qemu-server/100.conf", b"")
    await scene.make("nodes/b/qemu-server")
    with refused(EEXIST):
        await scene.fs.create(await scene.find("nodes/b/qemu-server"), b"100.conf", 0, 0)


class Batch:
    """A group that brings our message together with what another node sent after it."""

    def __init__(self, scene: Scene, *others: Operation) -> None:
        self._driver = scene.driver
        self._others = others
        scene.driver.attach(self)

    def multicast(self, data: bytes) -> None:
        outgoing = Outgoing(PROTOCOL_VERSION)
        sent = [outgoing.number(*encode_operation(each), NOW_S)[1] for each in self._others]
        self._driver.feed([Delivered(ME, data), *(Delivered(OTHER, each) for each in sent)])

    def leave(self, *, for_good: bool) -> None:
        raise AssertionError


@pytest.mark.parametrize("are_opens_silent", [False, True])
async def test_what_another_node_has_removed_by_the_time_we_hear_of_it_was_made_nevertheless(
    are_opens_silent: bool,
) -> None:
    scene = Scene()
    scene.fs.silence_opens(are_opens_silent)
    Batch(scene, Delete(b"f"))
    made = await scene.fs.create(KERNEL_ROOT, b"f", 0, 0)
    assert (made.st_nlink, made.entry_timeout) == (0, 0)
    assert await scene.fs.write(made.st_ino, 0, b"text") == 4
    assert await scene.fs.read(made.st_ino, 0, 9) == b"text"
    with refused(ENOENT):
        await scene.fs.lookup(KERNEL_ROOT, b"f")
    Batch(scene, Delete(b"d"))
    assert (await scene.fs.mkdir(KERNEL_ROOT, b"d", 0)).entry_timeout == 0


async def test_what_another_node_has_moved_by_the_time_we_hear_of_it_is_followed() -> None:
    scene = Scene()
    Batch(scene, Rename(b"f", b"g"))
    made = await scene.fs.create(KERNEL_ROOT, b"f", 0, 0)
    assert made.entry_timeout == 0
    Batch(scene)
    await scene.fs.write(made.st_ino, 0, b"text")
    assert scene.content("g") == b"text"
    assert await scene.find("g") == made.st_ino
    with refused(ENOENT):
        await scene.fs.lookup(KERNEL_ROOT, b"f")


async def test_a_directory_that_has_gone_is_stale_so_that_the_kernel_looks_it_up_again() -> None:
    scene = Scene()
    directory = (await scene.fs.mkdir(KERNEL_ROOT, b"d", 0)).st_ino
    await scene.fs.rmdir(KERNEL_ROOT, b"d")
    with refused(ESTALE):
        await scene.fs.create(directory, b"f", 0, 0)
    with refused(ESTALE):
        await scene.fs.lookup(directory, b"f")
    with refused(ESTALE):
        await scene.fs.getattr(directory)
    with refused(ENOENT):
        await scene.fs.lookup(KERNEL_ROOT, b"d")


async def test_names_that_older_kernels_cannot_list_are_refused() -> None:
    scene = Scene()
    await scene.make("f", b"")
    for name in (b"x" * 1024, b"x" * 1025):
        requests = (
            scene.fs.mkdir(KERNEL_ROOT, name, 0),
            scene.fs.create(KERNEL_ROOT, b"y" + name[1:], 0, 0),
            scene.fs.rename(KERNEL_ROOT, b"f", KERNEL_ROOT, b"z" + name[1:], 0),
        )
        for request in requests:
            if len(name) <= 1024:
                await request
            else:
                with refused(ENAMETOOLONG):
                    await request


async def test_time_stamps_count_only_if_both_are_set() -> None:
    scene = Scene()
    await scene.make("f", b"")
    await scene.setattr("f", mtime_s=5)
    await scene.setattr("f", atime_s=5)
    assert scene.driver.sent == []
    attributes = await scene.setattr("f", atime_s=5, mtime_s=6)
    assert attributes.st_mtime_ns == attributes.st_atime_ns == 6_000_000_000


async def test_modification_times_are_cut_to_32_bits() -> None:
    scene = Scene()
    await scene.make("f", b"")
    await scene.setattr("f", atime_s=0, mtime_s=FOUR_GIB + 7)
    assert scene.driver.sent == [SetMtime(b"f", 7)]


async def test_the_roots_time_cannot_be_set() -> None:
    scene = Scene()
    with refused(EACCES):
        await scene.setattr(KERNEL_ROOT, atime_s=1, mtime_s=1)


async def test_modes_and_owners_can_only_be_set_to_what_they_are() -> None:
    scene = Scene()
    await scene.make("priv/f", b"")
    scene.set_quorate(False)
    await scene.setattr("priv/f", mode=S_IFREG | 0o600, uid=0, gid=33)
    await scene.setattr(".version", mode=S_IFREG | 0o640)
    for wanted in ({"mode": 0o640}, {"uid": 1}, {"gid": 0}, {"uid": 0, "gid": 0}):
        with refused(EPERM):
            await scene.setattr("priv/f", **wanted)
    assert scene.driver.sent == []


async def test_devices_and_pipes_cannot_be_made() -> None:
    scene = Scene()
    with refused(ENOSYS):
        await scene.fs.mknod(KERNEL_ROOT, b"p", S_IFIFO | 0o600)

"""What stat and statvfs say, and that what was said once is not said when it is no longer true."""

import stat

from pmxcfs.fuse.attributes import CACHE_S, StatVfs
from pmxcfs.fuse.inodes import KERNEL_ROOT
from pmxcfs.memdb.operations import Rename, SetMtime, Write
from tests.unit.fuse.scene import GID, NOW_S, Scene

SECOND_NS = 1_000_000_000


async def test_a_file_shows_size_time_and_owner() -> None:
    scene = Scene()
    await scene.make("f", bytes(4097))
    found = await scene.fs.lookup(KERNEL_ROOT, b"f")
    assert (found.st_mode, found.st_nlink) == (stat.S_IFREG | 0o640, 1)
    assert (found.st_uid, found.st_gid) == (0, GID)
    assert (found.st_size, found.st_blocks) == (4097, 2)
    assert found.st_mtime_ns == found.st_atime_ns == NOW_S * SECOND_NS
    assert found.entry_timeout == CACHE_S


async def test_the_root_shows_neither_time_nor_quorum() -> None:
    scene = Scene()
    await scene.make("f", b"")
    scene.set_quorate(False)
    root = await scene.fs.getattr(KERNEL_ROOT)
    assert (root.st_mode, root.st_nlink, root.st_size) == (stat.S_IFDIR | 0o755, 2, 0)
    assert root.st_mtime_ns == 0


async def test_attributes_follow_every_change() -> None:
    scene = Scene()
    await scene.make("f", b"one")
    await scene.make("priv")
    number = await scene.find("f")
    assert (await scene.fs.getattr(number)).st_size == 3
    await scene.others(Write(b"f", 3, b"more"))
    assert (await scene.fs.getattr(number)).st_size == 7
    await scene.others(SetMtime(b"f", 5))
    assert (await scene.fs.getattr(number)).st_mtime_ns == 5 * SECOND_NS
    await scene.others(Rename(b"f", b"priv/f"))
    assert (await scene.fs.getattr(number)).st_mode == stat.S_IFREG | 0o600
    scene.set_quorate(False)
    assert (await scene.fs.getattr(number)).st_mode == stat.S_IFREG | 0o400
    scene.set_quorate(True)
    assert (await scene.fs.getattr(number)).st_mode == stat.S_IFREG | 0o600


async def test_links_show_the_quorum() -> None:
    scene = Scene()
    number = await scene.find("local")
    for is_quorate, permissions in ((True, 0o755), (False, 0o555)):
        scene.set_quorate(is_quorate)
        link = await scene.fs.getattr(number)
        assert link.st_mode == stat.S_IFLNK | permissions
        assert (link.st_size, link.st_mtime_ns) == (len(b"nodes/alone"), 0)


async def test_statvfs_counts_blocks_over_the_sum_and_inodes_with_the_root() -> None:
    scene = Scene()
    empty = await scene.fs.statfs()
    assert empty == StatVfs(blocks=32768, blocks_free=32768, inodes=262144, inodes_free=262143)
    await scene.make("a", b"x")
    await scene.make("b", b"x")
    used = await scene.fs.statfs()
    assert (used.blocks_free, used.inodes_free) == (32767, 262141)


async def test_free_blocks_wrap_around_beyond_the_limit() -> None:
    scene = Scene()
    scene.driver.replica.memdb.tree.content_size_bytes = 129 * 2**20
    assert (await scene.fs.statfs()).blocks_free == 2**64 - 256

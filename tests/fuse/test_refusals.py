"""Calls that the file system does not have, and how their callers hear of it."""

import ctypes
import errno
import fcntl
import os
import socket
from pathlib import Path

import pytest

from tests.fuse.calls import refusal

AT_FDCWD = -100
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
WWW_DATA_GID = 33

_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def _utimens(path: Path, *nanoseconds: int) -> int:
    times = (_Timespec * 2)(*(_Timespec(0, value) for value in nanoseconds))
    return int(_libc.utimensat(AT_FDCWD, os.fsencode(path), times, 0))


@pytest.fixture
def file(place: Path) -> Path:
    path = place / "f"
    path.write_bytes(b"text")
    return path


def test_there_are_no_links(file: Path) -> None:
    assert refusal(os.symlink, "target", file.with_name("link")) == errno.ENOSYS
    assert refusal(os.link, file, file.with_name("link")) in (errno.EPERM, errno.ENOSYS)


def test_there_are_no_pipes_sockets_and_devices(place: Path) -> None:
    assert refusal(os.mkfifo, place / "pipe") == errno.ENOSYS
    assert refusal(os.mknod, place / "device", 0o020600, os.makedev(1, 3)) == errno.ENOSYS
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(place)  # a unix socket's path must be short
        try:
            assert refusal(server.bind, "s") == errno.ENOSYS
        finally:
            os.chdir("/")


def test_there_are_no_extended_attributes(file: Path) -> None:
    for _ in range(2):  # the kernel answers the second time
        assert refusal(os.setxattr, file, "user.a", b"1") == errno.ENOTSUP
        assert refusal(os.getxattr, file, "user.a") == errno.ENOTSUP
        assert refusal(os.listxattr, file) == errno.ENOTSUP
        assert refusal(os.removexattr, file, "user.a") == errno.ENOTSUP


def test_there_is_no_ioctl_and_no_preallocation(file: Path) -> None:
    descriptor = os.open(file, os.O_RDWR)
    assert refusal(fcntl.ioctl, descriptor, 0x5413) == errno.ENOTTY
    assert _libc.fallocate(descriptor, 0, ctypes.c_long(0), ctypes.c_long(10)) == -1
    assert ctypes.get_errno() == errno.ENOTSUP
    os.close(descriptor)


def test_the_c_library_preallocates_by_writing(file: Path) -> None:
    file.write_bytes(b"text")
    descriptor = os.open(file, os.O_RDWR)
    os.posix_fallocate(descriptor, 0, 5000)
    os.close(descriptor)
    assert file.read_bytes() == b"text" + bytes(4996)


@pytest.mark.parametrize("flags", [RENAME_NOREPLACE, RENAME_EXCHANGE])
def test_renames_with_flags_are_refused(file: Path, flags: int) -> None:
    other = file.with_name("other")
    if flags == RENAME_EXCHANGE:
        other.touch()
    names = os.fsencode(file), os.fsencode(other)
    assert _libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], flags) == -1
    assert ctypes.get_errno() == errno.EINVAL


def test_chmod_accepts_only_the_mode_of_the_path(file: Path, mount: Path) -> None:
    private = mount / "priv"
    private.mkdir(exist_ok=True)
    secret = private / "secret"
    secret.touch()
    for path, right, wrong in ((file, 0o640, 0o600), (secret, 0o600, 0o640)):
        path.chmod(right)
        for mode in (wrong, 0o644, 0o4000 | right):
            assert refusal(path.chmod, mode) == errno.EPERM
        assert path.stat().st_mode & 0o7777 == right
    file.parent.chmod(0o640)
    assert file.parent.stat().st_mode & 0o7777 == 0o755
    (mount / ".version").chmod(0o640)


def test_chown_accepts_only_the_owners_of_everything(file: Path, mount: Path) -> None:
    for uid, gid in ((0, WWW_DATA_GID), (-1, WWW_DATA_GID), (0, -1)):
        os.chown(file, uid, gid)
        os.chown(mount / ".version", uid, gid)
    for uid, gid in ((0, 0), (33, -1), (-1, 0)):
        assert refusal(os.chown, file, uid, gid) == errno.EPERM


def test_times_are_set_both_or_not_at_all(file: Path) -> None:
    os.utime(file, (1, 1))
    for times in ((UTIME_OMIT, UTIME_NOW), (UTIME_NOW, UTIME_OMIT), (UTIME_OMIT, UTIME_OMIT)):
        assert _utimens(file, *times) == 0
        assert file.stat().st_mtime == 1
    assert _utimens(file, UTIME_NOW, UTIME_NOW) == 0
    assert file.stat().st_mtime > 1


def test_files_and_directories_do_not_take_each_others_place(file: Path) -> None:
    directory = file.with_name("d")
    directory.mkdir()
    assert refusal(os.rename, file, directory) == errno.EISDIR
    assert refusal(os.rename, directory, file) == errno.ENOTDIR
    assert refusal(os.unlink, directory) == errno.EISDIR
    assert refusal(os.rmdir, file) == errno.ENOTDIR
    assert refusal(os.open, directory, os.O_WRONLY) == errno.EISDIR


def test_missing_things_are_missing(place: Path) -> None:
    assert refusal(os.stat, place / "x") == errno.ENOENT
    assert refusal(os.unlink, place / "x") == errno.ENOENT
    assert refusal(os.rename, place / "x", place / "y") == errno.ENOENT
    assert refusal(os.mkdir, place / "x" / "y") == errno.ENOENT


def test_the_roots_time_cannot_be_set(mount: Path) -> None:
    assert refusal(os.utime, mount) == errno.EACCES


def test_a_duplicate_vm_id_is_refused(mount: Path) -> None:
    for node in ("alpha", "beta"):
        (mount / "nodes" / node / "qemu-server").mkdir(parents=True)
    guest = mount / "nodes/alpha/qemu-server/4711.conf"
    duplicate = mount / "nodes/beta/qemu-server/4711.conf"
    guest.write_bytes(b"memory: 512\n")
    assert refusal(duplicate.touch) == errno.EEXIST
    guest.rename(duplicate)
    assert b'"4711": { "node": "beta"' in (mount / ".vmlist").read_bytes()


def test_a_lock_is_neither_moved_nor_set_back(mount: Path) -> None:
    lock = mount / "priv/lock/storage-x"
    lock.mkdir(parents=True)
    assert refusal(os.rename, lock, mount / "elsewhere") == errno.EACCES
    assert refusal(os.utime, lock, (0, 0)) == errno.EACCES
    os.utime(lock)
    lock.rmdir()

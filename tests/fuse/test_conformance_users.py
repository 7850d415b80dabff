"""What somebody who is not root may do: one row of the table, one errno or success.

A row's call is made by a process of its own, as www-data (the group of everything) or as nobody
(none of ours), in a furnished directory beside ``priv`` and the virtual objects.
"""

import os
import subprocess
import sys
from errno import EACCES, EEXIST, ENOENT, ENOTDIR, EPERM
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fuse.conformance import furnish, seen
from tests.fuse.daemon import Daemon

WWW_DATA: Final = 33
NOBODY: Final = 65534
OK = 0

CALLER = """
import os, sys
user = int(sys.argv[1])
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
try:
    eval(sys.argv[2])
except OSError as error:
    print(error.errno)
else:
    print(0)
"""

ROWS: tuple[tuple[str, int, int, str], ...] = (
    # call, as www-data, as nobody, why
    ("os.stat('file')", OK, OK, "directories are open to all"),
    ("os.listdir('.')", OK, OK, "directories are open to all"),
    ("os.listdir('..')", OK, OK, "the root too"),
    ("os.chdir('full')", OK, OK, "directories are open to all"),
    ("os.statvfs('.')", OK, OK, "nothing to hide"),
    ("os.readlink('../local')", OK, OK, "links have no rights of their own"),
    ("os.open('file', os.O_RDONLY)", OK, EACCES, "0640: the group reads"),
    ("os.open('file', os.O_WRONLY)", EACCES, EACCES, "0640: only root writes"),
    ("os.open('file', os.O_RDWR)", EACCES, EACCES, "0640: only root writes"),
    ("os.open('file', os.O_RDONLY | os.O_TRUNC)", EACCES, EACCES, "emptying is writing"),
    ("os.open('file', os.O_RDWR | os.O_CREAT)", EACCES, EACCES, "it is there: as without O_CREAT"),
    ("os.open('file', os.O_RDWR | os.O_CREAT | os.O_EXCL)", EEXIST, EEXIST, "it is there"),
    ("os.open('file', os.O_PATH)", OK, OK, "a place is no content"),
    ("os.open('missing', os.O_RDONLY)", ENOENT, ENOENT, "it is missing"),
    ("os.open('new', os.O_WRONLY | os.O_CREAT)", EACCES, EACCES, "0755: only root makes names"),
    ("os.open('file/new', os.O_WRONLY | os.O_CREAT)", ENOTDIR, ENOTDIR, "a file is no directory"),
    ("os.mkdir('new')", EACCES, EACCES, "0755: only root makes names"),
    ("os.mkdir('full')", EEXIST, EEXIST, "it is there"),
    ("os.mkdir('missing/new')", ENOENT, ENOENT, "its directory is missing"),
    ("os.mkdir('../new')", EACCES, EACCES, "the root is 0755"),
    ("os.mknod('new')", EACCES, EACCES, "0755: only root makes names"),
    ("os.mkfifo('new')", EACCES, EACCES, "asked before whether there are pipes"),
    ("os.symlink('file', 'new')", EACCES, EACCES, "asked before whether there are links"),
    ("os.rmdir('empty')", EACCES, EACCES, "0755: only root removes names"),
    ("os.rmdir('missing')", ENOENT, ENOENT, "it is missing"),
    ("os.unlink('file')", EACCES, EACCES, "0755: only root removes names"),
    ("os.unlink('missing')", ENOENT, ENOENT, "it is missing"),
    ("os.rename('file', 'new')", EACCES, EACCES, "0755: only root changes names"),
    ("os.rename('file', 'other')", EACCES, EACCES, "0755: only root changes names"),
    ("os.rename('empty', 'full/new')", EACCES, EACCES, "0755: only root changes names"),
    ("os.rename('missing', 'new')", ENOENT, ENOENT, "it is missing"),
    ("os.truncate('file', 1)", EACCES, EACCES, "0640: only root writes"),
    ("os.utime('file')", EACCES, EACCES, "to touch is for owners and writers"),
    ("os.utime('file', (1, 1))", EPERM, EPERM, "to choose a time is for the owner"),
    ("os.chmod('file', 0o640)", EPERM, EPERM, "for the owner, even if nothing changes"),
    ("os.chmod('full', 0o777)", EPERM, EPERM, "for the owner"),
    ("os.chown('file', 0, 33)", EPERM, EPERM, "for root, even if nothing changes"),
    ("os.chown('file', os.getuid(), -1)", EPERM, EPERM, "for root"),
    ("os.execv('file', ['file'])", EACCES, EACCES, "0640: nobody executes"),
    # below private directories: 0700 and 0600
    ("os.stat('../priv')", OK, OK, "its name stands in the root"),
    ("os.listdir('../priv')", EACCES, EACCES, "0700: for root alone"),
    ("os.chdir('../priv')", EACCES, EACCES, "0700: for root alone"),
    ("os.stat('../priv/key')", EACCES, EACCES, "not even whether it is there"),
    ("os.stat('../priv/missing')", EACCES, EACCES, "not even whether it is there"),
    ("os.open('../priv/key', os.O_RDONLY)", EACCES, EACCES, "0600 in 0700"),
    ("os.mkdir('../priv/lock/new')", EACCES, EACCES, "locks are root's"),
    ("os.rename('file', '../priv/new')", EACCES, EACCES, "0700: for root alone"),
    ("os.unlink('../priv/key')", EACCES, EACCES, "0700: for root alone"),
    ("os.open('../nodes/n/priv/key', os.O_RDONLY)", EACCES, EACCES, "private, as priv is"),
    ("os.open('../nodes/n/privx/key', os.O_RDONLY)", OK, EACCES, "not private, but alike by name"),
    # virtual objects
    ("os.open('../.version', os.O_RDONLY)", OK, EACCES, "0440: the group reads"),
    ("os.open('../.version', os.O_WRONLY)", EACCES, EACCES, "0440: nobody writes"),
    ("os.open('../.clusterlog', os.O_RDONLY)", OK, EACCES, "0440: the group reads"),
    ("os.open('../.debug', os.O_RDONLY)", OK, EACCES, "0640: the group reads"),
    ("os.open('../.debug', os.O_WRONLY)", EACCES, EACCES, "0640: only root writes"),
    ("os.truncate('../.debug', 0)", EACCES, EACCES, "0640: only root writes"),
    ("os.unlink('../.version')", EACCES, EACCES, "the root is 0755"),
    ("os.chmod('../.version', 0o640)", EPERM, EPERM, "for the owner"),
)

USERS = {"www-data": WWW_DATA, "nobody": NOBODY}


def _table() -> list[Any]:
    return [
        pytest.param(uid, call, answer, why, id=f"{name}: {call}")
        for call, *answers, why in ROWS
        for (name, uid), answer in zip(USERS.items(), answers, strict=True)
    ]


@pytest.fixture(scope="module")
def rights(shared_daemon: Daemon) -> Path:
    """Return a furnished directory beside private ones; no row may change it."""
    mount = shared_daemon.mountpoint
    place = mount / "rights"
    place.mkdir()
    furnish(place, mount)
    for path in ("priv/lock", "nodes/n/priv", "nodes/n/privx"):
        (mount / path).mkdir(parents=True, exist_ok=True)
    for path in ("priv/key", "nodes/n/priv/key", "nodes/n/privx/key"):
        (mount / path).write_bytes(b"secret")
    return place


def answer_to(uid: int, call: str, directory: Path) -> int:
    """Make a call as another user whose only group has the same number; 0 is success.

    The process becomes that user by itself: Python may lie where only root gets to.
    """
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", CALLER, str(uid), call],
        cwd=directory,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return int(ended.stdout)


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize(("uid", "call", "expected", "why"), _table())
def test_a_user_who_is_not_root(rights: Path, uid: int, call: str, expected: int, why: str) -> None:
    before = seen(rights)
    assert answer_to(uid, call, rights) == expected, why
    assert seen(rights) == before


def test_root_with_an_umask_and_other_modes_gets_the_same_rights(place: Path) -> None:
    before = os.umask(0o777)
    try:
        os.close(os.open(place / "file", os.O_WRONLY | os.O_CREAT, 0o4777))
        (place / "directory").mkdir(0o7000)
    finally:
        os.umask(before)
    assert (place / "file").stat().st_mode == 0o100640
    assert (place / "directory").stat().st_mode == 0o040755

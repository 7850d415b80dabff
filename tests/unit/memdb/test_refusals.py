"""Which errno each operation is refused with; where two apply, the earlier check wins."""

import pytest

from pmxcfs.memdb.operations import Create, Delete, Mkdir, Operation, Rename, SetMtime, Write
from tests.unit.memdb.scene import a_memdb, at, put, refusal, snapshot

ROOM = 1024 * 1024

SCENE = (
    "file",
    "full/",
    "full/file",
    "empty/",
    "priv/",
    "priv/lock/",
    "priv/lock/held/",
    "priv/lock/deep/",
    "priv/lock/deep/er/",
    "nodes/",
    "nodes/a/",
    "nodes/a/qemu-server/",
    "nodes/a/qemu-server/100.conf",
    "nodes/a/lxc/",
    "nodes/b/",
    "nodes/b/qemu-server/",
    "nodes/b/qemu-server/200.conf",
)
TAKEN_VMID = b"nodes/b/qemu-server/100.conf"

CASES: list[tuple[Operation, str]] = [
    # create
    (Create(b"none/x"), "ENOENT"),
    (Create(b"file/x"), "ENOTDIR"),
    (Create(b"file/."), "ENOTDIR"),
    (Create(b"none/.."), "ENOENT"),
    (Create(b""), "EACCES"),
    (Create(b"/"), "EACCES"),
    (Create(b"full/."), "EACCES"),
    (Create(b"full/.."), "EACCES"),
    (Create(TAKEN_VMID), "EEXIST"),
    (Create(b"nodes/a/lxc/100.conf"), "EEXIST"),
    (Create(b"nodes/none/lxc/100.conf"), "ENOENT"),
    (Create(b"full"), "ENOTDIR"),
    (Create(b"file"), "EEXIST"),
    (Create(b"//file//"), "EEXIST"),
    # mkdir
    (Mkdir(b"none/x"), "ENOENT"),
    (Mkdir(b"file/x"), "ENOTDIR"),
    (Mkdir(b"full/.."), "EACCES"),
    (Mkdir(b""), "EACCES"),
    (Mkdir(b"full"), "EEXIST"),
    (Mkdir(b"file"), "EEXIST"),
    (Mkdir(TAKEN_VMID), "none"),
    # write
    (Write(b"none/x", ROOM, b"x"), "EFBIG"),
    (Write(b"file", ROOM - 1, b"xy"), "EFBIG"),
    (Write(b"file", ROOM + 1, b"", truncate=True), "EFBIG"),
    (Write(b"file", ROOM - 1, b"x"), "none"),
    (Write(b"file", 2**32 - 1, b""), "EFBIG"),
    (Write(b"none/x", 0, b"x"), "ENOENT"),
    (Write(b"file/x", 0, b"x"), "ENOTDIR"),
    (Write(b"full/.", 0, b"x"), "EACCES"),
    (Write(b"", 0, b"x"), "EACCES"),
    (Write(TAKEN_VMID, 0, b"x"), "EEXIST"),
    (Write(b"none", 0, b"x"), "ENOENT"),
    (Write(b"full", 0, b"x"), "ENOTDIR"),
    # set mtime
    (SetMtime(b"none/x", 1), "ENOENT"),
    (SetMtime(b"file/x", 1), "ENOTDIR"),
    (SetMtime(b"full/..", 1), "EACCES"),
    (SetMtime(b"", 1), "EACCES"),
    (SetMtime(b"none", 1), "ENOENT"),
    (SetMtime(b"full", 0), "none"),
    (SetMtime(b"priv/lock/held", 1), "EACCES"),
    (SetMtime(b"priv/lock/deep/er", 1), "none"),
    # delete
    (Delete(b"none"), "ENOENT"),
    (Delete(b"none/x"), "ENOENT"),
    (Delete(b"file/x"), "ENOENT"),
    (Delete(b""), "EACCES"),
    (Delete(b"."), "EACCES"),
    (Delete(b"full"), "ENOTEMPTY"),
    (Delete(b"empty"), "none"),
    # rename
    (Rename(b"none", b""), "ENOENT"),
    (Rename(b"", b"none/x"), "EACCES"),
    (Rename(b"file", TAKEN_VMID), "EEXIST"),
    (Rename(b"file", b"nodes/none/lxc/100.conf"), "EEXIST"),
    (Rename(b"nodes/b/qemu-server/200.conf", TAKEN_VMID), "EEXIST"),
    (Rename(b"nodes/a/qemu-server/100.conf", TAKEN_VMID), "none"),
    (Rename(b"nodes/a/qemu-server/100.conf", b"nodes/a/lxc/100.conf"), "none"),
    (Rename(b"empty", TAKEN_VMID), "none"),
    (Rename(b"priv/lock/held", b""), "EACCES"),
    (Rename(b"priv/lock/held", b"none/x"), "EACCES"),
    (Rename(b"priv/lock/deep/er", b"er"), "EACCES"),
    (Rename(b"file", b""), "EACCES"),
    (Rename(b"file", b"full"), "ENOTEMPTY"),
    (Rename(b"file", b"empty"), "none"),
    (Rename(b"empty", b"file"), "none"),
    (Rename(b"empty", b"priv/lock/held"), "none"),
    (Rename(b"file", b"none/x"), "ENOENT"),
    (Rename(b"file", b"full/file/x"), "ENOTDIR"),
    (Rename(b"full", b"none/x"), "ENOENT"),
    (Rename(b"full", b"empty"), "ENOTEMPTY"),
    (Rename(b"full", b"other"), "ENOTEMPTY"),
    (Rename(b"full", b"full"), "ENOTEMPTY"),
    (Rename(b"full/file", b"full"), "ENOTEMPTY"),
    (Rename(b"empty", b"empty/inside"), "EINVAL"),
    (Rename(b"file", b".."), "none"),
    (Rename(b"file", b"file"), "none"),
]


@pytest.mark.parametrize(("operation", "expected"), CASES, ids=lambda value: str(value))
def test_an_operation_is_refused_for_its_first_reason(operation: Operation, expected: str) -> None:
    assert refusal(a_memdb(*SCENE), operation) == expected


LEAVES_A_TRACE = Rename(b"full", b"empty")


@pytest.mark.parametrize(
    "operation",
    [operation for operation, errno in CASES if errno != "none" and operation != LEAVES_A_TRACE],
    ids=lambda value: str(value),
)
def test_a_refused_operation_changes_nothing(operation: Operation) -> None:
    memdb = a_memdb(*SCENE)
    before, guests = snapshot(memdb), (memdb.guests.version, list(memdb.guests))
    assert memdb.apply(operation, 1, 1, 0).changes == ()
    assert snapshot(memdb) == before
    assert (memdb.guests.version, list(memdb.guests)) == guests


@pytest.mark.parametrize(
    "operation",
    [operation for operation, errno in CASES if errno == "none"],
    ids=lambda value: str(value),
)
def test_an_accepted_operation_moves_the_version_by_one(operation: Operation) -> None:
    memdb = a_memdb(*SCENE)
    version = memdb.tree.root.version
    changes = memdb.apply(operation, 9, 5, 0).changes
    if operation == Rename(b"file", b"file"):
        assert not changes
        return
    assert memdb.tree.root.version == version + 1
    assert changes[-1].after == memdb.tree.root
    assert memdb.tree.root.writer == 9
    stamps = {entry.version for change in changes if (entry := change.after) is not None}
    assert stamps == {version + 1}


def test_a_lock_is_refreshed_by_its_writer_alone() -> None:
    memdb = a_memdb(*SCENE)
    later = at(memdb, "priv/lock/held").mtime + 1
    assert refusal(memdb, SetMtime(b"priv/lock/held", later), writer=2) == "EACCES"
    assert refusal(memdb, SetMtime(b"priv/lock/held", later - 2), writer=1) == "EACCES"
    assert refusal(memdb, SetMtime(b"priv/lock/held", later - 1), writer=1) == "none"
    assert refusal(memdb, SetMtime(b"priv/lock/held", later), writer=1) == "none"


def test_a_file_among_the_locks_is_no_lock() -> None:
    memdb = a_memdb("priv/", "priv/lock/", "priv/lock/file")
    put(memdb, "priv/lock/file", b"x")
    assert refusal(memdb, SetMtime(b"priv/lock/file", 0), writer=2) == "none"
    assert refusal(memdb, Rename(b"priv/lock/file", b"file")) == "none"

"""Which payloads are read how, and which are refused."""

import struct

import pytest

from pmxcfs.errors import ProtocolError
from pmxcfs.memdb.entry import Entry, EntryType, Inode
from pmxcfs.memdb.messages import (
    decode_operation,
    decode_update,
    encode_operation,
    encode_update,
)
from pmxcfs.memdb.operations import (
    Create,
    Delete,
    Mkdir,
    Operation,
    Rename,
    SetMtime,
    Unlock,
    UnlockRequest,
    Write,
)

CHECKSUM = b"c" * 32


def file_operation(
    path: bytes,
    target: bytes = b"",
    data: bytes = b"",
    offset: int = 0,
    flags: int = 0,
) -> bytes:
    fields = struct.pack("<5I", len(data), offset, len(path), len(target), flags)
    return fields + path + target + data


@pytest.mark.parametrize(
    ("subtype", "payload", "operation"),
    [
        (1, file_operation(b"f\0", b"", b"text", 9), Write(b"f", 9, b"text")),
        (1, file_operation(b"f\0", b"", b"", 3, flags=1), Write(b"f", 3, b"", truncate=True)),
        (2, file_operation(b"d\0"), Mkdir(b"d")),
        (3, file_operation(b"d\0"), Delete(b"d")),
        (4, file_operation(b"a\0", b"b\0"), Rename(b"a", b"b")),
        (5, file_operation(b"f\0"), Create(b"f")),
        (6, file_operation(b"f\0", offset=2**32 - 1), SetMtime(b"f", 2**32 - 1)),
        (7, CHECKSUM + b"p\0", UnlockRequest(b"p", CHECKSUM)),
        (8, CHECKSUM + b"\0", Unlock(b"", CHECKSUM)),
        # What a member ought not to send, and the reference reads like this:
        (2, file_operation(b"d\0rest\0"), Mkdir(b"d")),
        (3, file_operation(b"d\0", b"ignored\0", b"ignored"), Delete(b"d")),
        (4, file_operation(b"a\0", b"b\0", b"ignored"), Rename(b"a", b"b")),
        (7, CHECKSUM + b"p\0rest\0", UnlockRequest(b"p", CHECKSUM)),
    ],
)
def test_a_payload_is_read_as_an_operation(
    subtype: int, payload: bytes, operation: Operation
) -> None:
    assert decode_operation(subtype, payload) == operation


@pytest.mark.parametrize(
    ("subtype", "payload"),
    [
        (0, file_operation(b"f\0")),
        (9, file_operation(b"f\0")),
        (-1, b""),
        (2, b""),
        (2, file_operation(b"f\0")[:19]),
        (2, file_operation(b"f\0")[:-1]),
        (2, file_operation(b"f\0") + b"\0"),
        (2, file_operation(b"f")),
        (2, file_operation(b"")),
        (4, file_operation(b"a\0", b"b")),
        (4, file_operation(b"a\0")),
        (1, struct.pack("<5I", 2**32 - 1, 0, 2, 0, 0) + b"f\0"),
        (7, CHECKSUM),
        (7, CHECKSUM + b"p"),
        (8, b"short\0"),
        (8, b""),
    ],
)
def test_a_payload_that_breaks_the_rules_is_a_peers_fault(subtype: int, payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_operation(subtype, payload)


@pytest.mark.parametrize(
    "operation",
    [
        Write(b"f", 2**32, b""),
        Write(b"f", -1, b""),
        SetMtime(b"f", 2**32),
        Create(b"a\0b"),
        Rename(b"a", b"b\0"),
        Unlock(b"p", b"short"),
    ],
)
def test_what_does_not_fit_is_not_encoded(operation: Operation) -> None:
    with pytest.raises(ValueError, match=r"fit|NUL|checksum"):
        encode_operation(operation)


def update(
    name: bytes = b"f\0", data: bytes = b"", type_: int = 8, inode: int = 5, size: int | None = None
) -> bytes:
    length = len(data) if size is None else size
    fields = struct.pack("<3Q4IB", 2, inode, 9, 1, 77, length, len(name), type_)
    return fields + name + data


def test_an_update_is_read_as_an_entry() -> None:
    expected = Entry(Inode(5), Inode(2), 9, 1, 77, EntryType.FILE, b"f", 4, b"data")
    assert decode_update(update(data=b"data")) == expected
    assert encode_update(expected) == update(data=b"data")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        update()[:40],
        update()[:41],
        update() + b"\0",
        update(name=b"f"),
        update(name=b""),
        update(name=b"\0"),
        update(type_=0),
        update(type_=6),
        update(type_=4, data=b"x"),
        update(size=1),
        update(size=2**32 - 1),
        update(inode=0, type_=4),
        update(inode=0, name=b"\0", type_=8),
    ],
)
def test_an_update_that_breaks_the_rules_is_a_peers_fault(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_update(payload)


def test_a_file_with_a_size_and_no_content_is_sent_as_zeros() -> None:
    hollow = Entry(Inode(5), Inode(2), 9, 1, 77, EntryType.FILE, b"f", 4, b"")
    assert encode_update(hollow) == update(data=bytes(4))


@pytest.mark.parametrize("name", [b"a\0b", b"f"])
def test_an_entry_that_does_not_fit_is_not_encoded(name: bytes) -> None:
    entry = Entry(Inode(5), Inode(2), 9, 2**32, 77, EntryType.FILE, name)
    with pytest.raises(ValueError, match=r"fit|NUL"):
        encode_update(entry)

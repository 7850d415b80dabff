"""The payloads of the configuration tree's group: operations, and entries for who lags behind.

Source: docs/PROTOCOL.md, "Configuration tree messages".
"""

import struct
from enum import IntEnum

from pmxcfs.errors import ProtocolError
from pmxcfs.memdb.entry import ROOT_INODE, Entry, EntryType, Inode
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
from pmxcfs.values import value


class Subtype(IntEnum):
    """What a message in the configuration tree's group asks for."""

    WRITE = 1
    MKDIR = 2
    DELETE = 3
    RENAME = 4
    CREATE = 5
    MTIME = 6
    UNLOCK_REQUEST = 7
    UNLOCK = 8


_FILE_OPERATION = struct.Struct("<5I")  # data bytes, offset, path bytes, target bytes, flags
_TRUNCATE = 1
_CHECKSUM_BYTES = 32
_UPDATE = struct.Struct("<3Q4IB")  # parent, inode, version, writer, mtime, size, name bytes, type


def encode_operation(operation: Operation) -> tuple[int, bytes]:
    """Return subtype and payload of an operation.

    Raises:
        ValueError: a number does not fit its 32 bits, or a path has a NUL.
    """
    match operation:
        case Write(path, offset, data, truncate):
            flags = _TRUNCATE if truncate else 0
            return Subtype.WRITE, _pack_file_operation(path, offset, flags, data=data)
        case Create(path):
            return Subtype.CREATE, _pack_file_operation(path)
        case Mkdir(path):
            return Subtype.MKDIR, _pack_file_operation(path)
        case Delete(path):
            return Subtype.DELETE, _pack_file_operation(path)
        case Rename(path, target):
            return Subtype.RENAME, _pack_file_operation(path, target=target)
        case SetMtime(path, mtime):
            return Subtype.MTIME, _pack_file_operation(path, mtime)
        case UnlockRequest(path, checksum):
            return Subtype.UNLOCK_REQUEST, _pack_lock(path, checksum)
        case Unlock(path, checksum):
            return Subtype.UNLOCK, _pack_lock(path, checksum)


def decode_operation(subtype: int, payload: bytes) -> Operation:
    """Read an operation.

    Raises:
        ProtocolError: the subtype is unknown, or these bytes are not its payload.
    """
    match subtype:
        case Subtype.UNLOCK_REQUEST:
            return UnlockRequest(*_unpack_lock(payload))
        case Subtype.UNLOCK:
            return Unlock(*_unpack_lock(payload))
    parts = _unpack_file_operation(payload)
    path = _text(parts.path)
    match subtype:
        case Subtype.WRITE:
            return Write(path, parts.offset, parts.data, truncate=parts.flags != 0)
        case Subtype.MKDIR:
            return Mkdir(path)
        case Subtype.DELETE:
            return Delete(path)
        case Subtype.RENAME:
            return Rename(path, _text(parts.target))
        case Subtype.CREATE:
            return Create(path)
        case Subtype.MTIME:
            return SetMtime(path, parts.offset)
    raise ProtocolError(f"no message of the configuration tree has subtype {subtype}")


def encode_update(entry: Entry) -> bytes:
    """Return the payload that brings an entry to members that lack it.

    A file with a size and no content is sent as the zeros that it reads as.

    Raises:
        ValueError: a number does not fit, or the name has a NUL.
    """
    name = _c_string(entry.name)
    try:
        fields = _UPDATE.pack(
            entry.parent,
            entry.inode,
            entry.version,
            entry.writer,
            entry.mtime,
            entry.size,
            len(name),
            entry.type,
        )
    except struct.error as error:
        raise ValueError(f"a number of {entry} does not fit: {error}") from error
    return fields + name + entry.data.ljust(entry.size, b"\0")


def decode_update(payload: bytes) -> Entry:
    """Read an entry that the leader sent.

    Raises:
        ProtocolError: these bytes are not an entry.
    """
    if len(payload) < _UPDATE.size:
        raise ProtocolError(f"an update of {len(payload)} bytes is too short")
    fields = _UPDATE.unpack_from(payload)
    parent, inode, version, writer, mtime, size, name_size, type_number = fields
    if len(payload) != _UPDATE.size + name_size + size:
        raise ProtocolError(f"an update of {len(payload)} bytes says {name_size} + {size}")
    name_end = _UPDATE.size + name_size
    name = _text(payload[_UPDATE.size : name_end])
    try:
        entry_type = EntryType(type_number)
    except ValueError:
        raise ProtocolError(f"an update has the unknown type {type_number}") from None
    if entry_type is EntryType.DIRECTORY and size:
        raise ProtocolError(f"an update gives directory {inode} a content")
    if (inode == ROOT_INODE) != (not name) or (not name and entry_type is EntryType.FILE):
        raise ProtocolError(f"an update gives inode {inode} the name {name!r}")
    return Entry(
        Inode(inode),
        Inode(parent),
        version,
        writer,
        mtime,
        entry_type,
        name,
        size,
        payload[name_end:],
    )


@value(frozen=True, slots=True)
class _FileOperation:
    offset: int
    flags: int
    path: bytes
    target: bytes
    data: bytes


def _pack_file_operation(
    path: bytes, offset: int = 0, flags: int = 0, *, target: bytes | None = None, data: bytes = b""
) -> bytes:
    first = _c_string(path)
    second = b"" if target is None else _c_string(target)
    try:
        fields = _FILE_OPERATION.pack(len(data), offset, len(first), len(second), flags)
    except struct.error as error:
        raise ValueError(f"a number does not fit 32 bits: {error}") from error
    return fields + first + second + data


def _unpack_file_operation(payload: bytes) -> _FileOperation:
    if len(payload) < _FILE_OPERATION.size:
        raise ProtocolError(f"a file operation of {len(payload)} bytes is too short")
    size, offset, path_size, target_size, flags = _FILE_OPERATION.unpack_from(payload)
    path_end = _FILE_OPERATION.size + path_size
    target_end = path_end + target_size
    if len(payload) != target_end + size:
        raise ProtocolError(
            f"a file operation of {len(payload)} bytes says {path_size} + {target_size} + {size}"
        )
    path = payload[_FILE_OPERATION.size : path_end]
    target = payload[path_end:target_end]
    return _FileOperation(offset, flags, path, target, payload[target_end:])


def _pack_lock(path: bytes, checksum: bytes) -> bytes:
    if len(checksum) != _CHECKSUM_BYTES:
        raise ValueError(f"a checksum has {_CHECKSUM_BYTES} bytes, not {len(checksum)}")
    return checksum + _c_string(path)


def _unpack_lock(payload: bytes) -> tuple[bytes, bytes]:
    """Return path and checksum."""
    return _text(payload[_CHECKSUM_BYTES:]), payload[:_CHECKSUM_BYTES]


def _c_string(text: bytes) -> bytes:
    if b"\0" in text:
        raise ValueError(f"{text!r} has a NUL")
    return text + b"\0"


def _text(c_string: bytes) -> bytes:
    """Return the text of a C string, which ends at its first NUL, wherever its bytes end."""
    if not c_string.endswith(b"\0"):
        raise ProtocolError(f"a text is missing or does not end with a NUL: {c_string!r}")
    return c_string[: c_string.index(b"\0")]

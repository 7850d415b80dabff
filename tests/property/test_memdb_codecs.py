"""Payloads and indexes round-trip; junk raises ProtocolError and nothing else."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmxcfs.errors import ProtocolError
from pmxcfs.memdb.entry import ROOT_INODE, Entry, EntryType, Inode
from pmxcfs.memdb.index import Index
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

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
TEXTS = st.binary(max_size=30).map(lambda text: text.replace(b"\0", b""))
CHECKSUMS = st.binary(min_size=32, max_size=32)
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Create, TEXTS),
    st.builds(Mkdir, TEXTS),
    st.builds(Delete, TEXTS),
    st.builds(Write, TEXTS, U32, st.binary(max_size=100), st.booleans()),
    st.builds(SetMtime, TEXTS, U32),
    st.builds(Rename, TEXTS, TEXTS),
    st.builds(UnlockRequest, TEXTS, CHECKSUMS),
    st.builds(Unlock, TEXTS, CHECKSUMS),
)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    inode = Inode(draw(st.one_of(st.just(0), U64)))
    kind = EntryType.DIRECTORY if inode == ROOT_INODE else draw(st.sampled_from(EntryType))
    name = b"" if inode == ROOT_INODE else draw(TEXTS.filter(bool))
    data = draw(st.binary(max_size=50)) if kind is EntryType.FILE else b""
    stamp = (draw(U64), draw(U32), draw(U32))
    return Entry(inode, Inode(draw(U64)), *stamp, kind, name, len(data), data)


@st.composite
def indexes(draw: st.DrawFn) -> Index:
    inodes = [0, *sorted(draw(st.sets(st.integers(1, 2**64 - 1), max_size=10)))]
    digests = tuple((Inode(inode), draw(CHECKSUMS)) for inode in inodes)
    return Index(draw(U64), Inode(inodes[-1]), draw(U32), draw(U32), digests)


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Return bytes that are nearly right: cut, lengthened or with some bytes replaced."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 4))):
        position = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 2)):
            case 0:
                data[position : position + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[position : position + draw(st.integers(1, 9))]
            case _:
                data[position:position] = draw(st.binary(max_size=9))
    return bytes(data)


@given(OPERATIONS)
def test_an_operation_round_trips(operation: Operation) -> None:
    assert decode_operation(*encode_operation(operation)) == operation


@given(entries())
def test_an_update_round_trips(entry: Entry) -> None:
    assert decode_update(encode_update(entry)) == entry


@given(indexes())
def test_an_index_round_trips(index: Index) -> None:
    assert Index.decode(index.encode()) == index


@given(st.integers(-1, 300), st.binary(max_size=200))
def test_junk_instead_of_an_operation_is_a_peers_fault(subtype: int, junk: bytes) -> None:
    with suppress(ProtocolError):
        encode_operation(decode_operation(subtype, junk))


@given(st.integers(1, 8), damaged(OPERATIONS.map(lambda operation: encode_operation(operation)[1])))
def test_a_damaged_operation_is_read_or_a_peers_fault(subtype: int, payload: bytes) -> None:
    with suppress(ProtocolError):
        encode_operation(decode_operation(subtype, payload))


@given(st.one_of(st.binary(max_size=200), damaged(entries().map(encode_update))))
def test_a_damaged_update_is_read_or_a_peers_fault(payload: bytes) -> None:
    with suppress(ProtocolError):
        encode_update(decode_update(payload))


@given(st.one_of(st.binary(max_size=200), damaged(indexes().map(lambda index: index.encode()))))
def test_a_damaged_index_is_read_as_it_is_or_a_peers_fault(data: bytes) -> None:
    try:
        index = Index.decode(data)
    except ProtocolError:
        return
    assert index.encode() == data


@given(st.integers(min_value=9))
def test_an_unknown_subtype_is_a_peers_fault(subtype: int) -> None:
    with pytest.raises(ProtocolError):
        decode_operation(subtype, encode_operation(Create(b"f"))[1])

"""The messages of the durability group: round trips, and nothing but ProtocolError for junk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmxcfs.dfsm.history import DIGEST_BYTES, Point
from pmxcfs.durable.wire import (
    MAGIC,
    MESSAGE_BYTES,
    Message,
    MessageType,
    NewerProtocolError,
    decode,
)
from pmxcfs.errors import ProtocolError

POINTS = st.builds(
    Point,
    st.integers(0, 2**64 - 1),
    st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES),
)
MESSAGES = st.builds(Message, st.sampled_from(MessageType), POINTS)


@given(MESSAGES)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    data = message.encode()
    assert len(data) == MESSAGE_BYTES
    assert decode(data) == message


@given(st.binary(max_size=2 * MESSAGE_BYTES))
def test_junk_is_a_protocol_error_and_nothing_else(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(data)


@given(MESSAGES, st.data())
def test_no_changed_byte_makes_another_message(message: Message, data: st.DataObject) -> None:
    changed = bytearray(message.encode())
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ProtocolError):
        decode(bytes(changed))


@given(MESSAGES, st.data())
def test_a_part_of_a_message_is_none_and_nor_is_more_than_one(
    message: Message, data: st.DataObject
) -> None:
    encoded = message.encode()
    for wrong in (
        encoded[: data.draw(st.integers(0, len(encoded) - 1))],
        encoded + data.draw(st.binary(min_size=1, max_size=50)),
    ):
        with pytest.raises(ProtocolError):
            decode(wrong)


@given(st.integers(2, 2**16 - 1), st.binary(max_size=100))
def test_a_later_version_is_recognised_whatever_follows(version: int, rest: bytes) -> None:
    with pytest.raises(NewerProtocolError):
        decode(MAGIC + version.to_bytes(2, "little") + b"\1\0" + rest)


def test_the_bytes_of_a_message() -> None:
    point = Point(5, bytes(range(16)))
    assert Message(MessageType.ASK, point).encode().hex() == (
        "706d7844010001000500000000000000000102030405060708090a0b0c0d0e0feb8df5bd"
    )

"""Headers as bytes."""

from collections.abc import Callable

import pytest

from pmxcfs.dfsm import wire
from pmxcfs.dfsm.wire import BaseHeader, Epoch, MessageType, NormalHeader, StateHeader
from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member, NodeId, Pid

EPOCH = Epoch(0x01020304, 0x05060708, Member(NodeId(0x090A0B0C), Pid(0x0D0E0F10)))


def test_a_normal_header_has_24_little_endian_bytes() -> None:
    data = NormalHeader(subtype=5, protocol_version=1, time_s=0x01020304, count=7).encode()

    assert data.hex(" ", 4) == "00000500 01000000 04030201 00000000 07000000 00000000"


def test_a_state_header_has_32_little_endian_bytes() -> None:
    data = StateHeader(MessageType.UPDATE, 1, 0x01020304, EPOCH).encode()

    assert data.hex(" ", 4) == (
        "03000000 01000000 04030201 00000000 04030201 08070605 0c0b0a09 100f0e0d"
    )


def test_the_base_header_is_read_from_any_message() -> None:
    normal = NormalHeader(5, 1, 99, 7).encode() + b"payload"
    state = StateHeader(MessageType.VERIFY, 1, 99, EPOCH).encode()

    assert wire.decode_base(normal) == BaseHeader(0, 5, 1, 99)
    assert wire.decode_base(state) == BaseHeader(6, 0, 1, 99)


def test_headers_are_read_back_with_their_payload() -> None:
    normal, state = NormalHeader(5, 1, 99, 2**63), StateHeader(MessageType.STATE, 1, 99, EPOCH)

    assert wire.decode_normal(normal.encode() + b"abc") == (normal, b"abc")
    assert wire.decode_state(state.encode()) == (state, b"")


def test_times_are_cut_to_32_bits() -> None:
    header, _ = wire.decode_normal(NormalHeader(1, 1, 2**32 + 5, 1).encode())

    assert header.time_s == 5


@pytest.mark.parametrize(
    ("decode", "size"),
    [
        (wire.decode_base, 16),
        (wire.decode_normal, 24),
        (wire.count_of, 24),
        (wire.decode_state, 32),
    ],
)
def test_short_messages_are_refused(decode: Callable[[bytes], object], size: int) -> None:
    decode(bytes(size))
    with pytest.raises(ProtocolError, match=f"^{size - 1} bytes are no .*header"):
        decode(bytes(size - 1))


def test_an_epoch_is_named_by_its_owner_and_number() -> None:
    assert str(Epoch(7, 900, Member(NodeId(1), Pid(11)))) == "1/11/7"


def test_verification_payloads_have_their_exact_sizes() -> None:
    assert wire.encode_verify_request(258) == b"\2\1" + bytes(6)
    assert wire.encode_verify(258, b"c" * 32) == b"\2\1" + bytes(6) + b"c" * 32
    for size in (7, 9):
        with pytest.raises(ProtocolError, match=f"^{size} bytes are no verify request"):
            wire.decode_verify_request(bytes(size))
    for size in (39, 41):
        with pytest.raises(ProtocolError, match=f"^{size} bytes are no verification$"):
            wire.decode_verify(bytes(size))


def test_an_epoch_is_four_numbers_in_their_order() -> None:
    assert EPOCH.encode().hex() == "04030201080706050c0b0a09100f0e0d"

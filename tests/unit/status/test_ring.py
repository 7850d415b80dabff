"""The ring of the cluster log: places, overwriting, and rings that nobody should trust."""

import struct

import pytest

from pmxcfs.errors import ProtocolError
from pmxcfs.status.entry import LogEntry, new_entry
from pmxcfs.status.ring import RING_BYTES, Ring, decode_ring, rounded_size


def entry(uid: int, text: bytes = b"x" * 1000) -> LogEntry:
    return new_entry(
        uid=uid, time_s=1000, pid=1, priority=6, node=b"n", ident=b"root", tag=b"t", text=text
    )


def head(ring: Ring) -> tuple[int, int]:
    size, newest = struct.unpack_from("<2I", bytes(ring))
    return size, newest


def test_an_empty_ring_has_nothing_to_walk() -> None:
    assert bytes(Ring()) == struct.pack("<2I", RING_BYTES, 0) + bytes(RING_BYTES - 8)
    assert list(Ring().walk()) == []
    assert decode_ring(bytes(Ring())) == []


def test_entries_follow_each_other_at_multiples_of_eight() -> None:
    ring = Ring([entry(1, b"a")])
    assert head(ring) == (RING_BYTES, 8)
    ring.add(entry(2))
    second = 8 + rounded_size(entry(1, b"a"))
    assert head(ring) == (RING_BYTES, second)
    assert struct.unpack_from("<2I", bytes(ring), second) == (8, second + rounded_size(entry(2)))


@pytest.mark.parametrize(("spare", "is_first"), [(8, False), (0, True)])
def test_an_entry_that_would_touch_the_end_starts_over(spare: int, is_first: bool) -> None:
    base = entry(1, b"")
    rooms = [4096] * 31 + [RING_BYTES - 8 - 31 * 4096 - 2048, 2048 - spare]
    ring = Ring(entry(1, b"x" * (room - base.size_bytes)) for room in rooms[:-1])
    last = entry(2, b"x" * (rooms[-1] - base.size_bytes))
    assert rounded_size(last) == rooms[-1]
    ring.add(last)
    assert head(ring)[1] == (8 if is_first else RING_BYTES - 2048)


def test_a_ring_that_went_round_keeps_the_newest_without_a_gap() -> None:
    ring = Ring(entry(uid, b"y" * (uid * 37 % 900)) for uid in range(1000))
    seen = [found.uid for found in ring.walk()]
    assert seen == [*range(999, 999 - len(seen), -1)]
    assert len(seen) > 200
    assert [found.uid for found in decode_ring(bytes(ring))] == seen


def test_the_oldest_entry_is_not_shown_if_its_link_is_stale() -> None:
    """Its link leads to where the newest one is now; the reference stops before it."""
    round_length = (RING_BYTES - 8) // rounded_size(entry(1))
    ring = Ring(entry(uid) for uid in range(2 * round_length))
    walked, shown = list(ring.walk()), list(ring.walk_for_display())
    assert len(walked) == round_length
    assert shown == walked[:-1]


def test_an_entry_without_its_end_is_left_out_alone() -> None:
    data = bytearray(bytes(Ring(entry(uid, b"x") for uid in (1, 2, 3))))
    place = 8 + rounded_size(entry(1, b"x"))
    data[place + 44 + 2 + 5 + 2 + 1] = 0x58  # the NUL of the message
    assert [found.uid for found in decode_ring(bytes(data))] == [3, 1]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(8),
        struct.pack("<2I", 100, 8) + bytes(50),
        struct.pack("<2I", RING_BYTES, RING_BYTES - 8) + bytes(RING_BYTES - 8),
        struct.pack("<2I", RING_BYTES, 4 * RING_BYTES) + bytes(RING_BYTES - 8),
        struct.pack("<2I", RING_BYTES, 3) + bytes(RING_BYTES - 8),
    ],
)
def test_what_is_no_ring_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_ring(data)


def test_a_ring_whose_links_run_in_a_circle_is_refused() -> None:
    data = bytearray(bytes(Ring(entry(uid, b"x") for uid in (1, 2))))
    newest = struct.unpack_from("<I", data, 4)[0]
    for link in (newest, RING_BYTES - 2048):
        broken = bytearray(data)
        struct.pack_into("<I", broken, newest, link)
        broken[RING_BYTES - 2048 : RING_BYTES - 1900] = broken[newest : newest + 148]
        with pytest.raises(ProtocolError):
            decode_ring(bytes(broken))


def test_a_ring_with_an_entry_that_claims_too_much_is_refused() -> None:
    data = bytearray(bytes(Ring([entry(1)])))
    struct.pack_into("<I", data, 8 + 40, 2**31)
    with pytest.raises(ProtocolError):
        decode_ring(bytes(data))

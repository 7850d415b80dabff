"""Log entries as bytes: sizes, cutting, and what is refused."""

import struct

import pytest

from pmxcfs.errors import ProtocolError
from pmxcfs.status.entry import ENTRY_BYTES_MAX, LogEntry, decode_entry, digest, new_entry
from pmxcfs.status.text import converted


def entry(text: bytes = b"hi", ident: bytes = b"root@pam", tag: bytes = b"tag") -> LogEntry:
    return new_entry(
        uid=1, time_s=1000, pid=777, priority=6, node=b"node1", ident=ident, tag=tag, text=text
    )


def test_an_entry_is_four_bytes_longer_than_its_parts() -> None:
    assert len(entry().encode()) == entry().size_bytes == 44 + 6 + 9 + 4 + 3 + 4


def test_a_long_message_is_cut_where_the_reference_cuts_it() -> None:
    long = entry(b"L" * 5000)
    assert long.message == b"L" * 4026
    assert long.size_bytes == 4094


@pytest.mark.parametrize("length", range(4015, 4035))
@pytest.mark.parametrize("character", ["ä", '"', "\t", "x"])
def test_a_message_that_is_cut_within_an_escape_still_fits(character: str, length: int) -> None:
    long = entry(b"L" * length + character.encode() * 10)
    assert long.size_bytes <= ENTRY_BYTES_MAX
    assert decode_entry(long.encode()) == long


def test_a_long_name_is_cut_but_its_digest_covers_more() -> None:
    name = bytes(range(1, 256)) + b"more"
    long = entry(ident=name)
    assert long.ident == name[:254]
    assert long.ident_digest == digest(name[:255] + b"other") != digest(name[:254])


def test_the_last_four_bytes_mean_nothing() -> None:
    assert decode_entry(entry().encode()[:-4] + b"junk") == entry()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(47),
        entry().encode() + b"\0",
        entry().encode()[:-1],
        entry().encode().replace(b"root@pam\0", b"root@pamX"),
        entry().encode().replace(b"hi\0", b"hiX"),
        bytes(48),
        bytes(40) + struct.pack("<I", 2**32 - 1) + bytes(100),
        bytes(40) + struct.pack("<I", 5000) + bytes(5004),
    ],
)
def test_what_is_not_exactly_an_entry_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_entry(data)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (b'quote " back\\ tab\t nl\n end', b'quote \\" back\\ tab#009 nl#010 end'),
        ("utf8 ä€ end".encode(), b"utf8 \\u00e4\\u20ac end"),
        (b"\x01\x7f\x1f", b"#001#127#031"),
        ("\x80\U0001f600\uffff".encode(), b"\\u0080\\uffff"),
        (b'\xff "quoted" \x07\x7f ok', b'? \\"quoted\\" #007? ok'),
        (b"ends\0here", b"ends"),
    ],
)
def test_a_message_is_logged_in_printable_ascii(text: bytes, form: bytes) -> None:
    assert converted(text, 1000) == form

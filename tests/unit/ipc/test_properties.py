"""Reading properties off configurations, and the text that tells them."""

import json

import pytest

from pmxcfs.ipc.properties import properties_of, properties_text

CONFIG = (
    b"name: first\nname: second\nname: third\nlock:\ttab \n tags: no\nblank: \n"
    b"empty:\nnul: a\0b\nend: 1\n[snap]\nsnapshot: 1\n"
)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([b"name"], [(b"name", b"second")]),  # the search ends with the first repetition
        ([b"name", b"end"], [(b"name", b"third")]),  # or with as many as were asked for
        ([b"name", b"name"], [(b"name", b"second"), (b"name", b"second")]),
        ([b"end", b"lock"], [(b"end", b"1"), (b"lock", b"tab")]),
        ([b"tags"], []),
        ([b"blank"], [(b"blank", b" ")]),
        ([b"empty"], []),
        ([b"nul"], [(b"nul", b"a")]),
        ([b"snapshot"], []),
        ([b"nam"], []),
        ([b""], []),
    ],
)
def test_a_property_is_a_line_that_begins_with_its_name(
    names: list[bytes], found: list[tuple[bytes, bytes]]
) -> None:
    assert properties_of(CONFIG, names) == found


def test_a_missing_end_of_line_does_not_matter() -> None:
    assert properties_of(b"name: x", [b"name"]) == [(b"name", b"x")]


def test_a_large_configuration_is_read_too() -> None:
    assert properties_of(b"#\n" * 10_000 + b"name: x\n", [b"name"]) == [(b"name", b"x")]


def test_guests_without_any_are_left_out() -> None:
    text = properties_text([(100, [(b"a", b"1"), (b"b", b"2")]), (101, []), (102, [(b"a", b"3")])])
    assert text == b'{\n"100":{"a": "1","b": "2"},\n"102":{"a": "3"}\n}\n'
    assert properties_text([]) == b"{\n\n}\n"


@pytest.mark.parametrize("value", [b'"', b"\\", b"\t", b"\xff", b"\xc3\xa4", b"\x7f"])
def test_the_text_is_json_whatever_the_value(value: bytes) -> None:
    assert list(json.loads(properties_text([(100, [(b"a", value)])])))

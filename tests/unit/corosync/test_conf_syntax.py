"""Corosync's grammar, as far as breaking it keeps corosync from starting."""

from pathlib import Path

import pytest

from pmxcfs.corosync.conf_syntax import LINE_BYTES_MAX, flaw_of

RECORDED = Path(__file__).parents[2] / "golden" / "vectors" / "corosync.conf"
TOTEM = b"totem {\n  version: 2\n}\n"


@pytest.mark.parametrize(
    "text",
    [
        RECORDED.read_bytes(),
        TOTEM,
        TOTEM.replace(b"\n", b"\r\n"),
        TOTEM + b"# {\n\n \t \n\xa0#}\nlogging {\n}",
        TOTEM + b"key: with: colons }",
        b"totem {\n\tinterface {\n\t}\n}",
        TOTEM + b"k: " + b"x" * (LINE_BYTES_MAX - 3),
    ],
)
def test_what_corosync_reads_has_no_flaw(text: bytes) -> None:
    assert flaw_of(text) is None


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        (b"", "there is no totem section"),
        (b"quorum {\n}\nnodelist {\n  totem {\n  }\n}", "there is no totem section"),
        (b"totem {\n  version: 2\n", "section totem has no end"),
        (TOTEM + b"}", "line 4: a section ends that has not begun"),
        (TOTEM + b"nonsense", "line 4: neither `name {` nor `key: value` nor `}`"),
        (TOTEM + b"a {\n} b", "line 5: neither `name {` nor `key: value` nor `}`"),
        (TOTEM + b"a { b: 1", "line 4: a section begins with `name {`"),
        (TOTEM + b" { ", "line 4: a section begins with `name {`"),
        (TOTEM + b": 1", "line 4: a value without a key"),
        (TOTEM + b"a: \0", "line 4: it is longer than 510 bytes, or no text"),
        (TOTEM + b"k: " + b"x" * LINE_BYTES_MAX, "line 4: it is longer than 510 bytes, or no text"),
    ],
)
def test_what_keeps_corosync_from_starting_is_named(text: bytes, flaw: str) -> None:
    assert flaw_of(text) == flaw

"""Strings inside the status texts, which are JSON laid out by hand.

The reference puts most strings in as they are. So do we, for what comes out is byte for byte the
same, except where that would not be JSON.
"""

import re

from pmxcfs.status.entry import LogEntry

_UNSAFE = re.compile(r'["\\\x00-\x1f]')

_UNSAFE_IN_MESSAGE = re.compile(
    r"""
    (?P<escape> \\" | \\u (?! [dD][89a-fA-F]) [0-9a-fA-F]{4} )  # logging made these
    | ["\\\x00-\x1f]
    """,
    re.VERBOSE,
)


def quoted(text: bytes | str) -> str:
    """Return a JSON string; what is not UTF-8 in it is replaced."""
    return f'"{_UNSAFE.sub(_escaped, _decoded(text))}"'


def quoted_message(entry: LogEntry) -> str:
    """Return the text of a log entry as a JSON string, leaving the escapes that it already has."""
    return f'"{_UNSAFE_IN_MESSAGE.sub(_escaped, _decoded(entry.message))}"'


def _decoded(text: bytes | str) -> str:
    if isinstance(text, str):
        return text.encode(errors="replace").decode()
    return text.partition(b"\0")[0].decode(errors="replace")


def _escaped(match: re.Match[str]) -> str:
    if match.groupdict().get("escape"):
        return match[0]
    character = match[0]
    return f"\\{character}" if character in '"\\' else f"\\u{ord(character):04x}"

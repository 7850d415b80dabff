"""The text of a log message as the cluster log keeps it: printable ASCII with escapes.

Source: docs/PROTOCOL.md, "Cluster log".
"""

from collections.abc import Iterable, Iterator

OVERHANG_MAX = 2
"""How far the last character, which may be an escape, reaches over the limit at most."""

_QUOTE = 0x22
_FIRST_PRINTABLE = 32
_DELETE = 127
_BEYOND_BMP = 0x10000


def converted(text: bytes, limit: int) -> bytes:
    """Return a message in the form in which it is logged.

    Quotes and everything outside printable ASCII are escaped, backslashes are not. Characters that
    need five hex digits are left out. Text that is not UTF-8 is taken byte by byte.

    Args:
        text: what the client wants to log; it ends at its first NUL.
        limit: no further character once the result has this length. The reference lets the last
            one reach over by any length and then cuts the entry so that its peers refuse it; ours
            is left out if the entry would not hold it.
    """
    text = text.partition(b"\0")[0]
    try:
        pieces = map(_of_character, text.decode())
    except UnicodeDecodeError:
        pieces = map(_of_byte, text)
    return "".join(_fitting(pieces, limit)).encode("ascii")


def _fitting(pieces: Iterable[str], limit: int) -> Iterator[str]:
    length = 0
    for piece in pieces:
        if length >= limit or length + len(piece) > limit + OVERHANG_MAX:
            return
        length += len(piece)
        yield piece


def _of_character(character: str) -> str:
    code = ord(character)
    if code == _QUOTE:
        return '\\"'
    if code < _FIRST_PRINTABLE or code == _DELETE:
        return f"#{code:03}"
    if code < _DELETE:
        return character
    return f"\\u{code:04x}" if code < _BEYOND_BMP else ""


def _of_byte(code: int) -> str:
    if code == _QUOTE:
        return '\\"'
    if code < _FIRST_PRINTABLE:
        return f"#0{code:02}"
    return chr(code) if code < _DELETE else "?"

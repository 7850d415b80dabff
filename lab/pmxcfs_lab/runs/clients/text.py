"""What clients write: a text tells by itself who wrote it, which time, and whether it is whole.

A token "updates-node2.17.40" stands for a file of 40 lines that are all the token.
"""

ABSENT = "absent"
TORN = "torn"


def token(client: str, number: int, lines: int) -> str:
    """Return the name of a client's text number so and so."""
    return f"{client}.{number}.{lines}"


def content(text: str) -> bytes:
    """Return the file that a token stands for."""
    return f"{text}\n".encode() * int(text.rpartition(".")[2])


def number(text: str) -> int:
    """Return which text of its writer this is."""
    return int(text.rsplit(".", 2)[1])


def recognised(found: bytes) -> str:
    """Return the token that a file's content is of, or that it is nobody's."""
    first = found.partition(b"\n")[0].decode(errors="replace")
    try:
        return first if content(first) == found else f"{TORN} {first[:60]}"
    except ValueError:
        return f"{TORN} {first[:60]}"

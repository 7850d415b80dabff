"""Whether corosync could read a text as its configuration: no broken one replaces a good one.

Only what would keep corosync from starting, whatever the node: its grammar of lines, and a totem
section. What the values mean is for corosync to judge.

Source: docs/PROTOCOL.md, "The host's corosync.conf".
"""

LINE_BYTES_MAX = 510
"""Corosync refuses longer ones, line feed not counted."""

_BLANKS = b" \t\xa0"


def flaw_of(text: bytes) -> str | None:
    """Return what is wrong with a configuration, as a sentence; None if nothing is."""
    path: list[bytes] = []
    sections = set()
    for number, line in enumerate(text.split(b"\n"), start=1):
        words = line.removesuffix(b"\r").strip(_BLANKS)
        if not words or words.startswith(b"#"):
            continue
        flaw = _flaw_of_line(line, words, depth=len(path))
        if flaw is not None:
            return f"line {number}: {flaw}"
        if b"{" in words:
            path.append(words.partition(b"{")[0].strip(_BLANKS))
            sections.add(b".".join(path))
        elif words == b"}":
            path.pop()
    if path:
        return f"section {path[-1].decode(errors='replace')} has no end"
    return None if b"totem" in sections else "there is no totem section"


def _flaw_of_line(line: bytes, words: bytes, *, depth: int) -> str | None:
    """Judge a line that is neither empty nor a comment."""
    if len(line) > LINE_BYTES_MAX or b"\0" in line:
        return f"it is longer than {LINE_BYTES_MAX} bytes, or no text"
    name, opening, rest = words.partition(b"{")
    if opening:
        return None if name.strip(_BLANKS) and not rest else "a section begins with `name {`"
    key, colon, _ = words.partition(b":")
    if colon:
        return None if key.strip(_BLANKS) else "a value without a key"
    if words == b"}":
        return None if depth else "a section ends that has not begun"
    return "neither `name {` nor `key: value` nor `}`"

"""Single properties of guests, read off their configurations without parsing them.

Source: docs/PROTOCOL.md, "IPC".
"""

import functools
from collections.abc import Iterable, Sequence

from pmxcfs.status.json_text import quoted

REMEMBERED_MAX = 4096
REMEMBERED_BYTES_MAX = 8 * 1024
"""What is remembered of configurations: at most 32 MiB."""

Found = list[tuple[bytes, bytes]]
"""Names and values."""


def properties_of(config: bytes, names: Sequence[bytes]) -> Found:
    """Return what ``find_properties`` does; of usual configurations it is remembered."""
    if len(config) > REMEMBERED_BYTES_MAX:
        return find_properties(config, tuple(names))
    return _remembered(config, tuple(names))


def find_properties(config: bytes, names: tuple[bytes, ...]) -> Found:
    """Return those of the properties that a configuration sets, in the order of ``names``.

    Snapshots and pending changes, which are below a line that begins with ``[``, do not count. A
    later line wins, but the search ends once as many were found again as were asked for.
    """
    values: list[bytes | None] = [None] * len(names)
    repeats = 0
    prefixes = [name + b":" for name in names]
    for line in config.removesuffix(b"\n").split(b"\n"):
        if line.startswith(b"["):
            break
        for place, prefix in enumerate(prefixes):
            if line.startswith(prefix) and (value := _value(line[len(prefix) :])):
                repeats += values[place] is not None
                values[place] = value
        if repeats == len(names):
            break
    found = zip(names, values, strict=True)
    return [(name, value) for name, value in found if value is not None]


_remembered = functools.lru_cache(REMEMBERED_MAX)(find_properties)
"""Tools ask for the same properties of all guests every few seconds. Nobody changes the lists."""


def properties_text(guests: Iterable[tuple[int, Found]]) -> bytes:
    """Return the JSON that tells the properties of guests; those without any are left out."""
    entries = ",\n".join(_entry(vmid, found) for vmid, found in guests if found)
    return f"{{\n{entries}\n}}\n".encode()


def _value(rest: bytes) -> bytes:
    """Return what is behind the colon, without blanks around it; of nothing but blanks, one."""
    return (rest.strip() or rest[-1:]).partition(b"\0")[0]


def _entry(vmid: int, found: Found) -> str:
    values = ",".join(f"{quoted(name)}: {quoted(value)}" for name, value in found)
    return f'"{vmid}":{{{values}}}'

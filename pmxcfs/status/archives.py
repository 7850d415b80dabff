"""Which RRD file metrics belong to, and what of them is written there.

Nodes of all versions publish the same kinds of metrics, newer ones with more columns. All of them
end up in files of one version: what is missing is padded, what is too much is cut.

A key names a file and a value is handed to a library, and both come from other nodes. So whatever
is not plainly right is refused here, before anything is opened.

Source: docs/PROTOCOL.md, "RRD files".
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pmxcfs.errors import ProtocolError

STEP_S = 60
HEARTBEAT_S = 120

FUTURE_S_MAX = 24 * 3600
"""A file takes nothing older than its newest value, so one from far ahead would silence it."""

_CONSOLIDATIONS = ("AVERAGE", "MAX")
_STEPS_AND_ROWS = ((1, 1440), (30, 1440), (360, 1440), (10080, 570))
_UNKNOWN = "U"
_NOW = "N"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:@+-]{0,200}")
"""What a node, a guest or a storage may be called; it becomes the name of a file."""

_TIME = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_NUMBER = re.compile(r"[-+]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][-+]?[0-9]{1,3})?")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_NO_NUMBER = re.compile(r"[-+]?(nan|inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Schema:
    """What a kind of files has in them.

    Attributes:
        folder: where they are, below the directory of all RRD files.
        columns: names of what is measured, in order.
        counters: those columns whose change a second is kept, not their value.
        names: how many names, with slashes between them, say whose file it is.
    """

    folder: str
    columns: tuple[str, ...]
    counters: frozenset[str]
    names: int = 1

    def definition(self) -> list[str]:
        """Return the data sources and archives, as ``rrdtool create`` takes them."""
        sources = [
            f"DS:{name}:{'DERIVE' if name in self.counters else 'GAUGE'}:{HEARTBEAT_S}:0:U"
            for name in self.columns
        ]
        archives = [
            f"RRA:{kind}:0.5:{steps}:{rows}"
            for kind in _CONSOLIDATIONS
            for steps, rows in _STEPS_AND_ROWS
        ]
        return sources + archives


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NODE = Schema(
    "pve-node-9.0",
    _words(
        "loadavg maxcpu cpu iowait memtotal memused swaptotal swapused roottotal rootused netin "
        "netout memavailable arcsize pressurecpusome pressureiosome pressureiofull "
        "pressurememorysome pressurememoryfull"
    ),
    frozenset({"netin", "netout"}),
)
GUEST = Schema(
    "pve-vm-9.0",
    _words(
        "maxcpu cpu maxmem mem maxdisk disk netin netout diskread diskwrite memhost "
        "pressurecpusome pressurecpufull pressureiosome pressureiofull pressurememorysome "
        "pressurememoryfull"
    ),
    frozenset({"netin", "netout", "diskread", "diskwrite"}),
)
STORAGE = Schema("pve-storage-9.0", ("total", "used"), frozenset(), names=2)


@dataclass(frozen=True, slots=True)
class _Form:
    """How the nodes that use one kind of key lay out their values.

    Attributes:
        prefix: what the keys begin with; a version may follow before the slash.
        live: how many fields in front are only of the moment, and not written.
        columns: how many follow the time stamp.
        may_have_more: whether this is a version that we do not know.
    """

    prefix: str
    schema: Schema
    live: int
    columns: int
    may_have_more: bool = False


_FORMS = (
    _Form("pve2-node/", NODE, 2, 12),
    _Form("pve-node-9.0/", NODE, 2, 19),
    _Form("pve-node-", NODE, 2, 19, may_have_more=True),
    _Form("pve2.3-vm/", GUEST, 4, 10),
    _Form("pve-vm-9.0/", GUEST, 4, 17),
    _Form("pve-vm-", GUEST, 4, 17, may_have_more=True),
    _Form("pve2-storage/", STORAGE, 0, 2),
    _Form("pve-storage-9.0/", STORAGE, 0, 2),
    _Form("pve-storage-", STORAGE, 0, 2, may_have_more=True),
)
"""The first whose prefix fits."""


@dataclass(frozen=True, slots=True)
class ArchiveUpdate:
    """What is to be written, and where.

    Attributes:
        file: below the directory of all RRD files, for example ``pve-vm-9.0/100``.
        schema: what the file is to be like, if it has to be made.
        text: ``time:value:value...``, as ``rrdtool update`` takes it.
    """

    file: str
    schema: Schema
    text: str


def archive_update(key: bytes, text: bytes, now_s: int) -> ArchiveUpdate:
    """Return what has to be written for metrics.

    Args:
        key: without ``rrd/``.
        text: the fields with colons between them, without the NUL.
        now_s: our clock.

    Raises:
        ProtocolError: the key names no file, or the fields are not what such a file takes.
    """
    form, names = _form_of(key)
    fields = text.split(b":")[form.live :]
    wanted = form.columns + 1
    if len(fields) < wanted or (len(fields) > wanted and not form.may_have_more):
        raise ProtocolError(f"{len(fields) - 1} columns instead of {form.columns}")
    stamp, *values = [_ascii(field) for field in fields[:wanted]]
    values += [_UNKNOWN] * (len(form.schema.columns) - len(values))
    checked = [_checked_time(stamp, now_s), *_checked_values(form.schema, values)]
    return ArchiveUpdate(f"{form.schema.folder}/{names}", form.schema, ":".join(checked))


def _form_of(key: bytes) -> tuple[_Form, str]:
    """Return the form of the values under a key, and the names in it."""
    name = _ascii(key)
    form = next((form for form in _FORMS if name.startswith(form.prefix)), None)
    if form is None:
        raise ProtocolError("an unknown kind of metrics")
    names = name.partition("/")[2].split("/")
    if len(names) != form.schema.names or not all(map(_NAME.fullmatch, names)):
        raise ProtocolError("not the name of a file")
    return form, "/".join(names)


def _checked_time(stamp: str, now_s: int) -> str:
    if stamp == _NOW:
        return stamp
    if not _TIME.fullmatch(stamp):
        raise ProtocolError(f"the time is {stamp[:40]!r}")
    if float(stamp) > now_s + FUTURE_S_MAX:
        raise ProtocolError(f"the time {stamp} is far in the future")
    return stamp


def _checked_values(schema: Schema, values: Sequence[str]) -> list[str]:
    """Return the values; what is no number, but means to be one, is unknown."""
    return [
        _checked_value(name, value, is_counter=name in schema.counters)
        for name, value in zip(schema.columns, values, strict=True)
    ]


def _checked_value(name: str, value: str, *, is_counter: bool) -> str:
    if value == _UNKNOWN or _NO_NUMBER.fullmatch(value):
        return _UNKNOWN
    is_number = (_INTEGER if is_counter else _NUMBER).fullmatch(value) is not None
    if not is_number or not math.isfinite(float(value)):
        raise ProtocolError(f"{name} is {value[:40]!r}")
    return value


def _ascii(text: bytes) -> str:
    try:
        return text.decode("ascii")
    except UnicodeDecodeError:
        raise ProtocolError("it is not ASCII") from None

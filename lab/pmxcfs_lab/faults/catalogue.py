"""All kinds of faults by name; faults as JSON and as words; a fault drawn from a seed."""

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, fields
from random import Random
from typing import Any, cast, get_args, get_origin, get_type_hints

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.faults.disks import BitFlips, DiskErrors, DiskFull, DiskSlow
from pmxcfs_lab.faults.edits import EditAlone
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.faults.links import LinkQuality, OneWayLoss
from pmxcfs_lab.faults.partitions import Bridge, Halves, Isolate, MajorityRing, Partition
from pmxcfs_lab.faults.power import LostWrites, PowerOff, TornWrites
from pmxcfs_lab.faults.services import Hang, Kill, RestartStorm, Stop
from pmxcfs_lab.faults.shaping import EVERYBODY
from pmxcfs_lab.faults.versions import ClockSkew, OldConfiguration, OtherBinary
from pmxcfs_lab.plan import Plan, node_name

KINDS: tuple[type[Fault], ...] = (
    Isolate,
    Halves,
    Partition,
    MajorityRing,
    Bridge,
    OneWayLoss,
    LinkQuality,
    Kill,
    Stop,
    Hang,
    RestartStorm,
    EditAlone,
    DiskFull,
    DiskErrors,
    DiskSlow,
    BitFlips,
    LostWrites,
    TornWrites,
    PowerOff,
    ClockSkew,
    OtherBinary,
    OldConfiguration,
)

CATALOGUE: Mapping[str, type[Fault]] = types.MappingProxyType({kind.name: kind for kind in KINDS})
"""All kinds by name."""

NODE_FIELDS = ("node", "nodes", "one", "groups", "ring", "from_", "to")
"""Fields that hold nodes, which people may call 2 instead of node2."""


def to_json(fault: Fault) -> dict[str, Any]:
    """Return {"name": kind, field: value...}."""
    return {"name": fault.name, **_values(fault)}


def from_json(value: Mapping[str, Any]) -> Fault:
    """Return the fault that `to_json`, and then JSON, made this of.

    Raises:
        LabError: no such kind, or not its fields.
    """
    kind = kind_named(str(value.get("name")))
    given = {key: item for key, item in value.items() if key != "name"}
    hints = field_types(kind)
    try:
        return kind(**{key: _shaped(hints[key], item) for key, item in given.items()})
    except (KeyError, TypeError, ValueError):
        raise LabError(f"This is no {kind.name}: {dict(value)}.", usage(kind)) from None


def from_words(name: str, words: Sequence[str]) -> Fault:
    """Return the fault that people wrote as `kill node=2 service=corosync`.

    Lists are parted by commas, lists of lists by slashes: `partition groups=1,2/3`.

    Raises:
        LabError: no such kind, or not its fields.
    """
    kind = kind_named(name)
    hints = field_types(kind)
    value: dict[str, Any] = {"name": name}
    for word in words:
        key, separator, text = word.partition("=")
        if not separator or key not in hints:
            raise LabError(f'"{word}" is no field of {name}.', usage(kind))
        try:
            value[key] = _read(hints[key], key, text)
        except ValueError:
            raise LabError(f'"{word}": that cannot be its value.', usage(kind)) from None
    return from_json(value)


def to_words(fault: Fault) -> str:
    """Return the line from which `from_words` makes the same fault, without what is default."""
    defaults = {field.name: field.default for field in _fields(type(fault))}
    words = [
        f"{key}={_written(item)}" for key, item in _values(fault).items() if item != defaults[key]
    ]
    return " ".join([fault.name, *words])


def draw(chance: Random, plan: Plan, kinds: Sequence[str] | None = None) -> Fault:
    """Return a fault that suits the plan; the same `chance` and plan give the same one.

    Args:
        chance: seeded by the caller.
        plan: of the lab that shall have it.
        kinds: which to choose from; None means all.

    Raises:
        LabError: no such kind, or none of them suits this plan.
    """
    rest = [kind_named(name) for name in (CATALOGUE if kinds is None else kinds)]
    while rest:
        kind = rest.pop(chance.randrange(len(rest)))
        fault = kind.draw(chance, plan)
        if fault is not None:
            return fault
    raise LabError(f'None of these faults can be had in lab "{plan.lab}".')


def kind_named(name: str) -> type[Fault]:
    """Return the kind.

    Raises:
        LabError: there is none of that name.
    """
    kind = CATALOGUE.get(name)
    if kind is None:
        raise LabError(f'There is no fault "{name}".', f"Known: {', '.join(CATALOGUE)}.")
    return kind


def field_types(kind: type[Fault]) -> dict[str, Any]:
    """Return the types of the kind's fields, in order."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in _fields(kind)}


def usage(kind: type[Fault]) -> str:
    """Return the kind and its fields in one line: `kill node=... [service=all]`."""
    parts = [
        f"{field.name}=..." if field.default is MISSING else f"[{field.name}={field.default}]"
        for field in _fields(kind)
    ]
    return " ".join([kind.name, *parts])


def _values(fault: Fault) -> dict[str, Any]:
    described: Any = fault  # every fault is a dataclass, which no Protocol can say
    return asdict(described)


def _fields(kind: type[Fault]) -> tuple[Field[Any], ...]:
    described: Any = kind
    return fields(described)


def _shaped(hint: object, value: object) -> object:
    """Return the value with tuples where JSON has lists; TypeError if it is of another type."""
    if get_origin(hint) is tuple:
        (item_hint, *_) = get_args(hint)
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise TypeError
        return tuple(_shaped(item_hint, item) for item in value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise TypeError
    return value


def _written(value: object) -> str:
    match value:
        case tuple():
            separator = "/" if any(isinstance(item, tuple) for item in value) else ","
            return separator.join(_written(item) for item in value)
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)


def _read(hint: object, key: str, text: str) -> object:
    if get_origin(hint) is tuple:
        (item_hint, *_) = get_args(hint)
        separator = "/" if get_origin(item_hint) is tuple else ","
        return tuple(_read(item_hint, key, item) for item in text.split(separator))
    if hint is bool:
        return {"yes": True, "no": False}.get(text, text)
    if key in NODE_FIELDS and text != EVERYBODY:
        return node_name(text)
    return cast("Callable[[str], object]", hint)(text)

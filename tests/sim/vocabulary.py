"""The one vocabulary for what happens in a cluster: a line of text for each thing.

    write 1 /a v1           a caller on node 1; also mkdir, delete, rename 1 /a /b,
                            touch 1 /a 1700000000
    deliver 2 [3]           node 2 reads one event of the group, or three in one batch
    settle                  everything under way is delivered, then all claims are checked
    isolate 3 [keep 2]      the network; also partition 1,2|3 and heal
    quorum 2 off            node 2 is told so; it may be early, late or untrue until it settles
    kill 1, restart 1       the process; crash 1 [keep 0] takes the machine with it
    disconnect 1, reconnect 1, rejoin 1     its corosync
    busy 2, free 2          its corosync takes no messages; then those that have waited
    announce-again 2        everybody is told once more that node 2 has joined
    doom 1 commit-after     the process dies when it next gets there
    disk 1 busy             also broken and well; retry 1, and lose-patience 1, are the daemon's
    refuse-sends 1 2, wipe 1, verify 1, tick 5, skew 2 -30
    expect 2 /a v1          a file's content; ``-`` for no such file
    answered 3 EACCES       the result of node 3's last request: a count, an errno or ``waiting``

``keep N`` says how much of what nobody had read yet is recovered when rings change: the rest is
lost to those whom its sender has left. Without it nothing is lost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from errno import errorcode
from typing import Any, get_args

from pmxcfs.identity import NodeId
from tests.sim.cpg import KEEP_ALL
from tests.sim.node import CrashPoint, DiskFault
from tests.sim.world import World


def perform(world: World, line: str) -> None:
    """Let happen what a line says.

    Raises:
        ValueError: the line makes no sense.
        AssertionError: what the line expects is not so, or a claim turned out to be false.
    """
    act, arguments = _parse(line)
    act(world, *arguments)


@dataclass(frozen=True, slots=True)
class _Verb:
    """What to call, and how to read the words behind the verb; of these some may be missing."""

    act: Callable[..., None]
    readers: tuple[Callable[[str], Any], ...] = ()
    optional: int = 0
    takes_keep: bool = False


def _parse(line: str) -> tuple[Callable[..., None], list[Any]]:
    name, *words = line.split()
    verb = _VERBS.get(name)
    if verb is None:
        raise ValueError(f"no such thing can happen: {line}")
    keep = KEEP_ALL
    try:
        if verb.takes_keep and words[-2:-1] == ["keep"]:
            words, keep = words[:-2], int(words[-1])
        arguments = [read(word) for read, word in zip(verb.readers, words, strict=False)]
    except (ValueError, KeyError) as error:
        raise ValueError(f"cannot make sense of: {line}") from error
    if not len(verb.readers) - verb.optional <= len(words) <= len(verb.readers):
        raise ValueError(f"too few words or too many: {line}")
    return verb.act, [*arguments, keep] if verb.takes_keep else arguments


def _node(text: str) -> NodeId:
    return NodeId(int(text))


def _sides(text: str) -> list[list[NodeId]]:
    return [[_node(number) for number in side.split(",")] for side in text.split("|")]


def _switch(text: str) -> bool:
    return {"on": True, "off": False}[text]


def _crash_point(text: str) -> CrashPoint:
    points: dict[str, CrashPoint] = {point: point for point in get_args(CrashPoint)}
    return points[text]


def _disk_fault(text: str) -> DiskFault | None:
    faults: dict[str, DiskFault | None] = {"well": None, "busy": "busy", "broken": "broken"}
    return faults[text]


def _expect(world: World, node_id: NodeId, path: str, text: str) -> None:
    found = world.text(node_id, path)
    expected = None if text == "-" else text
    assert found == expected, f"node {node_id} has {found!r} at {path}, not {expected!r}"


def _answered(world: World, node_id: NodeId, text: str) -> None:
    result = world.last_request[node_id].result
    found = "waiting" if result is None else errorcode[-result] if result < 0 else str(result)
    assert found == text, f"node {node_id} was answered {found}, not {text}"


_VERBS = {
    "write": _Verb(World.write, (_node, str, str)),
    "mkdir": _Verb(World.mkdir, (_node, str)),
    "delete": _Verb(World.delete, (_node, str)),
    "rename": _Verb(World.rename, (_node, str, str)),
    "touch": _Verb(World.touch, (_node, str, int)),
    "deliver": _Verb(World.deliver, (_node, int), optional=1),
    "settle": _Verb(World.settle),
    "isolate": _Verb(World.isolate, (_node,), takes_keep=True),
    "partition": _Verb(World.partition, (_sides,), takes_keep=True),
    "heal": _Verb(World.heal, takes_keep=True),
    "quorum": _Verb(World.tell_quorum, (_node, _switch)),
    "kill": _Verb(World.kill, (_node,)),
    "crash": _Verb(World.crash, (_node,), takes_keep=True),
    "restart": _Verb(World.restart, (_node,), takes_keep=True),
    "disconnect": _Verb(World.disconnect, (_node,), takes_keep=True),
    "reconnect": _Verb(World.reconnect, (_node,), takes_keep=True),
    "rejoin": _Verb(World.rejoin, (_node,)),
    "announce-again": _Verb(World.announce_again, (_node,)),
    "busy": _Verb(World.be_busy, (_node,)),
    "free": _Verb(World.be_free, (_node,)),
    "doom": _Verb(World.doom, (_node, _crash_point)),
    "refuse-sends": _Verb(World.refuse_sends, (_node, int)),
    "disk": _Verb(World.set_disk, (_node, _disk_fault)),
    "retry": _Verb(World.retry_disk, (_node,)),
    "lose-patience": _Verb(World.lose_patience, (_node,)),
    "wipe": _Verb(World.wipe, (_node,)),
    "verify": _Verb(World.verify, (_node,)),
    "tick": _Verb(World.tick, (int,)),
    "skew": _Verb(World.skew, (_node, int)),
    "expect": _Verb(_expect, (_node, str, str)),
    "answered": _Verb(_answered, (_node, str)),
}

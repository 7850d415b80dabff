"""A made-up run that looks like one: nodes that are cut off, calls that wait, fail and get lost."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pmxcfs_lab.runs.folder import (
    CallEvent,
    FaultEvent,
    Observation,
    Phase,
    Run,
    RunWriter,
    Verdict,
    Violation,
)

NOTICED_S = 2.5
"""A fault is noticed after this; calls meanwhile wait."""

KINDS = {"write": 5, "rename": 4, "mkdir": 1, "rmdir": 1, "read": 8}


@dataclass(frozen=True)
class Trouble:
    """A node that is away for some time."""

    fault: dict[str, object]
    node: str
    start: float
    end: float
    is_down: bool


def troubles(nodes: tuple[str, ...], seconds: float) -> list[Trouble]:
    """One node isolated, another one killed, a third one slow in coming back; again and again."""
    found = []
    for number in range(max(1, int(seconds // 75))):
        at = 75.0 * number
        node = nodes[(number + 2) % len(nodes)]
        other = nodes[(number + 1) % len(nodes)]
        isolate: dict[str, object] = {"name": "isolate", "node": node}
        kill: dict[str, object] = {"name": "kill", "node": other, "service": "pmxcfs"}
        found.append(Trouble(isolate, node, at + 14, at + 33, is_down=False))
        found.append(Trouble(kill, other, at + 48, at + 57, is_down=True))
    return [trouble for trouble in found if trouble.end < seconds]


def write_run(
    folder: Path,
    *,
    seconds: float = 150.0,
    per_s: float = 30.0,
    size: int = 5,
    clients: int = 8,
    violations: bool = True,
) -> None:
    """Write the folder of such a run."""
    draw = random.Random(7)
    nodes = tuple(f"node{number}" for number in range(1, size + 1))
    bad = troubles(nodes, seconds)
    run = Run(
        seed=7,
        nodes=nodes,
        provider="namespaces",
        command=f"pmxcfs-lab run --seed 7 --minutes {seconds / 60:g} --nodes {size}",
        started_unix_s=1_795_000_000.0,
        binaries=dict.fromkeys(nodes),
        traffic=("updates", "locks", "reads"),
    )
    with RunWriter(folder, run) as writer:
        for event in _faults(bad):
            writer.fault(event)
        for seen in _observations(nodes, bad, seconds):
            writer.observed(seen)
        for call in _history(draw, nodes, bad, seconds, per_s, clients):
            writer.call(call)
        (writer.node_folder("node1") / "pmxcfs.log").write_text("")
        writer.finish(*_end(seconds, violations))


def _end(seconds: float, is_violated: bool) -> tuple[Verdict, float, tuple[Violation, ...]]:
    found = (
        Violation("nothing-lost", 36.4, "/etc/pve/nodes/node1/v3: acknowledged, then gone", op=420),
        Violation("lock-exclusive", 61.0, "two holders of priv/lock/storage for 0.8 s", "node2"),
    )
    return ("violated", seconds, found) if is_violated else ("ok", seconds, ())


def _faults(bad: list[Trouble]) -> Iterator[FaultEvent]:
    moments = [(one.start, "inject", one.fault) for one in bad]
    moments += [(one.end, "heal", one.fault) for one in bad]
    moments.append((5.0, "refused", {"name": "link_quality", "delay_ms": 40, "reason": "no netem"}))
    for t, event, fault in sorted(moments, key=lambda moment: moment[0]):
        yield FaultEvent(t, event, dict(fault))  # type: ignore[arg-type]


def _trouble(node: str, bad: list[Trouble], t: float) -> Trouble | None:
    return next((one for one in bad if one.node == node and one.start <= t < one.end), None)


def _observations(
    nodes: tuple[str, ...], bad: list[Trouble], seconds: float
) -> Iterator[Observation]:
    known: dict[str, int] = dict.fromkeys(nodes, 3)
    for half in range(int(seconds * 2)):
        t = half / 2
        away = {one.node for one in bad if one.start + NOTICED_S <= t < one.end + 1.5}
        version = 3 + int(t * 6)
        for number, node in enumerate(nodes, start=1):
            trouble = _trouble(node, bad, t)
            is_down = trouble is not None and trouble.is_down
            if node not in away:
                known[node] = version
            returning = any(one.node == node and 0 <= t - one.end < 1.5 for one in bad)
            others = tuple(n for n, name in enumerate(nodes, start=1) if name not in away)
            members = (number,) if node in away else others
            yield Observation(
                t,
                node,
                () if is_down else members,
                None if is_down else node not in away or returning,
                None if is_down else "update" if returning else "synced",
                None if is_down else min(members),
                None if is_down else known[node],
                {"corosync": True, "pmxcfs": not is_down},
            )


def _history(
    draw: random.Random,
    nodes: tuple[str, ...],
    bad: list[Trouble],
    seconds: float,
    per_s: float,
    clients: int,
) -> Iterator[CallEvent]:
    number = 0
    free = {f"client{client + 1}": draw.random() for client in range(clients)}
    while free:
        client = min(free, key=lambda name: free[name])
        t = free[client]
        if t >= seconds - 0.5:
            del free[client]
            continue
        number += 1
        node = nodes[int(client.removeprefix("client")) % len(nodes)]
        call = draw.choices(list(KINDS), list(KINDS.values()))[0]
        path = f"/etc/pve/nodes/{node}/v{draw.randrange(40)}"
        took, phase, errno = _outcome(draw, node, call, bad, t)
        yield CallEvent(t, number, client, node, call, path, "invoke")
        if t + took < seconds:
            yield CallEvent(t + took, number, client, node, call, path, phase, errno)
        free[client] = t + took + draw.expovariate(per_s / clients)


def _outcome(
    draw: random.Random, node: str, call: str, bad: list[Trouble], t: float
) -> tuple[float, Phase, str | None]:
    took = draw.lognormvariate(-9.0 if call == "read" else -5.6, 0.5)
    trouble = _trouble(node, bad, t)
    if trouble is None:
        cuts = [one.start for one in bad if 0 <= t - one.start < NOTICED_S]
        waits = cuts and call != "read"
        return (cuts[0] + NOTICED_S - t + took if waits else took), "ok", None
    if trouble.is_down:
        is_lost = draw.random() < 0.3
        return (0.2 + took, "unknown", "ENOTCONN") if is_lost else (took, "fail", "ENOTCONN")
    if call == "read":
        return took, "ok", None
    if t - trouble.start < NOTICED_S:
        return trouble.start + NOTICED_S - t + took, "fail", "EACCES"
    return took + 0.05, "fail", "EACCES"


if __name__ == "__main__":
    import sys

    write_run(Path(sys.argv[1]), seconds=float(sys.argv[2]), per_s=float(sys.argv[3]))

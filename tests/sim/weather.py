"""Chooses what happens next, from a seed: mostly work, sometimes a fault.

No two worlds have the same climate: in each, some things never happen and others happen often, for
what is rare in all of them would never meet what is rare, too.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import get_args

from pmxcfs.identity import NodeId
from tests.sim.node import CrashPoint, Node
from tests.sim.world import World

PATHS = ("/a", "/b", "/c", "/d/a", "/d/b", "/e/a")
DIRECTORIES = ("/d", "/e", "/d/f")
GUESTS = ("/nodes/n1/qemu-server/7.conf", "/nodes/n2/qemu-server/7.conf", "/nodes/n2/lxc/7.conf")
CONFIGURATION = "/corosync.conf"
LOCKS = ("/priv/lock/a", "/priv/lock/b")

FACTORS = (0, 0.5, 1, 1, 1, 3)
"""By how much a world's climate differs from the usual one."""

LOCK_FACTORS = {"mkdir": 2, "touch": 3, "tick": 3, "skew": 4, "write": 0.5, "rename": 0.5}
"""What there is more of where locks are used, or less."""

STEADY = frozenset(["deliver", "write", "tell_quorum", "restart", "rejoin", "reconnect"])
"""What happens everywhere."""

WEIGHTS: Mapping[str, float] = {
    "deliver": 60,
    "write": 12,
    "mkdir": 2,
    "delete": 2,
    "rename": 1.5,
    "touch": 1.5,
    "tell_quorum": 10,
    "rejoin": 3,
    "settle": 1.5,
    "tick": 2,
    "split": 0.8,
    "heal": 1.2,
    "kill": 0.6,
    "crash": 0.5,
    "restart": 3,
    "disconnect": 0.4,
    "reconnect": 2,
    "announce_again": 0.3,
    "doom": 0.9,
    "refuse_sends": 0.3,
    "disk": 0.3,
    "mend": 2,
    "retry": 4,
    "lose_patience": 1,
    "verify": 0.5,
    "skew": 0.2,
}

BUSY_WEIGHTS: Mapping[str, float] = {"busy": 0.6, "free": 3}
"""Where corosync is too busy now and then; the other runs stay what they were."""


class Weather:
    """One choice after the other; each is a line of ``tests.sim.vocabulary``."""

    def __init__(self, rng: random.Random, *, is_busy: bool = False) -> None:
        self.rng = rng
        self._texts = 0
        self._weights = {
            name: weight if name in STEADY else weight * rng.choice(FACTORS)
            for name, weight in WEIGHTS.items()
        }
        if is_busy:
            self._weights.update(BUSY_WEIGHTS)
        self._makers = self._choices()
        self._files, self._directories = list(PATHS), list(DIRECTORIES)
        self._first_lines: list[str] = []
        if rng.random() < 0.4:
            self._files += GUESTS
            self._first_lines += lines_to_make(GUESTS)
        if rng.random() < 0.4:
            self._directories += LOCKS
            self._first_lines += lines_to_make(LOCKS)
            for name, factor in LOCK_FACTORS.items():
                self._weights[name] *= factor
        if rng.random() < 0.3:
            self._files.append(CONFIGURATION)

    def next_line(self, world: World) -> str:
        """Return something that can happen in this world."""
        if self._first_lines:
            return self._first_lines.pop(0)
        names, weights = list(self._weights), list(self._weights.values())
        while True:
            line = self._makers[self.rng.choices(names, weights)[0]](world)
            if line is not None:
                return line

    def _choices(self) -> dict[str, Callable[[World], str | None]]:
        return {name: getattr(self, f"_{name}") for name in self._weights}

    def _deliver(self, world: World) -> str | None:
        node = self._pick(world, Node.has_unread)
        if node is None:
            return None
        batch = self.rng.choice((1, 1, 1, 2, 5))
        return f"deliver {node.node_id}" + (f" {batch}" if batch > 1 else "")

    def _write(self, world: World) -> str | None:
        self._texts += 1
        path, text = self.rng.choice(self._files), f"v{self._texts}"
        if path == CONFIGURATION:
            text = f"config_version:{self.rng.randrange(10)};key:{text}"
            if self.rng.random() < 0.9:  # the others are broken: corosync could not read them
                text = f"totem{{;{text};}}"
        return self._ask(world, f"write {{}} {path} {text}")

    def _mkdir(self, world: World) -> str | None:
        return self._ask(world, f"mkdir {{}} {self.rng.choice(self._directories)}")

    def _delete(self, world: World) -> str | None:
        return self._ask(world, f"delete {{}} {self.rng.choice(self._files + self._directories)}")

    def _rename(self, world: World) -> str | None:
        source, target = self.rng.sample(self._files, 2)
        return self._ask(world, f"rename {{}} {source} {target}")

    def _touch(self, world: World) -> str | None:
        mtime = self.rng.choice((0, 0, world.now_s))
        path = self.rng.choice(self._files + self._directories)
        return self._ask(world, f"touch {{}} {path} {mtime}")

    def _tell_quorum(self, world: World) -> str | None:
        node = self._pick(world, lambda node: self._is_misled(world, node))
        if node is None:
            return None
        return f"quorum {node.node_id} {'on' if world.is_quorate(node.node_id) else 'off'}"

    def _rejoin(self, world: World) -> str | None:
        node = self._pick(world, lambda node: world.may_rejoin(node.node_id))
        return None if node is None else f"rejoin {node.node_id}"

    def _settle(self, world: World) -> str:
        return "settle"

    def _tick(self, world: World) -> str:
        return f"tick {self.rng.choice((1, 1, 5, 130))}"

    def _split(self, world: World) -> str:
        sides: dict[int, list[NodeId]] = {}
        for node_id in world.nodes:
            sides.setdefault(self.rng.randrange(3), []).append(node_id)
        text = "|".join(",".join(map(str, side)) for side in sides.values())
        return f"partition {text}{self._keep()}"

    def _heal(self, world: World) -> str | None:
        return "heal" if len(world.sides) > 1 else None

    def _kill(self, world: World) -> str | None:
        node = self._pick(world)
        return None if node is None else f"kill {node.node_id}"

    def _crash(self, world: World) -> str | None:
        node = self._pick(world)
        return None if node is None else f"crash {node.node_id}{self._keep()}"

    def _restart(self, world: World) -> str | None:
        down = [node for node in world.nodes.values() if node.process is None]
        return f"restart {self.rng.choice(down).node_id}" if down else None

    def _disconnect(self, world: World) -> str | None:
        node = self._pick(world, lambda node: node.node_id in world.cpg.nodes)
        return None if node is None else f"disconnect {node.node_id}{self._keep()}"

    def _reconnect(self, world: World) -> str | None:
        node = self._pick(world, lambda node: node.node_id not in world.cpg.nodes)
        return None if node is None else f"reconnect {node.node_id}"

    def _doom(self, world: World) -> str | None:
        node = self._pick(world)
        point = self.rng.choice(get_args(CrashPoint))
        return None if node is None else f"doom {node.node_id} {point}"

    def _announce_again(self, world: World) -> str | None:
        return self._ask(world, "announce-again {}")

    def _refuse_sends(self, world: World) -> str | None:
        return self._ask(world, f"refuse-sends {{}} {self.rng.choice((1, 1, 3))}")

    def _disk(self, world: World) -> str | None:
        """Make a disk fail; a daemon that gave up on it is restarted sooner or later."""
        return self._ask(world, f"disk {{}} {self.rng.choice(('busy', 'busy', 'busy', 'broken'))}")

    def _mend(self, world: World) -> str | None:
        node = self._pick(world, lambda node: node.disk_fault is not None)
        return None if node is None else f"disk {node.node_id} well"

    def _retry(self, world: World) -> str | None:
        node = self._pick(world, Node.is_in_trouble)
        return None if node is None else f"retry {node.node_id}"

    def _lose_patience(self, world: World) -> str | None:
        node = self._pick(world, lambda node: node.running.driver.waiting is not None)
        return None if node is None else f"lose-patience {node.node_id}"

    def _verify(self, world: World) -> str | None:
        return self._ask(world, "verify {}")

    def _skew(self, world: World) -> str | None:
        return self._ask(world, f"skew {{}} {self.rng.choice((-60, 0, 0, 60))}")

    def _busy(self, world: World) -> str | None:
        return self._ask(world, "busy {}")

    def _free(self, world: World) -> str | None:
        node = self._pick(world, lambda node: world.cpg.is_busy(node.node_id))
        return None if node is None else f"free {node.node_id}"

    def _ask(self, world: World, line: str) -> str | None:
        node = self._pick(world)
        return None if node is None else line.replace("{}", str(node.node_id), 1)

    def _pick(self, world: World, is_fit: Callable[[Node], bool] = lambda _: True) -> Node | None:
        fit = [node for node in world.nodes.values() if node.process and is_fit(node)]
        return self.rng.choice(fit) if fit else None

    def _is_misled(self, world: World, node: Node) -> bool:
        return node.running.quorum_news != world.is_quorate(node.node_id)

    def _keep(self) -> str:
        return self.rng.choice(("", "", " keep 0", " keep 1", " keep 3"))


def lines_to_make(paths: Iterable[str]) -> list[str]:
    """Return what makes the directories above these paths."""
    parents = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    return [*(f"mkdir 1 {parent}" for parent in sorted(parents - {"/"})), "settle"]

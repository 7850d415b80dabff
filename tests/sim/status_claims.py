"""What all nodes show alike of the status, once nothing is under way."""

from collections.abc import Callable

from pmxcfs.dfsm.modes import Mode
from pmxcfs.identity import NodeId
from tests.sim.status_world import StatusProcess, StatusWorld

Claim = Callable[[StatusWorld], str | None]
"""Returns a sentence on how the claim is false, or None."""


class StatusViolationError(AssertionError):
    """A claim about the status of the cluster is false."""

    def __init__(self, claim: Claim, sentence: str) -> None:
        super().__init__(f"{claim.__name__}: {sentence}")
        self.claim = claim


def check_settled(world: StatusWorld) -> None:
    """Assert that all nodes show the same, once nothing is under way.

    Raises:
        StatusViolationError: they do not.
    """
    for claim in CLAIMS:
        sentence = claim(world)
        if sentence is not None:
            raise StatusViolationError(claim, sentence)


def all_are_in_sync(world: StatusWorld) -> str | None:
    """Nobody waits for anybody."""
    for process in world.processes.values():
        if process.node.mode is not Mode.SYNCED:
            return f"{process.me} is in mode {process.node.mode.name}"
    return None


def entries_are_logged_once(world: StatusWorld) -> str | None:
    """No log has an entry twice."""
    for process in world.processes.values():
        keys = [entry.key for entry in process.node.status.log.entries()]
        if len(set(keys)) < len(keys):
            return f"{process.me} shows an entry of the cluster log twice"
    return None


def logs_are_equal(world: StatusWorld) -> str | None:
    """All have the same log, to the byte."""
    logs = {process.me: process.node.status.log.state() for process in world.processes.values()}
    if len(set(logs.values())) > 1:
        texts = {
            process.me: [entry.message for entry in process.node.status.log.entries()]
            for process in world.processes.values()
        }
        return f"the cluster logs differ: {texts}"
    return None


def values_are_known(world: StatusWorld) -> str | None:
    """All show what a node's clients have set there; what they removed meanwhile may stay."""
    for process in world.processes.values():
        for node_id, published in world.published.items():
            shown = _shown(process, node_id)
            for key, value in published.items():
                if value and shown.get(key) != value:
                    return (
                        f"{process.me} shows {shown.get(key)!r} for {key!r} of {node_id}: {value!r}"
                    )
    return None


def all_are_online(world: StatusWorld) -> str | None:
    """All take all for online."""
    for process in world.processes.values():
        membership = process.node.status.membership
        online = {node_id for node_id in world.node_ids if membership.is_online(node_id)}
        if online != set(world.node_ids):
            return f"{process.me} takes only {sorted(online)} for online"
    return None


CLAIMS: tuple[Claim, ...] = (
    all_are_in_sync,
    entries_are_logged_once,
    logs_are_equal,
    values_are_known,
    all_are_online,
)


def _shown(process: StatusProcess, node_id: NodeId) -> dict[bytes, bytes]:
    values = process.node.status.values
    table = values.own if node_id == process.me.node_id else values.of(node_id)
    return {key: value.data for key, value in table.values.items()} if table else {}

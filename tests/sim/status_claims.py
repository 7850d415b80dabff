"""What all nodes show alike of the status, once nothing is under way."""

from pmxcfs.dfsm.modes import Mode
from tests.sim.status_world import StatusProcess, StatusWorld


class StatusViolationError(AssertionError):
    """A claim about the status of the cluster is false."""


def check_settled(world: StatusWorld) -> None:
    """Assert that all nodes show the same, once nothing is under way.

    Raises:
        StatusViolationError: they do not.
    """
    for process in world.processes.values():
        if process.node.mode is not Mode.SYNCED:
            _refuse(f"{process.me} is in mode {process.node.mode.name}")
    _check_logs(world)
    for process in world.processes.values():
        _check_values(world, process)
        _check_online(world, process)


def _check_logs(world: StatusWorld) -> None:
    for process in world.processes.values():
        keys = [entry.key for entry in process.node.status.log.entries()]
        if len(set(keys)) < len(keys):
            _refuse(f"{process.me} shows an entry of the cluster log twice")
    logs = {process.me: process.node.status.log.state() for process in world.processes.values()}
    if len(set(logs.values())) > 1:
        texts = {
            process.me: [entry.message for entry in process.node.status.log.entries()]
            for process in world.processes.values()
        }
        _refuse(f"the cluster logs differ: {texts}")


def _check_values(world: StatusWorld, process: StatusProcess) -> None:
    """All show what a node's clients have set there; what they removed meanwhile may stay."""
    values = process.node.status.values
    for node_id, published in world.published.items():
        table = values.own if node_id == process.me.node_id else values.of(node_id)
        shown = {key: value.data for key, value in table.values.items()} if table else {}
        for key, value in published.items():
            if value and shown.get(key) != value:
                _refuse(
                    f"{process.me} shows {shown.get(key)!r} for {key!r} of {node_id}: {value!r}"
                )


def _check_online(world: StatusWorld, process: StatusProcess) -> None:
    online = {
        node_id for node_id in world.node_ids if process.node.status.membership.is_online(node_id)
    }
    if online != set(world.node_ids):
        _refuse(f"{process.me} takes only {sorted(online)} for online")


def _refuse(sentence: str) -> None:
    raise StatusViolationError(sentence)

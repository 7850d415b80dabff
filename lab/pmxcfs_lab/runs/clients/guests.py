"""Clients of guests: they make, migrate and remove configurations, all of the same few numbers."""

from functools import partial

from pmxcfs_lab.runs.clients import text
from pmxcfs_lab.runs.clients.mount import fill
from pmxcfs_lab.runs.clients.session import Session


def place(node: str, vmid: int) -> str:
    """Return the path of a guest's configuration while it is a node's."""
    return f"nodes/{node}/qemu-server/{vmid}.conf"


def migrate(session: Session) -> None:
    """Make a guest where there is none, else rename it to another node, now and then remove it.

    Options: every_s, nodes, vmids.
    """
    options, chance = session.order.options, session.chance
    count = options["first"]
    while session.goes_on(options["every_s"]):
        count += 1
        vmid = chance.choice(options["vmids"])
        owner = _owner(session, vmid)
        target = place(chance.choice(options["nodes"]), vmid)
        if owner is None or chance.random() < 0.1:  # of one that is there it must be refused
            _make(session, target, text.token(session.order.client, count, 3))
        elif chance.random() < 0.2:
            path = place(owner, vmid)
            session.call("destroy", path, partial(session.mount.unlink, path))
        elif place(owner, vmid) != target:
            _move(session, place(owner, vmid), target)


def _owner(session: Session, vmid: int) -> str | None:
    """Return the node that has the guest; two looks can both miss one that is moving."""
    for node in session.order.options["nodes"]:
        folder = f"nodes/{node}/qemu-server"
        look = partial(session.mount.names, folder)
        names = session.call("list", folder, look, shows=_count)
        if not isinstance(names, OSError) and f"{vmid}.conf" in names:
            return str(node)
    return None


def _make(session: Session, path: str, token: str) -> None:
    """Make a configuration by its name, then write it, wherever others move it meanwhile."""
    made = session.call("create", path, partial(session.mount.make, path), shows=_nothing)
    if not isinstance(made, OSError):
        session.call("fill", path, partial(fill, made, text.content(token)), value=token)


def _move(session: Session, path: str, target: str) -> None:
    session.call("migrate", path, partial(session.mount.rename, path, target), value=target)


def _count(names: list[str]) -> str:
    return f"{len(names)} names"


def _nothing(_descriptor: int) -> str:
    return ""

"""The program of a client: `python -m pmxcfs_lab.runs.clients.main ORDER`; `Order` as JSON."""

import json
import runpy
import sys
from collections.abc import Callable, Mapping
from typing import cast

from pmxcfs_lab.runs.clients import files, guests, ipc, locks
from pmxcfs_lab.runs.clients.session import Order, Session

Work = Callable[[Session], None]

KINDS: Mapping[str, Work] = {
    "update": files.update,
    "read": files.read,
    "contend": locks.contend,
    "migrate": guests.migrate,
    "publish": ipc.publish,
    "ask": ipc.ask,
}


def main() -> None:
    """Do what the order says until standard input ends."""
    order = Order(**json.loads(sys.argv[1]))
    work = KINDS.get(order.kind)
    if work is None:
        work = cast("Work", runpy.run_path(order.kind)["run"])
    work(Session(order))


if __name__ == "__main__":
    main()

"""What is published for the RRD files, and what is found in them; the same for both daemons.

Run beside the reference in standalone mode, as root in namespaces of its own, this records what it
makes of the values:

    python -m tests.golden.archives | xz > tests/golden/vectors/rrd.json.xz
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import rrdtool

from tests.e2e.ipc_client import SET_STATUS, request

BASE = Path("/var/lib/rrdcached/db")
PERIOD_S = 60


def values(now_s: int) -> list[tuple[str, str]]:
    """Return keys and values of nodes of all versions, the last of them published just now."""
    first_s = now_s - 2 * PERIOD_S
    return [
        pair
        for step in range(3)
        for pair in _values_at(first_s + step * PERIOD_S, f"{1000 * step}", step)
    ]


def _values_at(stamp: int, count: str, step: int) -> list[tuple[str, str]]:
    node = f"4711:1:{stamp}:0.5:4:0.25:U:8e9:4e9:0:0:1e11:2e10:{count}:{count}"
    guest = f"4711:a guest:running:0:{stamp}:2:0.125:1024:512:1e10:0:{count}:{count}:{count}:U"
    more = ":1:2:0.01:0.02:0.03:4:5"
    forms = [
        ("pve2-node/old", node),
        ("pve-node-9.0/new", node + more),
        ("pve-node-9.7/newer", f"{node}{more}:77:78"),
        ("pve2-node/upgraded" if step == 0 else "pve-node-9.0/upgraded", node + more * bool(step)),
        ("pve2.3-vm/100", guest),
        ("pve-vm-9.0/101", guest + more),
        ("pve-vm-12.3/102", f"{guest}{more}:77"),
        ("pve-vm-9.0/103" if step < 2 else "pve2.3-vm/103", guest + more * (step < 2)),
        ("pve2-storage/old/local", f"{stamp}:1000:5{step}"),
        ("pve-storage-9.0/new/local-zfs", f"{stamp}:1000:5{step}"),
        ("pve-storage-9.1/newer/nfs.1", f"{stamp}:1000.5:5{step}:77"),
    ]
    return [(f"rrd/{key}", text) for key, text in forms]


def found(base: Path, now_s: int) -> dict[str, Any]:
    """Return what is below a directory: modes, owners, and all that a file says of itself.

    Where in a file the first row is, librrd decides by chance.
    """
    return {
        str(path.relative_to(base)): _described(path, now_s) for path in sorted(base.rglob("*"))
    }


def _described(path: Path, now_s: int) -> dict[str, Any]:
    state = path.stat()
    described: dict[str, Any] = {
        "mode": oct(state.st_mode),
        "size": state.st_size if path.is_file() else None,
    }
    if path.is_file():
        info = rrdtool.info(str(path))
        described["info"] = {
            key: value
            for key, value in info.items()
            if key != "filename" and not key.endswith(".cur_row")
        }
        window = ("--start", str(now_s - 10 * PERIOD_S), "--end", str(now_s))
        described["rows"] = {
            kind: rrdtool.fetch(str(path), kind, *window) for kind in ("AVERAGE", "MAX")
        }
    return described


def record() -> None:
    """Publish everything through the daemon that runs here, and print what came of it."""
    now_s = int(time.time())
    published = values(now_s)
    for key, text in published:
        result = request(SET_STATUS, key.encode().ljust(256, b"\0") + text.encode() + b"\0")
        if result:
            raise SystemExit(f"{key}: error {result}")
    vector = {"now_s": now_s, "zone": "UTC", "published": published, "files": found(BASE, now_s)}
    json.dump(vector, sys.stdout)


def main(*arguments: str) -> None:
    """Record; or, if told the time, print what is found at that time."""
    if arguments:
        json.dump(found(BASE, int(arguments[0])), sys.stdout)
    else:
        record()


if __name__ == "__main__":
    main(*sys.argv[1:])

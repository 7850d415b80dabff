"""What a node of a Proxmox VE cluster asks of its daemon, faster; ``bench.long_run`` runs it.

    long_run_load.py GUESTS SPEED

Every ten seconds, divided by SPEED: the metrics of the node and of each guest, a list of tasks, and
reads of the lists that the management tools poll. Every minute: a lock is taken, a guest's
configuration replaced, the lock given back. Ends with its standard input; prints counts as JSON.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

from pmxcfs_lab.runs.clients.ipc import NAME_BYTES, Connection

PERIOD_S = 10.0
PERIODS_A_MINUTE = 6
VERSION, MEMBERS, GUESTS, SET_STATUS, RRD = 1, 2, 3, 4, 10
NODE = os.uname().nodename
MOUNT = Path("/etc/pve")
ARCHIVES = Path("/var/lib/rrdcached/db")


class Load:
    """One node's load."""

    def __init__(self, guests: int) -> None:
        number = int(NODE.removeprefix("node"))
        self.vmids = [number * 1000 + index for index in range(guests)]
        self.daemon = Connection()
        self.done = {"published": 0, "asked": 0, "replaced": 0, "locked": 0, "failed": 0}

    def furnish(self) -> None:
        """Make the guests, and the directory for metrics."""
        ARCHIVES.mkdir(parents=True, exist_ok=True)
        folder = MOUNT / "nodes" / NODE / "qemu-server"
        folder.mkdir(parents=True, exist_ok=True)
        (MOUNT / "priv" / "lock").mkdir(parents=True, exist_ok=True)
        for vmid in self.vmids:
            (folder / f"{vmid}.conf").write_text(f"name: vm{vmid}\nmemory: 512\n")

    def publish(self, now_s: int) -> None:
        """Tell everybody how this node and its guests are, at a time that goes as fast as we."""
        self._set("rrd/pve2-node/" + NODE, f"{now_s}:7:0.5:4:0.1:0.0:8e9:4e9:0:0:1e11:2e10:5:6")
        for vmid in self.vmids:
            status = f"{now_s}:vm{vmid}:running:0:{now_s}:2:0.1:512:200:0:0:10:20:30:40"
            self._set(f"rrd/pve2.3-vm/{vmid}", status)
        self._set("tasklist", json.dumps([{"upid": f"{NODE}:{now_s}", "status": "OK"}] * 25))

    def poll(self) -> None:
        """Read what the tools poll."""
        for request in (VERSION, MEMBERS, GUESTS, RRD):
            self._count("asked", lambda request=request: self.daemon.ask(request))
        self._count("asked", (MOUNT / ".version").read_bytes)

    def change(self, minute: int) -> None:
        """Change a guest, as the tools do: a lock, a draft, a rename, an entry in the log."""
        vmid = self.vmids[minute % len(self.vmids)]
        place = MOUNT / "nodes" / NODE / "qemu-server" / f"{vmid}.conf"
        lock = MOUNT / "priv" / "lock" / f"vm-{vmid}"

        def replace() -> None:
            draft = place.with_name(f"{place.name}.tmp.{os.getpid()}")
            draft.write_text(f"name: vm{vmid}\nmemory: {512 + minute % 1024}\n")
            draft.rename(place)

        self._count("locked", lock.mkdir)
        self._count("replaced", replace)
        self._count("locked", lock.rmdir)

    def _set(self, key: str, text: str) -> None:
        payload = key.encode().ljust(NAME_BYTES, b"\0") + text.encode() + b"\0"
        self._count("published", lambda: self.daemon.ask(SET_STATUS, payload))

    def _count(self, what: str, work: object) -> None:
        try:
            work()
        except OSError:
            self.done["failed"] += 1
        else:
            self.done[what] += 1


def main() -> None:
    """Work until standard input ends."""
    guests, speed = int(sys.argv[1]), float(sys.argv[2])
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    load = Load(guests)
    load.furnish()
    period, began_s, clock_s = 0, time.monotonic(), int(time.time())
    while not stop.wait(max(0.0, began_s + period * PERIOD_S / speed - time.monotonic())):
        load.publish(clock_s + int(period * PERIOD_S))
        load.poll()
        if period % PERIODS_A_MINUTE == 0:
            load.change(period // PERIODS_A_MINUTE)
        period += 1
    print(json.dumps({**load.done, "periods": period}))


if __name__ == "__main__":
    main()

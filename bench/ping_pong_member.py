"""A member of a group of the bench, on a node: ``ping_pong_member.py MEMBERS SECONDS``.

It sends a message, and another whenever its last has come back, for so many seconds, then prints
how long each took, in microseconds, as a list. With no seconds it only listens, until its input
ends.
"""

import json
import select
import sys
import time

from pmxcfs.corosync.cpg import CpgHandle
from pmxcfs.dfsm.events import ConfigurationChange, Delivered

GROUP = b"pmxcfs-bench"
MESSAGE = bytes(64)


def main() -> None:
    """Join, wait for the others, do what was asked for."""
    member_count, seconds = int(sys.argv[1]), float(sys.argv[2])
    handle = CpgHandle()
    handle.open()
    handle.join(GROUP)
    sources = select.poll()
    sources.register(handle.fd, select.POLLIN)
    members = 0
    while members < member_count:
        sources.poll()
        for event in handle.dispatch():
            if isinstance(event, ConfigurationChange):
                members = len(event.members)
    if seconds:
        print(json.dumps(_ping(handle, sources, seconds)), flush=True)
    else:
        _listen(handle, sources)
    handle.close()


def _ping(handle: CpgHandle, sources: select.poll, seconds: float) -> list[float]:
    taken_us, end_s = [], time.monotonic() + seconds
    while time.monotonic() < end_s:
        began_ns = time.perf_counter_ns()
        handle.multicast(MESSAGE)
        is_back = False
        while not is_back:
            sources.poll()
            is_back = any(isinstance(event, Delivered) for event in handle.dispatch())
        taken_us.append((time.perf_counter_ns() - began_ns) / 1000)
    return taken_us


def _listen(handle: CpgHandle, sources: select.poll) -> None:
    sources.register(sys.stdin, select.POLLIN)
    while True:
        for descriptor, _ in sources.poll():
            if descriptor != handle.fd:
                return
            handle.dispatch()


if __name__ == "__main__":
    main()

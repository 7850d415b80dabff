"""A process that is a member of one group, for tests: orders on stdin, what it saw on stdout.

It runs inside a node, where corosync's sockets and shared memory are. One JSON object a line.

Orders:

* ``{"do": "send", "messages": [TEXT...]}``: multicast each; ``"pad": N`` makes them N bytes.
* ``{"do": "leave", "for_good": BOOL}``.
* ``{"do": "lag"}``: say how late the loop's clock has been at worst since the last such order.
* ``{"do": "traffic"}``: say how many messages were sent, and how often corosync was too busy.
* ``{"do": "cancel"}``: cancel the group's task and say how long it took to end.

End of input ends the process.
"""

import argparse
import json
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog
import trio

from pmxcfs.corosync.group import CpgGroup
from pmxcfs.corosync.restarts import Timing
from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    GroupEvent,
    SendFailed,
)
from pmxcfs.identity import Member

TICK_S = 0.01


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--group", type=lambda text: text.encode().decode("unicode_escape"))
    arguments.add_argument("--tick", type=float, default=0.1)
    arguments.add_argument("--gap", type=float, default=0.2)
    arguments.add_argument("--stall", type=float, default=10.0)
    arguments.add_argument("--close", type=float, default=1.0)
    given = arguments.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    timing = Timing(given.tick, given.gap, stall_s_max=given.stall, close_s_max=given.close)
    group = CpgGroup(given.group.encode(), _say_events, timing=timing)
    trio.run(_Process(group).run)


class _Process:
    def __init__(self, group: CpgGroup) -> None:
        self._group = group
        self._lag_s = 0.0
        self._running = trio.CancelScope()
        self._ended = trio.Event()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run_group)
            nursery.start_soon(self._measure_lag)
            async for line in _lines():
                await self._obey(json.loads(line))
            nursery.cancel_scope.cancel()

    async def _run_group(self) -> None:
        with self._running:
            await self._group.run()
        self._ended.set()

    async def _measure_lag(self) -> None:
        while True:
            due_s = trio.current_time() + TICK_S
            await trio.sleep_until(due_s)
            self._lag_s = max(self._lag_s, trio.current_time() - due_s)

    async def _obey(self, order: dict[str, Any]) -> None:
        match order["do"]:
            case "send":
                for text in order["messages"]:
                    self._group.multicast(text.encode().ljust(order.get("pad", 0), b"."))
                _say(done="send")
            case "leave":
                self._group.leave(for_good=order["for_good"])
            case "lag":
                _say(lag_s=self._lag_s)
                self._lag_s = 0.0
            case "traffic":
                traffic = self._group.traffic
                _say(traffic={"sent": traffic.sent, "retries": traffic.retries})
            case "cancel":
                began_s = trio.current_time()
                self._running.cancel()
                await self._ended.wait()
                _say(cancelled_in_s=trio.current_time() - began_s)


async def _lines() -> AsyncIterator[bytes]:
    stream = trio.lowlevel.FdStream(sys.stdin.fileno())
    buffer = b""
    async for chunk in stream:
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            yield line


def _say_events(events: Sequence[GroupEvent]) -> None:
    _say(events=[_to_json(event) for event in events])


def _to_json(event: GroupEvent) -> dict[str, Any]:
    match event:
        case Connected(me):
            return {"is": "connected", "me": _pair(me)}
        case Disconnected():
            return {"is": "disconnected"}
        case ConfigurationChange(members, left, joined):
            lists = {"members": members, "left": left, "joined": joined}
            return {"is": "change", **{key: [*map(_pair, value)] for key, value in lists.items()}}
        case Delivered(sender, data):
            return {"is": "delivered", "sender": _pair(sender), "data": _short(data)}
        case SendFailed(data):
            return {"is": "failed", "data": _short(data)}


def _short(data: bytes) -> str:
    """Return the text without its padding, plus its size in bytes if there was any."""
    text = data.rstrip(b".").decode()
    return text if len(text) == len(data) else f"{text}+{len(data)}"


def _pair(member: Member) -> tuple[int, int]:
    return member.node_id, member.pid


def _say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

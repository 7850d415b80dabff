"""The switch's process: `python -m pmxcfs_lab.switch SOCKET`, until killed. Its interfaces end too.

Requests come on a socket, one JSON object a connection, as to a node's init: see `Server`.
"""

import json
import os
import select
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pmxcfs_lab.links.rules import rules_from_json, rules_to_json
from pmxcfs_lab.switch.capture import Capture
from pmxcfs_lab.switch.forwarding import Port, Switch, ethernet_address
from pmxcfs_lab.switch.taps import open_tap
from pmxcfs_lab.switch.timing import Entry, Moment

REQUEST_WITHIN_S = 5.0
NICENESS = -15
"""The nodes wait for this process; on a busy machine it must not wait for them."""


class Server:
    """Waits for frames, requests and the clock; everything happens in this one thread."""

    def __init__(self, path: str) -> None:
        Path(path).unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        Path(path).chmod(0o600)
        self._listener.listen(16)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._fired: list[dict[str, Any]] = []
        self._listeners: list[socket.socket] = []
        self._capture: Capture | None = None
        self._switch = Switch(time.monotonic, self._hear)

    def serve(self) -> None:
        """Carry frames for ever."""
        ports: dict[int, Port] = {}
        while True:
            wait_s = self._switch.pass_time()
            for fd, _ in self._epoll.poll(-1 if wait_s is None else wait_s):
                if fd == self._listener.fileno():
                    self._take_request()
                    ports = {port.fd: port for port in self._switch.ports.values()}
                elif fd in ports:
                    try:
                        self._switch.read_port(ports[fd])
                    except OSError:  # the node is gone, and its interface with it
                        self._epoll.unregister(fd)
                        self._switch.unplug(ports.pop(fd).fd)

    def _take_request(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(REQUEST_WITHIN_S)
        with suppress(OSError):  # whoever asked has gone; that is theirs to know
            try:
                request = json.loads(connection.makefile("rb").readline())
                verb = request.pop("verb")
                if verb == "events":
                    self._listeners.append(connection)
                    return
                answer = {"value": self._perform(verb, request)}
            except (OSError, ValueError, KeyError, TypeError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            connection.sendall(json.dumps(answer).encode() + b"\n")
        connection.close()

    def _perform(self, verb: str, request: dict[str, Any]) -> object:
        match verb:
            case "plug":
                self._plug(**request)
            case "shape":
                self._switch.shape(request["key"], rules_from_json(request["rules"]))
            case "shapes":
                return {key: rules_to_json(rules) for key, rules in self._switch.shapes.items()}
            case "begin":
                self._begin(**request)
            case "fired":
                return self._fired
            case "now":
                return self._switch.now()
            case "capture":
                self._start_capture(request["file"])
            case _:
                raise ValueError(f"unknown verb {verb}")
        return None

    def _plug(self, node: str, node_id: int, link: int, pid: int, interface: str) -> None:
        fd = open_tap(pid, interface)
        self._switch.plug_in(ethernet_address(link, node_id), Port(node, link, fd))
        self._epoll.register(fd, select.EPOLLIN)

    def _begin(self, seed: int, entries: list[dict[str, Any]]) -> None:
        self._fired.clear()
        self._switch.begin(
            seed,
            [
                Entry(Moment(entry["frame"]), entry["key"], entry["rules"], entry["note"])
                for entry in entries
            ],
        )

    def _start_capture(self, path: str | None) -> None:
        if self._capture is not None:
            self._capture.close()
        self._capture = None if path is None else Capture(path)
        self._switch.capture = None if self._capture is None else self._capture.write

    def _hear(self, event: dict[str, Any]) -> None:
        self._fired.append(event)
        line = json.dumps(event).encode() + b"\n"
        for connection in tuple(self._listeners):
            try:
                connection.sendall(line)
            except OSError:
                self._listeners.remove(connection)
                connection.close()


def main() -> None:
    """Serve until killed."""
    with suppress(OSError):
        os.nice(NICENESS)
    Server(sys.argv[1]).serve()


if __name__ == "__main__":
    main()

"""A node's first process: makes the node's file system, runs its services, takes requests.

It is process 1 of a pid namespace, so when it dies the kernel ends every process of the node, and
with the last of them the node's mounts and network. Started as `python -m` with the path of its
configuration, a JSON object: see `Configuration`.
"""

import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pmxcfs_lab import probe
from pmxcfs_lab.namespaces import mounts
from pmxcfs_lab.namespaces.services import Supervisor

REQUEST_WITHIN_S = 5.0
PROBE_DIES_AFTER_S = 60
"""A probe that hangs in a dead mount must not stay for ever."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a node's init must know.

    Attributes:
        hostname: the node's name.
        state: the node's folder on the host.
        control: the socket on the host to take requests on.
        hosts: text of /etc/hosts.
        corosync_conf: text for /etc/corosync/corosync.conf if the node has none yet, or None.
        commands: service name -> program and arguments.
        overlay: see `mounts.make_private`.
    """

    hostname: str
    state: str
    control: str
    hosts: str
    corosync_conf: str | None
    commands: dict[str, list[str]]
    overlay: bool = True

    def write(self, path: Path) -> None:
        """Store it where `main` reads it."""
        path.write_text(json.dumps(asdict(self)))


def main() -> None:
    """Build the node, then serve until killed."""
    configuration = Configuration(**json.loads(Path(sys.argv[1]).read_text()))
    listener = _listen(configuration.control)
    mounts.make_private(Path(configuration.state), overlay=configuration.overlay)
    _write_identity(configuration)
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    Init(listener, Supervisor(configuration.commands)).serve()


def _listen(path: str) -> socket.socket:
    """Bind before the host's /run is covered: the socket stays reachable from there."""
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    Path(path).chmod(0o600)
    return listener


def _write_identity(configuration: Configuration) -> None:
    socket.sethostname(configuration.hostname)
    mounts.replace_text(Path("/etc/hostname"), configuration.hostname + "\n")
    mounts.replace_text(Path("/etc/hosts"), configuration.hosts)
    Path("/var/log/corosync").mkdir(exist_ok=True)
    conf = Path("/etc/corosync/corosync.conf")
    if configuration.corosync_conf is not None and not conf.exists():
        conf.write_text(configuration.corosync_conf)


class Init:
    """The loop: one request a connection, children collected as they end."""

    def __init__(self, listener: socket.socket, supervisor: Supervisor) -> None:
        self._listener = listener
        self._supervisor = supervisor

    def serve(self) -> None:
        """Answer requests for ever; listening begins here, so an answer means a finished node."""
        wake_up, waker = socket.socketpair()
        waker.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        selector = selectors.DefaultSelector()
        selector.register(wake_up, selectors.EVENT_READ)
        selector.register(self._listener, selectors.EVENT_READ)
        self._listener.listen(64)
        while True:
            for key, _ in selector.select():
                if key.fileobj is wake_up:
                    wake_up.recv(4096)
                else:
                    self._take_request()
            self._supervisor.reap()

    def _take_request(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(REQUEST_WITHIN_S)
            try:
                request = json.loads(connection.makefile("rb").readline())
                self._supervisor.reap()
                if request["verb"] == "probe":
                    self._probe_in_a_child(connection, with_tree=request["with_tree"])
                    return
                answer = {"value": self._perform(request)}
            except (OSError, ValueError, KeyError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            _send(connection, answer)

    def _perform(self, request: dict[str, Any]) -> object:
        match request["verb"]:
            case "states":
                return self._supervisor.states()
            case "start":
                self._supervisor.start(
                    request["service"],
                    request["extra"],
                    request["program"],
                    request["environment"],
                )
                return None
            case "signal":
                number = signal.Signals[request["signal"]]
                names: list[str] = request["services"]
                return [self._supervisor.signal(name, number) for name in names]
            case verb:
                raise ValueError(f"unknown verb {verb}")

    def _probe_in_a_child(self, connection: socket.socket, *, with_tree: bool) -> None:
        """Answer from a child: looking at a mount whose daemon hangs would stop the whole node."""
        states = self._supervisor.states()
        _in_child(lambda: _answer_probe(connection, states, with_tree=with_tree))


def _answer_probe(connection: socket.socket, states: object, *, with_tree: bool) -> None:
    connection.settimeout(None)
    _send(connection, {"value": {**probe.look(with_tree=with_tree), "services": states}})


def _in_child(work: Callable[[], None]) -> None:
    if os.fork() != 0:
        return
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.alarm(PROBE_DIES_AFTER_S)
        work()
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _send(connection: socket.socket, answer: dict[str, object]) -> None:
    try:
        connection.sendall(json.dumps(answer).encode() + b"\n")
    except OSError as error:  # whoever asked has gone; that is theirs to know
        sys.stderr.write(f"answer not taken: {error}\n")


if __name__ == "__main__":
    main()

"""Starting, watching and signalling a node's services; runs inside the node's init."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LOGS = Path("/var/log")

CLEAN_SIGNALS = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGINT, signal.SIGTERM]
"""Python ignores or catches these; a service must not inherit that."""


@dataclass(slots=True)
class Running:
    """A service and how it fares.

    Attributes:
        pid: its number in the node, None once it has ended or before it ever ran.
        exit_status: how it ended last, 128 + N for signal N; None while it runs or never ran.
    """

    pid: int | None = None
    exit_status: int | None = None


class Supervisor:
    """Runs each service at most once and keeps how it ended. It never restarts one by itself."""

    def __init__(self, commands: Mapping[str, list[str]]) -> None:
        self._commands = commands
        self._running = {name: Running() for name in commands}

    def start(
        self,
        name: str,
        extra: list[str],
        program: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the service with further arguments, unless it runs.

        Args:
            name: of the service.
            extra: arguments behind its usual ones.
            program: another executable, instead of its own.
            environment: variables on top of ours.

        Raises:
            OSError: its program cannot be executed.
        """
        service = self._running[name]
        if service.pid is not None:
            return
        own, *arguments = self._commands[name]
        command = [program or own, *arguments, *extra]
        log = os.open(LOGS / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(log, f"--- lab: starting {' '.join(command)}\n".encode())
            service.pid = os.posix_spawnp(
                command[0],
                command,
                {**os.environ, **(environment or {})},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=CLEAN_SIGNALS,
            )
        finally:
            os.close(log)
        service.exit_status = None

    def signal(self, name: str, number: int) -> bool:
        """Send a signal to the service; return False if it does not run."""
        pid = self._running[name].pid
        if pid is None:
            return False
        os.kill(pid, number)
        return True

    def reap(self) -> None:
        """Collect every child that ended: services, and orphans that the kernel gave to us."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._note_end(pid, status)

    def states(self) -> dict[str, dict[str, int | None]]:
        """Return {"pid": ..., "exit_status": ...} of every service by name."""
        return {
            name: {"pid": service.pid, "exit_status": service.exit_status}
            for name, service in self._running.items()
        }

    def _note_end(self, pid: int, status: int) -> None:
        for service in self._running.values():
            if service.pid == pid:
                code = os.waitstatus_to_exitcode(status)
                service.pid = None
                service.exit_status = code if code >= 0 else 128 - code

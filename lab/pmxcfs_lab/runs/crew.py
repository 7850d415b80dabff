"""The clients of a run: started on their nodes, heard, and started again if they die."""

import json
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.runs.clients.session import Order
from pmxcfs_lab.runs.folder import CallEvent, RunWriter
from pmxcfs_lab.runs.traffic import BOUNDS_S, Client
from pmxcfs_lab.runs.validators.bounds import DIED

PROGRAM = "pmxcfs_lab.runs.clients.main"

NUMBERS_PER_CLIENT = 10_000_000
NUMBERS_PER_LIFE = 200_000
"""Calls are numbered so that no two of a run have one number."""

AGAIN_AFTER_S = 1.0


class Crew:
    """All clients of one run.

    Args:
        lab: where they work.
        clients: who they are.
        seed: of all that they choose.
        writer: takes what they record.
        began_s: when the run began, by the monotonic clock.
    """

    def __init__(
        self, lab: Lab, clients: Sequence[Client], seed: int, writer: RunWriter, began_s: float
    ) -> None:
        self._lab = lab
        self._writer = writer
        self._began_s = began_s
        self._seed = seed
        self._is_over = threading.Event()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._threads = [
            threading.Thread(target=self._keep, args=(number, client), daemon=True)
            for number, client in enumerate(clients)
        ]

    def start(self) -> None:
        """Start all of them."""
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float) -> None:
        """Tell all to end, and wait for the answers of their last calls; kill who gets none."""
        self._is_over.set()
        for process in list(self._processes.values()):
            if process.stdin is not None:
                process.stdin.close()
        deadline_s = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        for process in list(self._processes.values()):
            process.kill()
        for thread in self._threads:
            thread.join(AGAIN_AFTER_S)

    def _keep(self, number: int, client: Client) -> None:
        """Run a client, and again if it dies before the end: its node may have lost power."""
        life = 0
        while not self._is_over.is_set():
            with suppress(LabError, OSError):  # while the node is away
                self._live(number, client, life)
            life += 1
            self._is_over.wait(AGAIN_AFTER_S)

    def _live(self, number: int, client: Client, life: int) -> None:
        first_id = number * NUMBERS_PER_CLIENT + life * NUMBERS_PER_LIFE
        order = Order(
            client.name,
            client.kind,
            client.node,
            f"{self._seed}/{client.name}/{life}",
            self._began_s,
            {**client.options, "bounds_s": dict(BOUNDS_S), "first": life * NUMBERS_PER_LIFE},
        )
        argv = [self._lab.python, "-m", PROGRAM, json.dumps(asdict(order))]
        process = subprocess.Popen(
            self._lab.attach_argv(client.node, argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._processes[client.name] = process
        pending: dict[str, Any] | None = None
        assert process.stdout is not None
        for line in process.stdout:
            pending = self._take(client, first_id, line)
        process.wait()
        if pending is not None:
            self._record(client, {**pending, "phase": "unknown", "errno": DIED, "value": None})

    def _take(self, client: Client, first_id: int, line: str) -> dict[str, Any] | None:
        """Record a line of a client; return its call that is under way after it."""
        event: dict[str, Any] = json.loads(line)
        event["id"] += first_id
        self._record(client, event)
        is_open = event["phase"] == "invoke" or (
            event["phase"] == "unknown" and event["errno"] is None
        )
        return event if is_open else None

    def _record(self, client: Client, event: dict[str, Any]) -> None:
        if event["errno"] == DIED:
            event["t"] = round(time.monotonic() - self._began_s, 6)
        self._writer.call(CallEvent(client=client.name, node=client.node, **event))

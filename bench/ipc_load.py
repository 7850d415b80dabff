"""Asks a daemon's IPC service as fast as it can; appended to tests/e2e/ipc_client.py on a node.

Prints one JSON list: per workload its name, calls per second, and the 50th and 99th percentile of
the latency of one client in microseconds.
"""

import json
import multiprocessing
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.ipc_client import Connection

SECONDS = 1.5
CLIENTS = 8

KEY = b"kv/bench".ljust(256, b"\0")

WORKLOADS = (
    ("members", 2, b""),
    ("version", 1, b""),
    ("file of 4 KiB", 6, b"bench/small\0"),
    ("file of 512 KiB", 6, b"bench/large\0"),
    ("one property of 100 guests", 11, b"\0\0\0\0name\0"),
    ("set status", 4, KEY + b"x" * 200),
)


def latencies_s(number: int, payload: bytes) -> list[float]:
    """Return how long each call of one client took."""
    connection = Connection()
    taken: list[float] = []
    end_s = time.perf_counter() + SECONDS
    while (begin_s := time.perf_counter()) < end_s:
        error, _ = connection.ask(number, payload)
        assert error == 0, (number, error)
        taken.append(time.perf_counter() - begin_s)
    connection.close()
    return sorted(taken)


def measure() -> list[tuple[str, float, float, float]]:
    """Return name, calls per second, and two percentiles of the latency of each workload."""
    rows = []
    for name, number, payload in WORKLOADS:
        taken = latencies_s(number, payload)
        half, most = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
        rows.append((name, len(taken) / SECONDS, half * 1e6, most * 1e6))
    with multiprocessing.Pool(CLIENTS) as pool:
        calls = [len(taken) for taken in pool.starmap(latencies_s, [(2, b"")] * CLIENTS)]
    rows.append((f"members, {CLIENTS} clients", sum(calls) / SECONDS, 0, 0))
    return rows


if __name__ == "__main__":
    print(json.dumps(measure()))

"""Management tools beside a daemon: clients of its IPC service, of any user."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.e2e import ipc_client
from tests.fuse.daemon import Daemon

WITHIN_S = 30
Answer = tuple[int, bytes]


def connect(daemon: Daemon, buffer_bytes: int = 1 << 20) -> ipc_client.Connection:
    """Return a connection as root."""
    return ipc_client.Connection(daemon.ipc_name.encode(), buffer_bytes)


def ask_as(
    uid: int, gid: int, daemon: Daemon, questions: Sequence[tuple[int, bytes]]
) -> list[Answer] | int:
    """Return what somebody is answered, or the errno with which it is not let in."""
    script = Path(ipc_client.__file__).read_text()
    asked = subprocess.run(
        [sys.executable, "-c", script, "ask", daemon.ipc_name, str(uid), str(gid)],
        input=json.dumps([(number, payload.hex()) for number, payload in questions]),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=True,
    )
    answers = json.loads(asked.stdout)
    if isinstance(answers, int):
        return answers
    return [(error, bytes.fromhex(payload)) for error, payload in answers]


def porter_of(daemon: Daemon) -> int:
    """Return the process id of the daemon's porter."""
    lists = Path(f"/proc/{daemon.pid}/task").glob("*/children")
    children = [int(pid) for listed in lists for pid in listed.read_text().split()]
    (porter,) = [
        pid for pid in children if b"pmxcfs.ipc.porter" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    return porter


def shared_memory_of(porter: int) -> set[str]:
    """Return the names of the directories that a porter has for its clients."""
    return {path.name for path in Path("/dev/shm").glob(f"qb-{porter}-*")}


def descriptors_of(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident_kib_of(pid: int) -> int:
    """Return how much memory a process has."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])

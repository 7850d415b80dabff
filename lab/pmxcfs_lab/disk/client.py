"""A node's disk layer from the outside: put it there, tell it how to behave, cut its power."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

from pmxcfs_lab.disk.mood import Mood
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.provider import Provider

FOLDER = "/var/lib/pve-cluster"
SOCKET = "/run/lab-disk.sock"
LOG = "/var/log/disk.log"

ANSWER_WITHIN_S = 30.0

IS_MOUNTED = f"grep -q '^lab-disk {FOLDER} ' /proc/mounts"

MOUNT = f"""\
{IS_MOUNTED} && exit 0
setsid -f "$1" -m pmxcfs_lab.disk {FOLDER} {SOCKET} >>{LOG} 2>&1 </dev/null
for _ in $(seq 500); do {IS_MOUNTED} && [ -S {SOCKET} ] && exit 0; sleep 0.05; done
echo "it was not there in time" >&2
tail -n 3 {LOG} >&2
exit 1
"""

UNMOUNT = f"! {IS_MOUNTED} || umount {FOLDER}"

ASK = """\
import socket, sys
with socket.socket(socket.AF_UNIX) as one:
    one.connect(sys.argv[1])
    one.sendall(sys.stdin.buffer.read())
    sys.stdout.write(one.makefile().readline())
"""


class NodeDisk:
    """The disk layer of one node.

    Args:
        provider: has the node.
        node: its name.
    """

    def __init__(self, provider: Provider, node: str) -> None:
        self._provider = provider
        self._node = node

    def mount(self) -> None:
        """Put the layer over the folder of the database, unless it is there; pmxcfs does not run.

        Raises:
            LabError: it could not be mounted.
        """
        self._shell(MOUNT, self._provider.python)

    def set_mood(self, mood: Mood) -> None:
        """Have the disk behave so from now on."""
        self._ask({"mood": asdict(mood)})

    def cut_power(self, seed: int, keep: float) -> Mapping[str, int]:
        """Take away what was not synced, and the layer with it; `mount` brings it back.

        Only for a node whose daemons are dead.

        Args:
            seed: decides what reached the disk by chance.
            keep: share of sectors that did.

        Returns:
            "lost_sectors", "kept_sectors", "lost_names".
        """
        lost = self._ask({"cut": {"seed": seed, "keep": keep}})
        self._shell(UNMOUNT)
        return lost

    def _ask(self, request: object) -> Mapping[str, int]:
        done = self._provider.exec(
            self._node,
            [self._provider.python, "-c", ASK, SOCKET],
            stdin=json.dumps(request).encode(),
            timeout_s=ANSWER_WITHIN_S,
        )
        answer = json.loads(done.stdout or "{}") if done.exit_status == 0 else {}
        if done.exit_status != 0 or "error" in answer:
            said = answer.get("error") or done.stderr.decode().strip()
            raise LabError(f"{self._node}: its disk layer refused: {said}")
        return cast("Mapping[str, int]", answer)

    def _shell(self, script: str, *arguments: str) -> None:
        argv = ["sh", "-c", script, "sh", *arguments]
        done = self._provider.exec(self._node, argv, timeout_s=ANSWER_WITHIN_S)
        if done.exit_status != 0:
            said = done.stderr.decode().strip()
            raise LabError(f"{self._node}: no disk layer could be had: {said}")

"""What tests do on a node's mount.

That of the reference may show a state which is a second old, so whoever reads there waits.
"""

from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from testinfra.host import Host

from .where import PYTHON

Nodes = dict[str, Host]

SETTLES_WITHIN_S = 60.0
SEEN_WITHIN_S = 10.0

ERRNO_OF_CREATE = """
import errno, sys
try:
    open(sys.argv[1], "x").close()
except OSError as error:
    print(errno.errorcode[error.errno])
else:
    print("created")
"""


def run(node: Host, command: str, *arguments: str) -> str:
    """Run a command on a node; the test fails if that does. Return what it wrote."""
    result = node.run(command, *arguments)
    assert result.rc == 0, f"{command}: {result.stderr}"
    text: str = result.stdout
    return text


def write(node: Host, path: str, text: str) -> None:
    """Write a file on a node; the test fails if the node refuses."""
    run(node, "printf %%s %s > %s", text, f"/etc/pve/{path}")


def read(node: Host, path: str) -> str:
    """Return a file's text on a node; the test fails if the node refuses."""
    return run(node, "cat %s", f"/etc/pve/{path}")


def wait_for_text(node: Host, path: str, text: str) -> None:
    """Return once a file has this text on a node."""

    def check() -> None:
        assert read(node, path) == text

    eventually(check, within_s=SEEN_WITHIN_S)


def wait_for_size(node: Host, path: str, size_bytes: int) -> None:
    """Return once a node shows this size: who appends writes behind what his kernel knows."""

    def check() -> None:
        assert int(run(node, "stat -c %%s %s", f"/etc/pve/{path}")) == size_bytes

    eventually(check, within_s=SEEN_WITHIN_S)


def exists(node: Host, path: str) -> bool:
    """Whether there is anything of that name on a node."""
    return bool(node.run("test -e %s", f"/etc/pve/{path}").rc == 0)


def wait_until_gone(node: Host, path: str) -> None:
    """Return once there is nothing of that name on a node."""

    def check() -> None:
        assert not exists(node, path), f"{path} is there"

    eventually(check, within_s=SEEN_WITHIN_S)


def errno_of_create(node: Host, path: str) -> str:
    """Return the name of the error that creating a file gives on a node, or "created"."""
    return run(node, "%s -c %s %s", PYTHON, ERRNO_OF_CREATE, f"/etc/pve/{path}").strip()


def wait_for_quorum(lab: Lab, node: str, *, expected: bool) -> None:
    """Return once a node's daemon says that it has quorum, or has none."""

    def check() -> None:
        (row,) = lab.statuses([node])
        assert row.quorate is expected, f"{node} says quorate={row.quorate}"

    eventually(check, within_s=SETTLES_WITHIN_S)

"""Going to the background: a parent that waits until its child is ready, and answers for it.

The fork comes before anything else is opened, so that no lock, database or thread crosses it. Until
it is ready the child keeps standard error, so that whoever started it reads why it did not.

Source: docs/PROTOCOL.md, "Process".
"""

import os
import signal
import sys
from collections.abc import Callable

from pmxcfs.exits import ExitStatus

READY = b"1"


def detach() -> Callable[[], None]:
    """Go on in a child process; return what the child has to call once it is ready.

    The parent never returns: it exits with 0 when the child is ready, with the child's status when
    that ended before, with 255 when it was killed or not to be had; and it takes the child with it
    when it is interrupted.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    readable, writable = os.pipe()
    try:
        child = os.fork()
    except OSError as error:
        print(f"pmxcfs: cannot fork: {error.strerror}", file=sys.stderr)
        sys.exit(ExitStatus.FAILURE)
    if child:
        os.close(writable)
        os._exit(_wait_for(child, readable))
    os.close(readable)
    os.setsid()

    def ready() -> None:
        _drop_terminal()
        os.write(writable, READY)
        os.close(writable)

    return ready


def _wait_for(child: int, readable: int) -> int:
    """Return the exit status for the parent."""
    try:
        if os.read(readable, 1) == READY:
            return ExitStatus.CLEAN
        _, ended = os.waitpid(child, 0)
        if os.WIFEXITED(ended):
            return os.WEXITSTATUS(ended) or ExitStatus.FAILURE
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
    return ExitStatus.FAILURE


def _drop_terminal() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)

"""The soak on a mount of its own: ``python -m tests.fuse.soak_alone --seed 7 --ops 100000``.

It starts a daemon in a temporary directory, standalone, and ends it afterwards. Arguments are those
of ``tests.fuse.soak``, without the directory.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuse import soak
from tests.fuse.daemon import Daemon


def main(arguments: Sequence[str]) -> int:
    """Soak; return the exit code, which is 1 too if the daemon complained of anything."""
    with tempfile.TemporaryDirectory(prefix="pmxcfs-soak-") as directory:
        daemon = Daemon(Path(directory))
        try:
            daemon.start("-l")
            status = soak.main([str(daemon.mountpoint), *arguments])
            ended = daemon.stop()
        finally:
            daemon.kill()
            daemon.detach()
    print("\n".join(daemon.complaints), end="")
    return status or ended or bool(daemon.complaints)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

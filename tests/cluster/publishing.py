"""Publishes the corosync.conf on stdin to the node's own, for tests; prints the verdict."""

import sys
from functools import partial
from pathlib import Path

import structlog
import trio

from pmxcfs.corosync.host_config import publish

HOST_PATH = Path("/etc/corosync/corosync.conf")

if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    text = sys.stdin.buffer.read()
    verdict = trio.run(
        partial(publish, text, HOST_PATH, notify="--notify" in sys.argv, reload_delay_s=0)
    )
    print(verdict.name)

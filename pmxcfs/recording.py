"""Has metrics written into RRD files for as long as the daemon runs."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from pmxcfs.options import Options
from pmxcfs.rrd.writer import RrdWriter
from pmxcfs.status_driver import StatusDriver

log = structlog.get_logger("status")

END_S_MAX = 1.0
"""How long the end waits for what is left to write."""


@contextmanager
def recording(status: StatusDriver, options: Options) -> Iterator[RrdWriter]:
    """Write whatever nodes publish."""
    writer = RrdWriter(options.rrd_dir, options.rrdcached_socket)
    status.attach_recorder(writer)
    writer.start()
    try:
        yield writer
    finally:
        if not writer.stop(END_S_MAX):
            log.warning("some metrics stay unwritten", values=len(writer))

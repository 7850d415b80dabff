"""How the daemon's process ends, in numbers.

Source: docs/PROTOCOL.md, "Options and exit status".
"""

import enum


class ExitStatus(enum.IntEnum):
    """What is not listed does not happen."""

    CLEAN = 0
    USAGE = 1
    DAMAGED_DATABASE = 65
    """Starting again would not help: the service manager is told not to (EX_DATAERR)."""
    FAILURE = 255

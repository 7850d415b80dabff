"""Where a container's first program takes requests: known to it, and to who asks."""

from pathlib import Path

CONTROL = Path("/run/pmxcfs-lab.sock")

"""A record of all frames in the format of pcap, which tcpdump and Wireshark read."""

import struct
import time
from pathlib import Path

MAGIC = 0xA1B2C3D4
VERSION = (2, 4)
SNAP_LENGTH = 65_535
ETHERNET = 1


class Capture:
    """Writes frames with the present time to a file."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("wb")  # noqa: SIM115  # closed by `close`
        header = struct.pack("=IHHiIII", MAGIC, *VERSION, 0, 0, SNAP_LENGTH, ETHERNET)
        self._file.write(header)
        self._file.flush()

    def write(self, frame: bytes) -> None:
        """Add a frame."""
        now_us = time.time_ns() // 1000
        size = len(frame)
        head = struct.pack("=IIII", now_us // 1_000_000, now_us % 1_000_000, size, size)
        self._file.write(head + frame)

    def close(self) -> None:
        """Write what is left."""
        self._file.close()

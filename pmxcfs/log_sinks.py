"""Where log lines go: standard error, the journal, syslog. None of them ever blocks the daemon.

What a sink does not take at once is lost and counted; the next line that it takes says how many
were. python-systemd and the C library's syslog wait for a journal that hangs, so they are no use.

Source: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
"""

import os
import re
import select
import socket
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

from pmxcfs.log_records import TEXT_MAX, Record

IDENTIFIER = "pmxcfs"
JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
SYSLOG_SOCKET = Path("/dev/log")

_FACILITY_DAEMON = 3
_PIPE_BYTES = 4096
"""So much a pipe takes as a whole once it says that it takes anything."""

_NO_FIELD_LETTERS = re.compile(r"[^A-Z0-9_]")


class Sink(ABC):
    """One place for lines.

    Attributes:
        lost: how many lines it did not take since the last one that it took.
    """

    def __init__(self) -> None:
        self.lost = 0

    def write(self, record: Record) -> None:
        """Hand over an event, or count it as lost; never blocks, never fails."""
        if self.lost and self._has_taken(_loss(self.lost)):
            self.lost = 0
        if self.lost or not self._has_taken(record):
            self.lost += 1

    def _has_taken(self, record: Record) -> bool:
        try:
            return self._take(record)
        except OSError:
            return False

    @abstractmethod
    def _take(self, record: Record) -> bool:
        """Write an event if that is possible without waiting."""


class StandardError(Sink):
    """Lines for people, or one line of JSON an event."""

    def __init__(self, *, is_json: bool = False) -> None:
        super().__init__()
        self._is_json = is_json
        self._rest = b""

    def _take(self, record: Record) -> bool:
        text = record.json if self._is_json else record.line
        if record.traceback and not self._is_json:
            text = f"{text}\n{record.traceback}"
        return self._put(text + "\n")

    def _put(self, text: str) -> bool:
        stream = sys.stderr
        if stream is None:
            return False
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError):  # no file: somebody collects it in memory
            stream.write(text)
            return True
        return self._has_begun(descriptor, text.encode(errors="backslashreplace"))

    def _has_begun(self, descriptor: int, line: bytes) -> bool:
        """Write what a full pipe cut off the last time, then as much of a line as it takes."""
        owed = len(self._rest)
        data = self._rest + line
        written = _written(descriptor, data)
        has_begun = written > owed
        self._rest = data[written:] if has_begun else data[written:owed]
        return has_begun


def _written(descriptor: int, data: bytes) -> int:
    """Write what can be written without waiting; return how many bytes that was."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    written = 0
    while written < len(data):
        if not any(event & select.POLLOUT for _, event in poll.poll(0)):
            break
        written += os.write(descriptor, data[written : written + _PIPE_BYTES])
    return written


class _Datagrams(Sink):
    """A sink that takes datagrams on a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._socket: socket.socket | None = None

    def _send(self, data: bytes) -> bool:
        """Send a datagram; the connection is made anew if whoever listens has restarted."""
        try:
            self._connected().send(data)
        except BlockingIOError:
            return False
        except OSError:
            self.close()
            self._connected().send(data)
        return True

    def close(self) -> None:
        """Close the connection; the next line makes another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                connection.setblocking(False)
                connection.connect(str(self._path))
            except OSError:
                connection.close()
                raise
            self._socket = connection
        return self._socket


class Journal(_Datagrams):
    """The journal, which gets each fact as a field of its own: PMXCFS_ and the fact's name."""

    def __init__(self, path: Path = JOURNAL_SOCKET) -> None:
        super().__init__(path)

    def _take(self, record: Record) -> bool:
        text = record.line
        fields = {
            "MESSAGE": f"{text}\n{record.traceback}" if record.traceback else text,
            "PRIORITY": str(record.number),
            "SYSLOG_FACILITY": str(_FACILITY_DAEMON),
            "SYSLOG_IDENTIFIER": IDENTIFIER,
            "SYSLOG_PID": str(os.getpid()),
            "PMXCFS_DOMAIN": record.domain,
            "PMXCFS_SENTENCE": record.sentence,
        }
        facts = {field_name(name): fact for name, fact in record.texts.items()}
        pieces = [_field(name, value) for name, value in {**facts, **fields}.items()]
        return self._send(b"".join(pieces))


class Syslog(_Datagrams):
    """The local syslog, for hosts without a journal."""

    def __init__(self, path: Path = SYSLOG_SOCKET) -> None:
        super().__init__(path)

    def _take(self, record: Record) -> bool:
        lines = [record.line, *record.traceback.splitlines()]
        moment = time.strftime("%b %e %H:%M:%S", time.localtime(record.time_s))
        head = f"<{_FACILITY_DAEMON * 8 + record.number}>{moment} {IDENTIFIER}[{os.getpid()}]: "
        return all(self._send((head + line[:TEXT_MAX]).encode()) for line in lines)


def system_log() -> Sink:
    """Return the host's log: its journal if it has one, else syslog."""
    return Journal() if JOURNAL_SOCKET.exists() else Syslog()


def is_journal(descriptor: int) -> bool:
    """Whether what is written to a descriptor ends in the journal, as for a unit's processes."""
    try:
        seen = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{seen.st_dev}:{seen.st_ino}"


def field_name(fact: str) -> str:
    """Return what a fact's field in the journal is called."""
    return "PMXCFS_" + _NO_FIELD_LETTERS.sub("_", fact.upper())[:50]


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="backslashreplace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"


def _loss(count: int) -> Record:
    return Record("main", "warning", "log lines were lost: nobody took them", {"count": count})

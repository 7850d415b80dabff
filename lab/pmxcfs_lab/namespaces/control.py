"""Requests from the host to a node's init: one JSON object a line, one line back."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pmxcfs_lab.errors import LabError


def request(path: Path, verb: str, *, timeout_s: float = 10.0, **arguments: object) -> object:
    """Ask the init behind the socket and return the value of its answer.

    Args:
        path: the control socket.
        verb: what to do, see `init.VERBS`.
        timeout_s: bound on the whole exchange's every step.
        arguments: the verb's arguments, JSON values.

    Raises:
        LabError: no init listens, it does not answer in time, or it refused.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
            answer = _read_all(connection)
        except TimeoutError:
            raise LabError(f"{path.stem} did not answer {verb} within {timeout_s:.0f} s.") from None
        except OSError as error:
            raise LabError(f"{path.stem} does not run ({error.strerror}).") from error
    return _value(path, verb, answer)


def _read_all(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def _value(path: Path, verb: str, answer: bytes) -> object:
    try:
        decoded: Mapping[str, Any] = json.loads(answer)
    except ValueError:
        raise LabError(f"{path.stem} broke off while answering {verb}.") from None
    if "error" in decoded:
        raise LabError(f"{path.stem}: {decoded['error']}")
    return decoded["value"]

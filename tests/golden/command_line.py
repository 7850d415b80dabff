"""``pmxcfs-db`` called as from a shell, but in this process."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pmxcfs.tools.db import main


@dataclass(frozen=True, slots=True)
class Result:
    """How a call ended and what it printed."""

    status: int
    out: str
    err: str


class CommandLine:
    """Calls ``pmxcfs-db``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Result:
        self._monkeypatch.setattr(sys, "argv", ["pmxcfs-db", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = self._capsys.readouterr()
        return Result(int(end.value.code or 0), printed.out, printed.err)

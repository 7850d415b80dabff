"""Clients of runs: what they record, and that nothing is ever written beside the mount."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pmxcfs_lab.runs.clients import mount, text

ORDER = {
    "client": "c-node1",
    "node": "node1",
    "seed": "1/c",
    "began_s": 0.0,
    "options": {"bounds_s": {"change": 0.2}, "first": 0},
}


def test_a_text_is_recognised_as_a_whole_and_never_in_parts() -> None:
    token = text.token("updates-node2", 17, 40)
    found = text.content(token)
    assert text.recognised(found) == token
    assert text.number(token) == 17
    other = text.content(text.token("updates-node2", 18, 40))
    for torn in (found[:-1], found[:100] + other[100:], found + found, b"", b"nonsense\n"):
        assert text.recognised(torn).startswith(text.TORN)


def test_without_a_mount_every_call_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pve").mkdir()
    monkeypatch.setattr(mount, "MOUNT", tmp_path / "pve")
    monkeypatch.chdir(tmp_path)
    seen = mount.Mount()
    assert not seen.is_there()
    with pytest.raises(OSError, match="not connected"):
        seen.put("f", b"")
    with pytest.raises(OSError, match="not connected"):
        seen.mkdir("d")
    with pytest.raises(OSError, match="not connected"):
        seen.rename("f", "g")
    assert [path.name for path in tmp_path.iterdir()] == ["pve"]


def recorded(tmp_path: Path, program: str) -> list[tuple[str, str | None]]:
    """Run a client of one's own for a moment; return (phase, errno) of all moments."""
    path = tmp_path / "program.py"
    path.write_text(program)
    process = subprocess.run(
        [
            *(sys.executable, "-m", "pmxcfs_lab.runs.clients.main"),
            json.dumps({**ORDER, "kind": str(path)}),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    events = [json.loads(line) for line in process.stdout.splitlines()]
    return [(event["phase"], event["errno"]) for event in events]


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ("pass", ("ok", None)),
        ("raise OSError(errno.EACCES, '')", ("fail", "EACCES")),
        ("raise OSError(errno.EBUSY, '')", ("unknown", "EBUSY")),
    ],
)
def test_a_call_is_recorded_with_what_its_error_says_of_its_outcome(
    tmp_path: Path, body: str, end: tuple[str, str | None]
) -> None:
    work = f"import errno\ndef work():\n    {body}\n"
    program = f"{work}def run(session):\n    session.call('x', 'f', work)\n"
    assert recorded(tmp_path, program) == [("invoke", None), end]


def test_a_call_past_its_bound_is_unknown_and_its_late_answer_is_recorded(tmp_path: Path) -> None:
    program = (
        "import time\ndef run(session):\n    session.call('x', 'f', lambda: time.sleep(0.5))\n"
    )
    assert recorded(tmp_path, program) == [("invoke", None), ("unknown", None), ("ok", None)]

"""The statuses that scripts rely on, and what is printed for programs and for people."""

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.command_line import CommandLine

COMMANDS = ("check", "dump", "extract", "diff", "snapshot", "restore", "repair", "import")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(run: CommandLine, command: str) -> None:
    result = run(command, "--help")
    assert result.status == 0
    assert f"pmxcfs-db {command} " in result.out.partition("Example")[2]


def test_the_help_lists_every_command_and_status(run: CommandLine) -> None:
    text = run("--help").out
    for command in COMMANDS:
        assert f"\n  {command} " in text
    assert "..." not in text.partition("Commands:")[2]
    for status in (0, 1, 2, 255):
        assert f" {status}  " in text


@pytest.mark.parametrize(
    "arguments", [(), ("no-such-command",), ("check",), ("check", "a", "b"), ("check", "--wrong")]
)
def test_wrong_usage_has_a_status_of_its_own(run: CommandLine, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).status == 255


@pytest.mark.parametrize(
    "arguments",
    [("check",), ("dump",), ("extract", "out"), ("snapshot", "out"), ("repair", "out")],
)
def test_a_missing_database_is_named(
    run: CommandLine, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    command, *rest = arguments
    result = run(command, tmp_path / "none.db", *(tmp_path / name for name in rest))
    assert result.status == 2
    assert f"{tmp_path}/none.db: No such file or directory" in result.err
    assert list(tmp_path.iterdir()) == []


def test_check_says_what_a_sound_database_holds(run: CommandLine, database: Path) -> None:
    result = run("check", database)
    assert result.status == 0
    assert result.out == f"{database}: sound (version 13, 9 entries, 6034 bytes)\n"


def test_check_prints_json(run: CommandLine, database: Path) -> None:
    value = json.loads(run("check", "--json", database).out)
    assert (value["sound"], value["readable"], value["problems"]) == (True, True, [])
    assert (value["version"], value["entries"], value["bytes"]) == (13, 9, 6034)


def test_dump_prints_a_line_for_every_entry(run: CommandLine, database: Path) -> None:
    lines = run("dump", database).out.splitlines()
    assert [line.split()[-1] for line in lines] == [
        "path",
        "/",
        "/empty",
        "/nodes",
        "/nodes/n1",
        "/nodes/n1/qemu-server",
        "/nodes/n1/qemu-server/100.conf",
        "/priv",
        "/priv/\\xff\\n",
        "/storage.cfg",
    ]


def test_dump_prints_json_with_or_without_content(run: CommandLine, database: Path) -> None:
    without = json.loads(run("dump", "--json", database).out)
    with_content = json.loads(run("dump", "--json", "--content", database).out)
    (odd,) = (entry for entry in with_content if entry["path"] == "priv/\\xff\\n")
    assert bytes.fromhex(odd["path_hex"]) == b"priv/\xff\n"
    assert base64.b64decode(odd["content_base64"]) == b"\x00\xff" * 3000
    assert all("content_base64" not in entry for entry in without)


def test_a_reader_who_leaves_early_is_no_error_message(database: Path) -> None:
    command = f"{sys.executable} -m pmxcfs.tools.db dump {database} | head -n 1"
    result = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_interrupted_command_leaves_no_copy_behind(
    database: Path, tmp_path: Path, number: signal.Signals
) -> None:
    program = (
        "import os, signal, sys, pmxcfs.tools.checking as checking, pmxcfs.tools.db as db\n"
        "print(flush=True)\n"
        f"checking.read_contents = lambda copy: os.kill(os.getpid(), {int(number)})\n"
        f"sys.argv = ['pmxcfs-db', 'check', {str(database)!r}]\n"
        "db.main()"
    )
    (tmp_path / "tmp").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=False, timeout=60
    )
    assert result.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_daemon_does_not_load_what_only_the_tools_need() -> None:
    program = "import sys, pmxcfs.daemon; print({'typer', 'pmxcfs.tools'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout == "set()\n"

"""Manual pages and completions say what the programs say of themselves: all of it, and no more."""

import itertools
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from manual import shells
from manual.pages import page
from manual.surface import PROGRAMS, Command

ROOT = Path(__file__).parents[3]
MODULES = {
    "pmxcfs": "pmxcfs",
    "pmxcfs-db": "pmxcfs.tools.db",
    "pmxcfs-ctl": "pmxcfs.tools.ctl",
    "pmxcfs-lab": "pmxcfs_lab",
}
OPTION = re.compile(r"(?<![\w/.-])--?[a-z][a-z-]*")


def told_by(program: str, *command: str) -> set[str]:
    """Return the options in the table of options of the help text."""
    ended = subprocess.run(
        [sys.executable, "-m", MODULES[program], *command, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"},
    )
    found = set()
    for line in ended.stdout.splitlines():
        # Both parsers and rich's frames: options stand first on their line.
        if match := re.match(r"[\s│*]*((?:--?[a-z][\w-]*,?\s*)+)", line):
            found.update(OPTION.findall(match[1]))
    return found


def in_page(text: str) -> set[str]:
    """Return what is set in bold at the beginning of a tagged paragraph."""
    lines = text.split("\n")
    tags = [after for before, after in itertools.pairwise(lines) if before == ".TP"]
    names = re.findall(r"\\fB(.*?)\\fR", "\n".join(tags))
    return {name.replace("\\-", "-") for name in names if name.startswith("\\-")}


def section(text: str, command: str) -> str:
    head = re.escape(command.replace("-", "\\-"))
    found = re.search(rf"^\.SS \\fB{head}\\fR.*?(?=^\.S[SH])", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no section for {command}"
    return found[0]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_page_has_every_option_of_the_help_and_no_other(program: str) -> None:
    text = page(PROGRAMS[program](), "1")
    top = re.split(r"^\.SH COMMANDS$", text, flags=re.MULTILINE)[0]
    assert in_page(top) == told_by(program)


@pytest.mark.parametrize(
    ("program", "command"),
    [
        pytest.param(program, command.name, id=f"{program} {command.name}")
        for program, surface in PROGRAMS.items()
        for command in surface().commands
        if not command.commands
    ],
)
def test_each_command_has_a_section_with_its_options(program: str, command: str) -> None:
    text = section(page(PROGRAMS[program](), "1"), command)
    assert in_page(text) == told_by(program, command)


@pytest.mark.parametrize("program", ["pmxcfs", "pmxcfs-db", "pmxcfs-ctl", "pmxcfs-lab"])
def test_the_page_tells_the_exit_status(program: str) -> None:
    assert re.search(r"exit status", page(PROGRAMS[program](), "1"), re.IGNORECASE)


def commands_of(program: Command) -> list[Command]:
    return [program, *program.commands]


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_shell_completes_every_option_and_command(program: str) -> None:
    surface = PROGRAMS[program]()
    bash, zsh, fish = shells.bash(surface), shells.zsh(surface), shells.fish(surface)
    for command in commands_of(surface):
        for name in (name for option in command.options for name in option.names):
            assert name in bash
            assert f"'{name}" in zsh
            assert f" {'-l ' + name[2:] if name.startswith('--') else '-s ' + name[1:]} " in fish
    for command in surface.commands:
        assert command.name in bash
        assert f"'{command.name}:" in zsh
        assert f"-a {command.name} " in fish


def completed(program: str, *words: str) -> list[str]:
    """Ask bash what it would offer for the last word."""
    script = (
        shells.bash(PROGRAMS[program]())
        + f"COMP_WORDS=({' '.join(repr(word) for word in (program, *words))})\n"
        + f"COMP_CWORD={len(words)}\n_{program.replace('-', '_')}\n"
        + 'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return ended.stdout.split()


def test_bash_offers_commands_then_their_options_then_values() -> None:
    assert completed("pmxcfs-db", "re") == ["restore", "repair"]
    assert completed("pmxcfs-db", "repair", "--d") == ["--dry-run"]
    assert completed("pmxcfs-ctl", "debug", "o") == ["on", "off"]
    assert completed("pmxcfs", "--log-format", "") == ["text", "json"]
    assert completed("pmxcfs", "--fore") == ["--foreground"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_can_read_theirs(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        for surface in PROGRAMS.values():
            shlex.split(getattr(shells, shell)(surface()))  # their quotes are those of all shells
        return
    for program, surface in PROGRAMS.items():
        script = tmp_path / program
        script.write_text(getattr(shells, shell)(surface()))
        subprocess.run([shell, "-n", script], check=True, timeout=20)


def test_the_unit_knows_the_exit_statuses_of_the_daemon() -> None:
    unit = (ROOT / "packaging/systemd/pve-cluster.service").read_text()
    assert "RestartPreventExitStatus=1 65\n" in unit
    from pmxcfs.ending import END_S_MAX
    from pmxcfs.exits import ExitStatus

    assert (ExitStatus.USAGE, ExitStatus.DAMAGED_DATABASE) == (1, 65)
    patience = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert patience is not None
    assert float(patience[1]) > END_S_MAX

"""Recipes of the documents, carried out in a lab as they stand there.

A recipe is the indented code under a heading that follows ``<!-- recipe -->``, or, if it needs
another lab, ``<!-- recipe: WHERE -->``. A line that begins with ``NODE# `` is a command for that
node; what follows it, up to the next, is what it prints, where ``...`` stands for anything.
``systemctl``, ``scp`` and ``apt-get`` are done by what a lab has instead; ``/root`` and ``/mnt``,
which the nodes of a lab share with this machine, are other places.
"""

import base64
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Completed, Service
from pmxcfs_lab.seed import wait_until_mounted

from .where import PYTHON, REPOSITORY

HOME = "/run/root"
OTHER_DISK = "/run/mnt"
SETTLED_WITHIN_S = 40.0
COMMAND_WITHIN_S = 40.0
STOPPED_WITHIN_S = 20.0

SERVICES = {"pve-cluster": Service.PMXCFS, "corosync": Service.COROSYNC}

_PROMPT = re.compile(r"(node\d)# (.*)")
_LOOKS = (
    *("cat ", "ls ", "grep ", "corosync-quorumtool"),
    *("pmxcfs-ctl status", "pmxcfs-ctl history", "pmxcfs-ctl diff"),
    *("pmxcfs-db check", "pmxcfs-db diff", "pmxcfs-db dump", "pmxcfs-db repair --dry-run"),
)
"""Commands that change nothing: they are repeated until they print what is expected."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command for a node, and what it is to print, line by line."""

    node: str
    command: str
    expected: tuple[str, ...]

    @property
    def only_looks(self) -> bool:
        """Whether it changes nothing."""
        return self.command.startswith(_LOOKS)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What stands under a heading."""

    title: str
    steps: tuple[Step, ...]


def recipes_in(document: str, where: str = "") -> list[Recipe]:
    """Return the recipes of a document, in order: those that say where, or those that do not."""
    mark = f"<!-- recipe: {where} -->" if where else "<!-- recipe -->"
    found = []
    for section in re.split(r"^#+ ", (REPOSITORY / "docs" / document).read_text(), flags=re.M)[1:]:
        if mark in section:
            lines = section.partition(mark)[2].splitlines()
            steps = tuple(_steps(line[4:] for line in lines if line.startswith("    ")))
            found.append(Recipe(section.splitlines()[0], steps))
    return found


def _steps(lines: Iterator[str]) -> Iterator[Step]:
    node, command, expected = "", "", list[str]()
    is_here_document = False
    for line in lines:
        prompt = _PROMPT.fullmatch(line)
        if is_here_document:
            command += "\n" + line
            is_here_document = line != "EOF"
        elif prompt is not None:
            if node:
                yield Step(node, command, tuple(expected))
            node, command, expected = prompt[1], prompt[2], []
            is_here_document = "<<'EOF'" in command
        else:
            expected.append(line)
    if node:
        yield Step(node, command, tuple(expected))


class Cook:
    """Carries recipes out in a lab.

    Args:
        lab: with the nodes that the recipes name.
        install: does what ``apt-get install pmxcfs`` (True) or ``remove`` (False) does on a node.
    """

    def __init__(self, lab: Lab, install: Callable[[str, bool], None] | None = None) -> None:
        self._lab = lab
        self._install = install
        self._stand_ins: Mapping[str, Callable[[str, list[str]], None]] = {
            "systemctl": self._systemctl,
            "scp": self._scp,
            "apt-get": self._apt_get,
        }

    def carry_out(self, recipe: Recipe) -> None:
        """Do every step, and see that it prints what the document says."""
        for step in recipe.steps:
            self._do(step)

    def _do(self, step: Step) -> None:
        stand_in = self._stand_ins.get(step.command.split()[0])
        if stand_in is not None:
            stand_in(step.node, shlex.split(step.command)[1:])
        elif step.only_looks:
            eventually(lambda: self._run(step), within_s=SETTLED_WITHIN_S, every_s=0.3)
        else:
            self._run(step)

    def _run(self, step: Step) -> None:
        ended = self.shell(step.node, step.command)
        printed = ended.stdout.decode(errors="replace")
        wanted = _at_home("\n".join(step.expected))
        assert _matches(printed, wanted), (
            f"{step.node}# {step.command}\n{printed}\nwanted:\n{wanted}"
        )
        is_expected_to_fail = bool(step.expected) and step.expected[-1].startswith("[exit ")
        assert ended.exit_status == 0 or is_expected_to_fail or step.only_looks, printed

    def shell(self, node: str, command: str) -> Completed:
        """Run a command on a node, with our programs in its path; all it says is its output."""
        begin = f"exec 2>&1; PATH={Path(PYTHON).parent}:$PATH; mkdir -p {HOME} && cd {HOME} && "
        line = begin + _at_home(command)
        return self._lab.exec(node, "sh", "-c", line, timeout_s=COMMAND_WITHIN_S)

    def run(self, node: str, command: str) -> bytes:
        """Run a command on a node that must succeed; return what it prints."""
        ended = self.shell(node, command)
        assert ended.exit_status == 0, ended.stdout
        return ended.stdout

    def _systemctl(self, node: str, arguments: list[str]) -> None:
        verb, *names = arguments
        services = [SERVICES[name] for name in names]
        provider = self._lab._provider
        if verb in ("stop", "restart"):
            for service in sorted(services, reverse=True):
                provider.stop(node, service, within_s=STOPPED_WITHIN_S)
        if verb in ("start", "restart"):
            for service in sorted(services):
                provider.start(node, service)
            if Service.PMXCFS in services:  # as a service that tells when it is ready
                wait_until_mounted(provider, node)

    def _scp(self, node: str, arguments: list[str]) -> None:
        *sources, target = [word for word in arguments if not word.startswith("-")]
        for source in sources:
            host, _, path = source.partition(":")
            content = self.shell(host, f"base64 {shlex.quote(path)}")
            assert content.exit_status == 0, content.stdout
            place = target + Path(path).name if target.endswith("/") else target
            write = ["sh", "-c", 'umask 077; mkdir -p "$(dirname "$1")"; cat >"$1"', "sh", place]
            stdin = base64.b64decode(content.stdout)
            assert self._lab.exec(node, *write, stdin=stdin).exit_status == 0

    def _apt_get(self, node: str, arguments: list[str]) -> None:
        assert self._install is not None, "nothing can be installed here"
        verb, package = arguments
        assert package == "pmxcfs"
        self._install(node, verb == "install")


def _at_home(text: str) -> str:
    return text.replace("/root/", f"{HOME}/").replace("/mnt/", f"{OTHER_DISK}/")


def _matches(printed: str, wanted: str) -> bool:
    """Whether a text is what a document says; at its end more may follow only after ``...``."""
    if not wanted.strip():
        return True
    printed = "\n".join(line.rstrip() for line in printed.splitlines())
    parts = [re.escape(part) for part in re.split(r"\.\.\.", wanted.strip())]
    spaced = [re.sub(r"(\\ )+", r"[ ]+", part) for part in parts]
    return re.fullmatch(".*?".join(spaced), printed.strip(), flags=re.S) is not None

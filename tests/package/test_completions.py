"""What the shells offer at the touch of the tab key, once the package is installed."""

import shlex

import pytest

from tests.package.machines import Machine

pytestmark = [pytest.mark.needs("root"), pytest.mark.needs("fuse")]

OFFERED = [
    ("pmxcfs-db re", ["repair", "restore"]),
    ("pmxcfs-db repair --d", ["--dry-run"]),
    ("pmxcfs-ctl debug o", ["off", "on"]),
    ("pmxcfs --fore", ["--foreground"]),
    ("pmxcfs --log-format ", ["json", "text"]),
]
# Types a line and the tab key into an interactive zsh; ends once what is wanted has been shown.
ZSH = """\
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "autoload -U compinit; compinit -D -u; setopt nolistbeep; print rea''dy"
zpty -r -m shell shown '*ready*'
zpty -w -n shell "$1"$'\\t'
shift
zpty -r -m shell shown "*${(j:*:)@}*"
"""
BASH = """\
. /usr/share/bash-completion/completions/$1
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_${1//-/_}
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def shells(node: Machine) -> Machine:
    """A machine with the package and all shells."""
    node.run("apt-get -q -y --no-install-recommends install fish zsh")
    return node


@pytest.mark.parametrize(("line", "words"), OFFERED)
def test_zsh_completes(shells: Machine, line: str, words: list[str]) -> None:
    command = shlex.join(["zsh", "-f", "-c", ZSH, "zsh", line, *words])
    shells.run(f"timeout 20 {command}")


@pytest.mark.parametrize(("line", "words"), OFFERED)
def test_fish_completes(shells: Machine, line: str, words: list[str]) -> None:
    offered = shells.run(shlex.join(["fish", "-c", f"complete -C {shlex.quote(line)}"]))
    assert sorted(row.split("\t")[0] for row in offered.splitlines()) == words


@pytest.mark.parametrize(("line", "words"), OFFERED)
def test_bash_completes(shells: Machine, line: str, words: list[str]) -> None:
    offered = shells.run(shlex.join(["bash", "-c", BASH, "bash", *line.split(" ")]))
    assert sorted(offered.split()) == words

"""The command lines as values: what the parsers of the programs themselves know of them."""

import argparse
import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import typer.main

HELP = ("--help",)
"""What asks for help, unless a program says otherwise."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option; ``metavar`` is empty if it takes no value."""

    names: tuple[str, ...]
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    is_path: bool = False


@dataclass(frozen=True, slots=True)
class Argument:
    """A word that has its meaning by its place."""

    metavar: str
    help: str
    choices: tuple[str, ...] = ()
    is_path: bool = False
    is_needed: bool = True


@dataclass(frozen=True, slots=True)
class Command:
    """A program, or one of its commands."""

    name: str
    text: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...] = ()
    commands: tuple["Command", ...] = ()

    @property
    def summary(self) -> str:
        """The first sentence."""
        return " ".join(self.text.split("\n\n")[0].split()).removesuffix(".")


def of_parser(parser: argparse.ArgumentParser) -> Command:
    """Return the surface of a program that parses with argparse."""
    formatter = parser._get_formatter()  # noqa: SLF001  # it alone fills in the defaults
    options = [
        Option(
            tuple(action.option_strings),
            formatter._expand_help(action),  # noqa: SLF001
            ""
            if action.nargs == 0
            else str(action.metavar or "|".join(map(str, action.choices or ()))),
            tuple(map(str, action.choices or ())),
            is_path=action.metavar == "PATH",
        )
        for action in parser._actions  # noqa: SLF001  # argparse has no public list
    ]
    text = f"{parser.description}\n\n{parser.epilog}"
    return Command(parser.prog, text, tuple(options))


def of_app(app: typer.Typer) -> Command:
    """Return the surface of a program that is made with typer."""
    command = typer.main.get_command(app)
    return _of_click(command, command.context_settings.get("help_option_names", HELP))


def _of_click(command: Any, help_names: Iterable[str]) -> Command:
    parameters = [parameter for parameter in command.params if not parameter.hidden]
    return Command(
        command.name,
        command.help or "",
        (*_options(parameters), Option(tuple(help_names), "Show this message and exit.")),
        tuple(_arguments(parameters)),
        tuple(_of_click(c, help_names) for c in getattr(command, "commands", {}).values()),
    )


def _options(parameters: list[Any]) -> Iterator[Option]:
    for parameter in parameters:
        if parameter.param_type_name == "option":
            kind = _kind_of(parameter)
            metavar = parameter.metavar or "|".join(_choices(kind)) or kind.__name__.upper()
            text = parameter.help or ""
            if not parameter.is_flag and parameter.default not in (None, [], ""):
                text += f" Default: {getattr(parameter.default, 'value', parameter.default)}."
            yield Option(
                (*parameter.opts, *parameter.secondary_opts),
                text,
                "" if parameter.is_flag else metavar,
                _choices(kind),
                is_path=issubclass(kind, Path),
            )


def _arguments(parameters: list[Any]) -> Iterator[Argument]:
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            kind = _kind_of(parameter)
            metavar = (parameter.metavar or parameter.name.upper()).strip("[]")
            yield Argument(
                metavar,
                parameter.help or "",
                _choices(kind),
                is_path=issubclass(kind, Path),
                is_needed=parameter.required,
            )


def _kind_of(parameter: Any) -> type:
    annotation = parameter.type_descriptor.annotation
    kind = next((a for a in get_args(annotation) if isinstance(a, type)), annotation)
    return kind if isinstance(kind, type) else str


def _choices(kind: type) -> tuple[str, ...]:
    return tuple(str(member.value) for member in kind) if issubclass(kind, enum.Enum) else ()


def _daemon() -> Command:
    from pmxcfs.__main__ import command_line

    return of_parser(command_line())


def _db() -> Command:
    from pmxcfs.tools.db import app

    return of_app(app)


def _ctl() -> Command:
    from pmxcfs.tools.ctl import app

    return of_app(app)


def _lab() -> Command:
    from pmxcfs_lab.cli import app

    return of_app(app)


PROGRAMS: dict[str, Callable[[], Command]] = {
    "pmxcfs": _daemon,
    "pmxcfs-db": _db,
    "pmxcfs-ctl": _ctl,
    "pmxcfs-lab": _lab,
}

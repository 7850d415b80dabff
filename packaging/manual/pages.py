"""Manual pages in man(7): what a program says of itself, then what was written by hand."""

from collections.abc import Iterator
from pathlib import Path

from manual.surface import Argument, Command, Option

HAND_WRITTEN = Path(__file__).parent.parent / "man"
SECTION = {"pmxcfs": 8, "pmxcfs-db": 8, "pmxcfs-ctl": 8, "pmxcfs-lab": 1}
AS_IT_IS = "\b"
"""Before a paragraph: its lines stay as they are."""


def page(program: Command, version: str) -> str:
    """Return the source of a program's page."""
    lines = [
        f'.TH {program.name.upper()} {SECTION[program.name]} "" "pmxcfs {version}" "pmxcfs"',
        ".SH NAME",
        f"{_escaped(program.name)} \\- {_escaped(_lower(program.summary))}",
        ".SH SYNOPSIS",
        *_synopsis(program),
        ".SH DESCRIPTION",
        *_paragraphs(program.text),
        ".SH OPTIONS",
        *_options(program.options),
    ]
    if program.commands:
        lines.append(".SH COMMANDS")
        for command in program.commands:
            lines += _command(program.name, command)
    by_hand = HAND_WRITTEN / f"{program.name}.man"
    return "\n".join(lines) + "\n" + by_hand.read_text()


def _synopsis(program: Command) -> Iterator[str]:
    rest = " \\fICOMMAND\\fR [\\fIARGUMENT\\fR...]" if program.commands else ""
    yield f"\\fB{_escaped(program.name)}\\fR [\\fIOPTION\\fR...]{rest}"


def _command(program: str, command: Command) -> Iterator[str]:
    words = [f"\\fB{_escaped(command.name)}\\fR", *map(_place, command.arguments)]
    yield f".SS {' '.join(words)}"
    yield from _paragraphs(command.text)
    for argument in command.arguments:
        yield ".TP"
        yield f"\\fI{_escaped(argument.metavar)}\\fR"
        yield _escaped(argument.help) or "See above."
    yield from _options(command.options)
    for inner in command.commands:
        yield from _command(f"{program} {command.name}", inner)


def _place(argument: Argument) -> str:
    name = f"\\fI{_escaped(argument.metavar)}\\fR"
    return name if argument.is_needed else f"[{name}]"


def _options(options: tuple[Option, ...]) -> Iterator[str]:
    for option in options:
        names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in option.names)
        yield ".TP"
        yield names + (f" \\fI{_escaped(option.metavar)}\\fR" if option.metavar else "")
        yield _escaped(option.help)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.strip("\n").split("\n\n"):
        lines = paragraph.strip("\n").split("\n")
        yield ".PP"
        if lines[0].strip(" ") == AS_IT_IS:
            yield from (".nf", *map(_escaped, lines[1:]), ".fi")
        else:
            yield from (_escaped(line.strip()) for line in lines)


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text

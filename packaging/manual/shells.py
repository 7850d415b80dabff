"""Completions for bash, zsh and fish, as plain scripts: no Python starts at the touch of a key."""

from collections.abc import Iterable, Iterator

from manual.surface import Argument, Command, Option


def bash(program: Command) -> str:
    """Return bash's completion of a program."""
    function = "_" + program.name.replace("-", "_")
    commands = " ".join(command.name for command in program.commands)
    values = [
        f'    *" {name}") {_bash_offer(" ".join(option.choices))}; return ;;'
        for command in (program, *program.commands)
        for option in command.options
        for name in option.names
        if option.choices
    ]
    words = [
        f'    "{command.name}") options="{_names(command)}"; words="{_choices(command)}" ;;'
        for command in program.commands
    ]
    lines = [
        f"# bash completion for {program.name}",
        f"{function}() {{",
        '    local current=${COMP_WORDS[COMP_CWORD]} command="" word options words',
        '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        f'        case " {commands} " in *" $word "*) command=$word; break ;; esac',
        "    done",
        '    case "$command ${COMP_WORDS[COMP_CWORD-1]}" in',
        *dict.fromkeys(values),
        "    esac",
        '    case "$command" in',
        *words,
        f'    *) options="{_names(program)}"; words="{commands}" ;;',
        "    esac",
        "    [[ $current == -* ]] && words=$options",
        f"    {_bash_offer('$words')}",
        "}",
        f"complete -o default -F {function} {program.name}",
    ]
    return "\n".join(lines) + "\n"


def zsh(program: Command) -> str:
    """Return zsh's completion of a program."""
    lines = [f"#compdef {program.name}", ""]
    if not program.commands:
        return "\n".join([*lines, _zsh_arguments(program, indent=""), ""])
    described = [f"    {_quoted(f'{c.name}:{c.summary}')}" for c in program.commands]
    cases = [
        f"    {command.name})\n{_zsh_arguments(command, indent='        ')} ;;"
        for command in program.commands
    ]
    lines += [
        "local state",
        "local -a commands=(",
        *described,
        ")",
        "_arguments -C " + " ".join(_zsh_options(program.options)) + " \\",
        "    '1:command:->command' '*::argument:->argument'",
        "case $state in",
        "command) _describe command commands ;;",
        "argument)",
        "    case $words[1] in",
        *cases,
        "    esac ;;",
        "esac",
    ]
    return "\n".join(lines) + "\n"


def fish(program: Command) -> str:
    """Return fish's completion of a program."""
    start = f"complete -c {program.name}"
    lines = [f"# fish completion for {program.name}"]
    top = " -n __fish_use_subcommand" if program.commands else ""
    lines += [start + top + rest for rest in _fish_options(program.options)]
    for command in program.commands:
        word = f"-f -a {command.name} -d {_quoted(command.summary)}"
        lines.append(f"{start} -n __fish_use_subcommand {word}")
        seen = f" -n '__fish_seen_subcommand_from {command.name}'"
        lines += [start + seen + rest for rest in _fish_options(command.options)]
        if choices := _choices(command):
            lines.append(f"{start}{seen} -f -a '{choices}'")
    return "\n".join(lines) + "\n"


def _bash_offer(words: str) -> str:
    return f'COMPREPLY=($(compgen -W "{words}" -- "$current"))'


def _names(command: Command) -> str:
    return " ".join(name for option in command.options for name in option.names)


def _choices(command: Command) -> str:
    return " ".join(choice for argument in command.arguments for choice in argument.choices)


def _zsh_arguments(command: Command, *, indent: str) -> str:
    words = [*_zsh_options(command.options), *map(_zsh_argument, command.arguments)]
    return f"{indent}_arguments " + f" \\\n{indent}    ".join(words)


def _zsh_options(options: Iterable[Option]) -> Iterator[str]:
    for option in options:
        text = option.help.split(". ")[0].translate(str.maketrans("[]:", "()-"))
        for name in option.names:
            value = f":{option.metavar}:{_zsh_values(option)}" if option.metavar else ""
            equals = "=" if value and name.startswith("--") else ""
            yield _quoted(f"{name}{equals}[{text}]{value}")


def _zsh_argument(argument: Argument) -> str:
    return _quoted(f":{argument.metavar}:{_zsh_values(argument)}")


def _zsh_values(word: Option | Argument) -> str:
    if word.choices:
        return f"({' '.join(word.choices)})"
    return "_files" if word.is_path else ""


def _fish_options(options: Iterable[Option]) -> Iterator[str]:
    for option in options:
        names = [f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names]
        value = " -r" if option.metavar else ""
        choices = f" -f -a '{' '.join(option.choices)}'" if option.choices else ""
        yield f" {' '.join(names)}{value}{choices} -d {_quoted(option.help.split('. ')[0])}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"

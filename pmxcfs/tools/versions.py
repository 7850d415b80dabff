"""The option ``--version`` of the tools."""

from typing import Annotated

import typer

from pmxcfs.version import version_line


def add_version(app: typer.Typer, program: str) -> None:
    """Give a program with several commands the option, before the command."""

    def show(is_wanted: bool) -> None:
        if is_wanted:
            typer.echo(version_line(program))
            raise typer.Exit

    @app.callback()
    def options(
        is_wanted: Annotated[
            bool,
            typer.Option(
                "--version",
                is_eager=True,
                callback=show,
                help="Print version and revision, and end.",
            ),
        ] = False,
    ) -> None:
        """"""

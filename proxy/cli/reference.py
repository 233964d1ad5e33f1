"""docs/cli.md, made from the commands: ``python -m proxy.cli.reference > docs/cli.md``. A test keeps it fresh."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from proxy.cli import app

HEAD = """# Commands

Made from the program by `python -m proxy.cli.reference > docs/cli.md`; every command says the same with `--help`.

Exit codes of every command: 0 fine, GO or promote; 1 the check failed, NO-GO or rollback; 2 usage or configuration
error; 3 keep watching, or too few pairs; 4 fault in the data.
"""


def page() -> str:
    """The whole document."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return "\n".join([HEAD, *_sections(group, "fig", 2)]).rstrip() + "\n"


def _sections(group: TyperGroup, words: str, level: int) -> Iterator[str]:
    for name, command in group.commands.items():
        typed = f"{words} {name}"
        yield f"{'#' * level} `{typed}`\n"
        if command.help:
            yield inspect.cleandoc(command.help) + "\n"
        if isinstance(command, TyperGroup):
            yield from _sections(command, typed, level + 1)
        elif isinstance(command, TyperCommand):
            yield from _command(command, typed)


def _command(command: TyperCommand, typed: str) -> Iterator[str]:
    arguments = [one for one in command.params if isinstance(one, TyperArgument)]
    options = [one for one in command.params if isinstance(one, TyperOption)]
    usage = " ".join([typed, *(_placeholder(one) for one in arguments), *(["[OPTIONS]"] if options else [])])
    yield f"```text\n{usage}\n```\n"
    if arguments or options:
        yield "| argument or option | default | |"
        yield "| --- | --- | --- |"
        for argument in arguments:
            yield _row(f"`{_placeholder(argument)}`", argument)
        for option in options:
            names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
            yield _row(names, option)
        yield ""


def _placeholder(argument: TyperArgument) -> str:
    name = (argument.metavar or argument.name or "").upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _row(names: str, parameter: TyperArgument | TyperOption) -> str:
    default = parameter.default
    shown = (
        f"`{default}`" if isinstance(default, str | int | float) and not isinstance(default, bool) and default else ""
    )
    told = " ".join((parameter.help or "").split())
    if parameter.envvar:
        variables = [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar
        told += f" Variable: {' or '.join(f'`{name}`' for name in variables)}."
    return f"| {names} | {shown} | {told.replace('|', chr(92) + '|').strip()} |"


if __name__ == "__main__":
    print(page(), end="")

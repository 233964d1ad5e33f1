"""The command line: parse, call one use case, return an exit code."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer import Typer

if sys.argv[1:2] == ["serve"]:
    # First of all: a reload that is asked for meanwhile must not end fig. Ignored signals stay ignored when `fig serve`
    # becomes the supervisor.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def main() -> None:
    """The console script `fig`.

    `fig serve` does not wait for what the other commands import: half a second that its clients would wait for, too.
    """
    if sys.argv[1:2] == ["serve"]:
        from proxy.cli.serve import alone

        alone()
    else:
        __getattr__("app")()


def __getattr__(name: str) -> Typer:
    """`app`, with every command, for who asks for it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from proxy.cli.commands import app

    return app

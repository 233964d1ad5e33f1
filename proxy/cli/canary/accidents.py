"""Commands whose exit code 1 is a finding: what goes wrong in fig itself does not end with it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from proxy.cli.rules.screen import tell

INTERRUPTED = 130
"""As a shell has it of SIGINT: no finding, and none of DESIGN section 7's."""


@contextmanager
def without_finding(but: str) -> Iterator[None]:
    """Whatever is raised inside ends with 2, or INTERRUPTED; an exit that was meant stays. `but`: what is not known
    then."""
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt as exc:
        raise typer.Exit(INTERRUPTED) from exc
    except Exception as exc:
        told = f"fig itself failed: {type(exc).__name__}; {but}"
        tell(*traceback.format_exc().splitlines(), told, err=True)
        raise typer.Exit(2) from exc

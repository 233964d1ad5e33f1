"""For every test: signals as in a terminal, the same cases in every run, and which files begin first."""

from __future__ import annotations

import functools
import math
import os
import signal
from pathlib import Path

import pytest
import typer.testing
from hypothesis import settings

# A shell that runs the tests in the background has them ignore SIGINT, and every program that they start inherits that;
# tests that press Ctrl-C on a program would then wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same cases in every run, so that a red run is red because of the change; FIG_EXPLORE=1 looks for further ones.
settings.register_profile("same", derandomize=True, deadline=None)  # a busy machine is no failure
if not os.environ.get("FIG_EXPLORE"):
    settings.load_profile("same")

# typer.testing makes every command of fig anew at each call of one, a tenth of a second of nothing that is tested.
setattr(typer.testing, "_get_command", functools.cache(typer.testing._get_command))  # noqa: B010 (mypy: a function)

LONGEST = ("test_cutover.py", "test_demo_run.py", "test_listening_by_tls.py", "test_dual_writes.py")
"""Of the files in e2e/; together a fifth of the whole time."""
WORKERS_PER_CORE = 1.5
"""A third of the time of a test that starts processes is spent on waiting for them; with twice as many as cores, what
is under load in tests is so busy that their patience ends."""


def pytest_configure(config: pytest.Config) -> None:
    """Files are begun in the order of `pytest_collection_modifyitems`; xdist's own begins with those of most tests."""
    config.option.loadscopereorder = False


def pytest_xdist_auto_num_workers() -> int:
    """What ``-n auto`` means."""
    return math.ceil(WORKERS_PER_CORE * len(os.sched_getaffinity(0)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: one that begins last is waited for by every other core."""
    items.sort(key=lambda item: _turn(item.path))


def _turn(path: Path) -> tuple[bool, int]:
    return path.parent.name != "e2e", LONGEST.index(path.name) if path.name in LONGEST else len(LONGEST)

"""`fig serve` reads its command line without the other commands, and reads it alike."""

from __future__ import annotations

import subprocess
import sys

import typer
from typer.testing import CliRunner

from proxy.cli import app
from proxy.cli.serve import alone


def test_the_help_is_the_same_alone_and_among_the_others() -> None:
    asked = ["serve", "--help"]

    assert CliRunner().invoke(alone, asked).output == CliRunner().invoke(app, asked).output


def test_serve_is_a_command_of_both() -> None:
    assert set(typer.main.get_group(alone).commands) == {"serve"}
    assert "serve" in typer.main.get_group(app).commands


SERVE = """
import sys
sys.argv = ["fig", "serve", "--workers", "0"]
from proxy.cli import main
try:
    main()
except SystemExit as ended:
    print(ended.code, sorted({"httpx", "yaml", "proxy.rulebook"} & set(sys.modules)))
"""


def test_serve_waits_for_no_library_that_it_does_not_use() -> None:
    ended = subprocess.run([sys.executable, "-c", SERVE], capture_output=True, text=True, timeout=50)

    assert ended.stdout == "2 []\n"
    assert "--workers: '0' is not a number of workers" in ended.stderr

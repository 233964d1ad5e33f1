"""What the commands on rules do to the terminal, pipe or file that they write to, as real processes."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app

STEER = "\x1b[31m\x9b2J\r\u202e"
"""Colours, clears the screen, goes back to the line's beginning, turns the direction of writing."""
RULES = """
version: 1
services: {legacy: {url: http://127.0.0.1:9000}, shop: {url: http://127.0.0.1:9001}}
legacy: legacy
routes:
  - {name: shop, match: {path: /shop/**, headers: {x-a: "%s"}}, candidate: shop}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "fig.yaml").write_text(RULES % "one")
    return tmp_path / "fig.yaml"


def fig(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "proxy.cli", "rules", *map(str, arguments)]


def refused(*arguments: object) -> str:
    """What is said where an argument cannot be used, on a screen that takes everything for what it is."""
    result = CliRunner().invoke(app, ["rules", *map(str, arguments)], color=True)
    assert result.exit_code in (1, 2)
    return result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", STEER),
        ("check", "--explain", STEER),
        ("explain", STEER, "/"),
        ("explain", "GET", f"/{STEER}"),
        ("explain", "GET", "/", "-c", STEER),
        ("explain", "GET", "/", "--client", STEER),
        ("explain", "--log", "/dev/null", "--id", STEER),
        ("test", STEER),
        ("diff", STEER, STEER),
        ("diff", "-", "-", "--fail-on", STEER),
        ("fmt", STEER),
        ("schema", "-o", f"/nowhere/{STEER}"),
    ],
)
def test_no_argument_steers_the_terminal_when_it_is_told_again(arguments: tuple[str, ...]) -> None:
    told = refused(*arguments)
    assert told
    assert all(line.isprintable() for line in told.split("\n"))


def test_the_name_of_a_test_is_one_line_without_controls(file: Path) -> None:
    tests = file.with_name("fig.test.yaml")
    tests.write_text(r'tests: [{name: "a\e[31m\n::error::b", request: {url: /}, expect: {route: shop}}]')
    told = refused("test", tests)
    assert told.splitlines()[0].startswith(rf"{tests}:1:74: a\x1b[31m\n::error::b: route: expected shop")


def test_diff_writes_names_and_values_without_controls(file: Path, tmp_path: Path) -> None:
    after = tmp_path / "after.yaml"
    named = 'comparisons: {"a\\e[31m\\nb": {}}\n'
    after.write_text(file.read_text() + named)
    ours, theirs = pty.openpty()
    with subprocess.Popen(fig("diff", file, after), stdout=theirs, env=os.environ | {"TERM": "xterm"}) as process:
        os.close(theirs)
        told = b"".join(iter(lambda: _read(ours), b"")).decode()
    assert (process.returncode, "\x1b[1m" in told) == (0, True)  # a terminal: headlines are bold ...
    assert "\x1b[31m" not in told  # ... and what the file says is not red
    assert r"a\x1b[31m" in told


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says so where the other end of a terminal is closed
        return b""


@pytest.mark.parametrize(("text", "code"), [("one", 0), ("two, sied: 3", 2)])
def test_a_reader_that_goes_away_takes_nothing_from_the_verdict(file: Path, text: str, code: int) -> None:
    lines = "".join(
        f"  - {{name: r{number}, match: {{path: /a{number}/*}}, candidate: shop}}\n" for number in range(99)
    )
    file.write_text(RULES % "one" + lines + ("  - 7\n" if code else ""))
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(fig("check", file), stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(theirs)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


@pytest.mark.parametrize("arguments", [("check",), ("explain", "GET", "/", "-c"), ("diff", os.devnull)])
def test_an_output_that_takes_nothing_is_told(file: Path, arguments: tuple[str, ...]) -> None:
    given = [file if argument == os.devnull else argument for argument in arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(fig(*given, file), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "the output cannot be written: No space left on device\n")


def test_a_terminal_of_ascii_gets_every_report(file: Path, tmp_path: Path) -> None:
    after = tmp_path / "after.yaml"
    after.write_text(RULES % "zw\xf6lf")
    done = subprocess.run(
        fig("diff", file, after), capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}, timeout=60
    )
    assert done.returncode == 0
    assert "zw\xf6lf".encode() in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "--json", "--github"), "--json and --github both write to standard output; give one of them"),
        (("diff", "a", "b", "--json", "--markdown", "-"), "--json and --markdown - both write to standard output"),
        (("diff", "a", "b", "--host", "shop.example"), "--host and --log-format say how to read a log; give --log"),
        (("diff", "a", "b", "--log", "c", "--host", "shop:80"), "--host 'shop:80' is no host name; write it like"),
    ],
)
def test_options_that_cannot_be_meant_together_are_refused(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["rules", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)


@pytest.mark.parametrize("command", ["check", "test", "diff"])
@pytest.mark.parametrize("place", ["/nowhere/out.xml", "/dev/full"])
def test_a_report_that_cannot_be_written_is_told_after_the_findings(file: Path, command: str, place: str) -> None:
    tests = file.with_name("fig.test.yaml")
    tests.write_text("tests: [{name: t, request: {url: /}, expect: {route: null}}]\n")
    arguments = {"check": (file,), "test": (tests,), "diff": (file, file)}[command]
    result = CliRunner().invoke(app, ["rules", command, *map(str, arguments), "--junit", place])
    assert result.exit_code == 2
    assert result.stdout
    assert result.stderr.startswith(f"{place}: cannot be written: ")

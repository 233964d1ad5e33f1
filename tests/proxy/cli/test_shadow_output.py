"""What the shadow commands print where a terminal is narrow, a pipe, has no colours, or there is nothing to print."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from proxy.cli import app
from shadow.journal.schema import connect
from tests.fakes.pair_folder import Folder
from tests.fakes.pairs import JSON_TYPE, answer


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = Folder(tmp_path)
    yield opened
    opened.store.close()


def run(folder: Folder, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(
        app, ["shadow", *arguments, "--state", str(folder.path)], env={"COLUMNS": "100", **environment}
    )


def a_difference(folder: Folder) -> str:
    """The name of a pair that differs."""
    legacy = answer({"price": 12.5, "id": "a" * 80}, headers=(*JSON_TYPE, ("Server", "one")), seconds=0.03)
    candidate = answer({"price": 1250, "id": "a" * 80}, headers=(*JSON_TYPE, ("Server", "two")), seconds=0.01)
    folder.add(legacy, candidate)
    return folder.report().routes[0].places[0].samples[0].pair.id


def test_a_pair_tells_who_was_faster_and_what_its_signs_mean(folder: Folder) -> None:
    told = run(folder, "show", a_difference(folder))
    assert told.exit_code == 1
    assert "legacy 200 in 30.0 ms, candidate 200 in 10.0 ms, 20.0 ms faster" in told.output
    assert "≠ differs   ~ differs, but a mask excuses it or it is not compared" in told.output
    assert "only legacy" not in told.output, "signs that are not there are not explained"


@pytest.mark.parametrize("command", ["show", "report"])
def test_a_narrow_terminal_without_colours_gets_all_of_it(folder: Folder, command: str) -> None:
    pair = a_difference(folder)
    told = run(folder, command, *([pair] if command == "show" else []), COLUMNS="60", NO_COLOR="1")
    assert max(map(len, told.output.splitlines())) <= 60
    assert "\x1b" not in told.output
    assert "1250" in told.output
    assert "…" not in told.output, "nothing is cut off because there is no room"


def test_further_lines_of_a_point_stand_below_its_first(folder: Folder) -> None:
    a_difference(folder)
    lines = run(folder, "report", COLUMNS="60").output.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("  - price is 100 times"))
    assert lines[first + 1].startswith("    ")


@pytest.mark.parametrize("command", [["report"], ["causes"], ["deliveries"], ["doubts"], ["gaps"]])
def test_json_of_nothing_is_still_json(folder: Folder, command: list[str]) -> None:
    told = run(folder, *command, "--json")
    assert json.loads(told.stdout) is not None
    assert told.exit_code in (0, 3)


def test_a_route_without_pairs_is_reported_as_that(folder: Folder) -> None:
    folder.store.start_window("items", "digest", "load", 1.0)
    told = run(
        folder, "report", "items", "--html", str(folder.path / "r.html"), "--markdown", str(folder.path / "r.md")
    )
    assert told.exit_code == 3
    assert "Nothing was compared yet." in told.output
    assert "Nothing was compared yet." in (folder.path / "r.html").read_text()
    assert "0 of the 300 pairs" in told.output


def test_a_journal_that_cannot_be_read_leaves_a_report_that_says_so(folder: Folder) -> None:
    folder.add(answer(1), answer(1))
    (folder.path / "journal.db").write_bytes(b"not a database, but long enough to be taken for one" * 100)
    told = run(folder, "report", "--markdown", str(folder.path / "r.md"))
    assert told.exit_code == 0, told.output
    words = " ".join(told.output.split())
    assert "note: the journal cannot be read: file is not a database: what is open of writes is told as" in words
    assert "cannot be read" in (folder.path / "r.md").read_text()


def test_a_journal_of_an_earlier_fig_leaves_a_report_that_says_so(folder: Folder) -> None:
    folder.add(answer(1), answer(1))
    connect(folder.path / "journal.db").close()
    db = sqlite3.connect(folder.path / "journal.db")
    db.executescript("DROP TABLE settlements; DROP TABLE questions;")
    db.execute("INSERT INTO gaps (id, route, reason, started, recorded) VALUES ('g', 'items', 'journal', 1.0, 1.0)")
    db.commit()
    db.close()
    told = run(folder, "report")
    assert told.exit_code in (0, 4)
    assert "note: the journal cannot be read" in " ".join(told.output.split())


@pytest.mark.parametrize("command", [["report"], ["causes"], ["show", "pair-0"], ["export", "pair-0", "--pytest"]])
@pytest.mark.parametrize("damage", ["other", "cut", "page"])
def test_damaged_pairs_exit_2_and_say_what_to_do(folder: Folder, command: list[str], damage: str) -> None:
    a_difference(folder)
    folder.store.close()
    file = folder.path / "pairs.db"
    (folder.path / "key").write_bytes(b"k" * 32)
    whole = file.read_bytes()
    match damage:
        case "other":
            file.write_bytes(b"hello, this is no database" * 400)
        case "cut":
            file.write_bytes(whole[: len(whole) // 2 // 4096 * 4096])
        case _:
            file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    told = run(folder, *command)
    assert told.exit_code == 2, told.output
    assert "Traceback" not in told.output
    assert told.exception is None or isinstance(told.exception, SystemExit)
    assert "pairs.db" in told.output
    assert "restore it from a copy, or move" in told.output


def test_a_state_folder_of_somebody_else_exits_2_and_says_whose_permission_it_takes(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.add(answer(1), answer(1))

    def forbidden(*_: object, **__: object) -> object:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr("shadow.pairs.tables.sqlite3.connect", forbidden)
    told = run(folder, "report")
    assert told.exit_code == 2
    assert "may this user read it, and its folder?" in told.output


@contextmanager
def somebody_else(folder: Folder) -> Iterator[None]:
    """Whoever may not look into the folder, also where the tests run as root, who may look into any."""
    with ExitStack() as stack:
        folder.path.chmod(0)
        stack.callback(folder.path.chmod, 0o700)
        if os.geteuid() == 0:
            os.seteuid(65534)
            stack.callback(os.seteuid, 0)
        yield


def test_every_command_tells_somebody_else_whose_folder_it_is(folder: Folder) -> None:
    folder.add(answer(1), answer(1))
    commands = [
        ["report"],
        ["causes"],
        ["deliveries"],
        ["doubts"],
        ["gaps"],
        ["show", "x"],
        ["certify", "items"],
        ["key"],
    ]
    for command in [*commands, ["export", "x", "--pytest"], ["replay", "x"]]:
        CliRunner().invoke(app, ["shadow", *command, "--help"])  # imports what it needs while that is allowed
        with somebody_else(folder):
            told = run(folder, *command)
        assert told.exit_code == 2, (command, told.output, told.exception)
        assert "run the command as the user who runs fig" in " ".join(told.output.split())
